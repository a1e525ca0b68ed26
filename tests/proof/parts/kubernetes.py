"""The API server of Kubernetes takes every manifest, applied by the server, Pod Security `restricted`: no warning.

It knows the types of the Prometheus Operator, of the Gateway API and of Envoy Gateway. What others own stays as it was.
"""

import copy
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any, Final

import yaml

from tests.proof.built import built
from tests.proof.kube.plane import Plane, RefusedError
from tests.proof.kube.programs import definitions, kubernetes, version_of
from tests.proof.record import Record
from tools.harness.kustomize import KUBERNETES, rendered

OVERLAYS: Final = sorted(path.parent.name for path in (KUBERNETES / "overlays").glob("*/kustomization.yaml"))
LEVEL: Final = "restricted"
PEAK: Final = 12
"""Where an autoscaler has brought the Deployment by the time that somebody applies again."""

Document = dict[str, Any]


def prove(record: Record) -> None:
    """Start the API server, and give it what is shipped."""
    with Plane() as plane:
        tell_versions(record)
        define_types(record, plane)
        for overlay in OVERLAYS:
            take(record, plane, overlay, list(rendered(overlay)))
        make_secrets(record, plane)
        notice(record, plane)
        change_setting(record, plane)
        leave_replicas(record, plane)


def tell_versions(record: Record) -> None:
    """Say what runs."""
    record.started(
        "kube-apiserver", version_of(built(kubernetes("kube-apiserver"))), kubernetes("kube-apiserver").origin
    )
    record.started("etcd", version_of("etcd"), "Debian's package")
    record.started("kubectl", version_of("kubectl", "version", "--client"), "Debian's package, or the machine's own")


def define_types(record: Record, plane: Plane) -> None:
    """Let the API server know the types of others, and wait until it does."""
    for origin, files in definitions().items():
        names = [option for path in files for option in ("-f", str(path))]
        _, warning = plane.kubectl("apply", "--server-side", *names)
        plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
        record.asked(f"does it take the types of {origin}?", f"{len(files)} files; {warning or 'no warning'}")


def take(record: Record, plane: Plane, overlay: str, documents: list[Document]) -> None:
    """Apply an overlay: its namespace, then all of it without effect, then all of it; and its pods as pods."""
    spaces = [one for one in documents if one["kind"] == "Namespace"]
    told = []
    try:
        told += [plane.apply(spaces), plane.apply(documents, "--dry-run=server"), plane.apply(documents)]
        answer = "; ".join(filter(None, told)) or "no warning"
    except RefusedError as refused:
        told, answer = [str(refused)], str(refused)
    record.asked(f"does it take overlays/{overlay}, {len(documents)} manifests?", answer, held=not any(told))
    for space in spaces:
        labels = space["metadata"].get("labels", {})
        kinds = {kind: labels.get(f"pod-security.kubernetes.io/{kind}") for kind in ("enforce", "warn")}
        held = set(kinds.values()) == {LEVEL}
        record.asked(f"which Pod Security has the namespace of {overlay}?", str(kinds), held=held)
    for name, pod in pods(documents):
        answer, taken = admitted(plane, pod)
        record.asked(f"may a pod of {overlay}'s {name} be made?", answer, held=taken and answer == "yes")
        loose = copy.deepcopy(pod)
        loose["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        answer, taken = admitted(plane, loose)
        record.asked(f"and one that may gain privileges ({overlay}, {name})?", answer, held=not taken)


def pods(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """The pods as their controllers would make them."""
    for one in documents:
        if one["kind"] == "Deployment":
            template, name = one["spec"]["template"], one["metadata"]["name"]
            space = one["metadata"]["namespace"]
            metadata = {**template["metadata"], "name": f"{name}-proof", "namespace": space}
            yield name, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def admitted(plane: Plane, pod: Document) -> tuple[str, bool]:
    """Whether a pod would be made, and what is said of it: controllers do not run, so its admission is asked alone."""
    try:
        return plane.apply([pod], "--dry-run=server") or "yes", True
    except RefusedError as refused:
        return str(refused).splitlines()[0], False


def make_secrets(record: Record, plane: Plane) -> None:
    """Run the shipped script."""
    environment = os.environ | {"KUBECONFIG": str(plane.kubeconfig)}
    done = subprocess.run(
        [KUBERNETES / "make-secrets.sh"], env=environment, capture_output=True, text=True, check=False
    )
    made = re.findall(r"secret/(\S+) created", done.stdout)
    record.asked("does make-secrets.sh make the secrets?", ", ".join(made) or done.stderr, held=len(made) > 1)


def notice(record: Record, plane: Plane) -> None:
    """Show that a mistake would be noticed."""
    broken = copy.deepcopy(next(one for one in rendered("production") if one["kind"] == "Deployment"))
    broken["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    try:
        answer, taken = plane.apply([broken], "--dry-run=server"), True
    except RefusedError as refused:
        answer, taken = str(refused).splitlines()[0], False
    record.asked("does it refuse a misspelt field (readynessProbe)?", answer, held=not taken)


def leave_replicas(record: Record, plane: Plane) -> None:
    """Scale as an autoscaler does, apply again, and look."""
    for how in (("--server-side",), ()):  # that which forgets who owns what comes last
        plane.kubectl("-n", "code-racer", "scale", "deployment/code-racer", f"--replicas={PEAK}")
        try:
            plane.kubectl("apply", *how, "-f", "-", given=yaml.safe_dump_all(rendered("production")))
            answer = str(plane.get("-n", "code-racer", "deployment/code-racer")["spec"]["replicas"])
        except RefusedError as refused:
            answer = str(refused).splitlines()[0]
        way = " ".join(["kubectl apply", *how])
        question = f"an autoscaler has made them {PEAK}: how many replicas are wanted after `{way}`?"
        record.asked(question, answer, held=answer == str(PEAK))


def change_setting(record: Record, plane: Plane) -> None:
    """Apply the same, and then with another setting; only the latter may begin a rollout."""

    def revision() -> int:
        return int(plane.get("-n", "code-racer", "deployment/code-racer")["metadata"]["generation"])

    first = revision()
    plane.apply(list(rendered("production")))
    same = revision()
    plane.apply(list(rendered("production", LOG_LEVEL="warning")))
    answer = f"the same again: {same - first} changes of the Deployment; with another setting: {revision() - same}"
    record.asked("does a changed setting begin a rollout?", answer, held=same == first and revision() == same + 1)
