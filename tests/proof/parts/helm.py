"""The chart in the real helm: linted, as kustomize gives it, wrong values refused; and NATS's chart with our values.

NATS's chart comes from its repository, or from the folder that `NATS_CHART` names.
"""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml

from tests.proof.built import Program, built
from tests.proof.record import Record
from tools.harness.kustomize import CHART_WAYS, KUBERNETES, plain_name, rendered
from tools.harness.nats import NATS_SERVER

HELM: Final = Program("helm", "helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3", "v3.22.0", as_released=True)
KUBERNETES_VERSION: Final = "1.34.0"
NATS_REPOSITORY: Final = "https://nats-io.github.io/k8s/helm/charts/"
TIMEOUT_S: Final = 120
WRONG: Final = (
    "wayIn=door", "replicas.min=0", "host=https://race.example.org", "settings.JWT_SECRET=leaked", "image.tagg=1",
    "image.digest=latest", "resources.limits.memory=null",
)  # fmt: skip
MAY_MISS: Final = ("NATS's chart with our values",)
Documents = dict[tuple[str, str], dict[str, Any]]


def prove(record: Record) -> None:
    """Build helm, and ask it."""
    helm = built(HELM)
    version = _run(helm, "version", "--template", "{{.Version}} {{.GoVersion}}").stdout
    record.started("helm", version, HELM.origin)
    linted = _run(helm, "lint", "--strict", str(KUBERNETES))
    record.asked("does it lint the chart, strictly, without a fault?", _last_line(linted), held=linted.returncode == 0)
    for way, overlay in CHART_WAYS.items():
        given, wanted = _chart(helm, f"wayIn={way}"), _by_name(rendered(overlay))
        del given["Deployment", "code-racer"]["spec"]["template"]["metadata"]["annotations"]  # in place of the hash
        differ = sorted(" ".join(key) for key in given.keys() | wanted.keys() if given.get(key) != wanted.get(key))
        told = f"{len(given)} objects, the same" if not differ else f"differ: {', '.join(differ)}"
        record.asked(f"does `wayIn: {way}` give what overlays/{overlay} gives?", told, held=not differ)
    _change_values(record, helm)
    for wrong in WRONG:
        done = _template(helm, wrong)
        held = done.returncode != 0 and "values don't meet the specifications of the schema" in done.stderr
        record.asked(f"is `{wrong}` refused?", "yes" if held else done.stderr[-200:], held=held)
    with tempfile.TemporaryDirectory() as folder:
        _ask_nats(record, helm, Path(folder))


def _change_values(record: Record, helm: Path) -> None:
    def sums(*values: str) -> str:
        template = _chart(helm, *values)["Deployment", "code-racer"]["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/settings"])

    same = sums() == sums("replicas.max=20")
    held = same and sums() != sums("settings.MAX_CONNECTIONS=10000")
    told = "yes" if held else "no"
    record.asked("does a changed setting, and nothing else, change the pods' template?", told, held=held)
    text = _template(helm, "host=play.example.net", "wayIn=envoy").stdout
    left = re.findall(r".*race\.example\.org.*", text)
    record.asked("does `host` replace the example everywhere?", f"{len(left)} left", held=not left)
    few = _chart(helm, "canary=false", "monitoring=false").keys()
    kinds = {kind for kind, _ in few}
    held = "PrometheusRule" not in kinds and ("Deployment", "code-racer-canary") not in few
    record.asked("are canary and monitoring left out where they are off?", f"{len(few)} objects", held=held)


def _ask_nats(record: Record, helm: Path, folder: Path) -> None:
    chart = os.environ.get("NATS_CHART", "")
    if not chart:
        pulled = _run(helm, "pull", "nats", "--repo", NATS_REPOSITORY, "--untar", "--untardir", str(folder))
        if pulled.returncode != 0:
            record.not_run(MAY_MISS[0], "its repository cannot be reached from here")
            return
        chart = str(folder / "nats")
    record.started("NATS's chart", yaml.safe_load((Path(chart) / "Chart.yaml").read_text())["version"], "nats-io/k8s")
    values = ("--values", str(KUBERNETES / "nats-values.yaml"))
    done = _run(helm, "template", "nats", chart, "--kube-version", KUBERNETES_VERSION, *values)
    assert done.returncode == 0, done.stderr
    documents = {one["kind"]: one for one in yaml.safe_load_all(done.stdout) if one}
    file = folder / "nats.conf"
    file.write_text(documents["ConfigMap"]["data"]["nats.conf"].replace('"/data"', f'"{folder}"'))
    secrets = {"NATS_PASSWORD": "a", "NATS_ADMIN_PASSWORD": "b", "SERVER_NAME": "nats-0"}
    tried = subprocess.run([NATS_SERVER, "-t", "-c", file], env=secrets, capture_output=True, text=True, check=False)
    told = "valid" if tried.returncode == 0 else _last_line(tried)
    record.asked("does a NATS server take the file that the chart makes of our values?", told, held=told == "valid")
    pod = documents["StatefulSet"]["spec"]["template"]
    labels = pod["metadata"]["labels"]["app.kubernetes.io/name"]
    ports = [port["name"] for one in pod["spec"]["containers"] for port in one.get("ports", ())]
    held = labels == "nats" and {"prom-metrics", "nats"} <= set(ports)
    record.asked(
        "has its pod the label and the ports that our policy and monitor ask for?", ", ".join(ports), held=held
    )


def _chart(helm: Path, *values: str) -> Documents:
    done = _template(helm, *values)
    assert done.returncode == 0, done.stderr
    return _by_name(tuple(yaml.safe_load_all(done.stdout)))


def _template(helm: Path, *values: str) -> subprocess.CompletedProcess[str]:
    options = [word for value in values for word in ("--set", value)]
    release = ("template", "code-racer", str(KUBERNETES), "--namespace", "code-racer")
    return _run(helm, *release, "--kube-version", KUBERNETES_VERSION, *options)


def _by_name(documents: tuple[dict[str, Any], ...]) -> Documents:
    """Documents by kind and name, without what is said in another way: the namespace, the hash of the settings."""
    found = {}
    for one in documents:
        if one["kind"] == "Namespace":
            continue
        copy = json.loads(re.sub(r'"code-racer-[a-z0-9]{10}"', '"code-racer"', json.dumps(one)))
        copy["metadata"].pop("namespace", None)
        found[copy["kind"], plain_name(copy)] = copy
    return found


def _run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stdout + done.stderr).strip().rpartition("\n")[2]
