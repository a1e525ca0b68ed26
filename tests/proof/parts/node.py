"""A node of Kubernetes runs the service: kubelet, containerd, runc; with the controllers, the scheduler and kube-proxy.

It is in namespaces of its own. The production overlay's Deployment, Service, budget and autoscaler are applied, fitted
to two cores; one NATS server has the log.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.proof.built import Program, built
from tests.proof.containers import Engine, engine, lacks
from tests.proof.kube import workload
from tests.proof.kube.node import PAUSE, PLUGINS
from tests.proof.kube.programs import kubernetes, version_of
from tests.proof.record import Record
from tools.harness.nats import NATS_SERVER
from tools.harness.server import ROOT

PROGRAMS: Final = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")
DEBIAN: Final = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "runc": "runc",
    f"{PLUGINS}/bridge": "containernetworking-plugins",
}
HERE: Final = Path(__file__).parent.parent / "kube"
PAUSE_PROGRAM: Final = Program("pause", ".", "pause", "1", source=HERE / "pause")
MAY_MISS: Final = frozenset(
    {"NetworkPolicy", "a gateway or an ingress controller", "the autoscaler by its metrics", "several nodes"}
)
APART: Final = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def prove(record: Record) -> None:
    """Build what is not there, and let the cluster run."""
    missing = [package for name, package in DEBIAN.items() if not (shutil.which(name) or Path(name).exists())]
    if why := lacks() or ", ".join(missing):
        record.not_run("the node", why)
        return
    for name in PROGRAMS:
        record.started(name, version_of(built(kubernetes(name))), kubernetes(name).origin)
    for name in ("etcd", "containerd", "runc"):
        record.started(name, version_of(name), "Debian's package")
    with tempfile.TemporaryDirectory(prefix="code-racer-node-", dir="/var/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with engine() as one:
            make_images(one, folder)
        try:
            run_apart(record, folder)
        finally:
            forget_groups()
    record.not_run("NetworkPolicy", "the bridge plugin enforces none")
    record.not_run("a gateway or an ingress controller", "players come by the Service's own address")
    record.not_run(
        "the autoscaler by its metrics", "no metrics server and no Prometheus adapter run: its least alone is seen"
    )
    record.not_run("several nodes", "there is one machine")


def make_images(one: Engine, folder: Path) -> None:
    """Archives of the service, of a NATS server, and of what holds a pod's namespaces."""
    one.make_base()
    one.build(ROOT / "deploy/Dockerfile", workload.IMAGE, ROOT)
    for program, image in ((built(PAUSE_PROGRAM), PAUSE), (NATS_SERVER, workload.NATS_IMAGE)):
        import_program(one, program, image, folder)
    for number, image in enumerate((PAUSE, workload.NATS_IMAGE, workload.IMAGE)):
        one.run("save", "--output", folder / f"{number}.tar", image)


def import_program(one: Engine, program: Path, image: str, folder: Path) -> None:
    """An image of one program that needs no other file."""
    system = folder / "system"
    system.mkdir()
    shutil.copy(program, system / "program")
    archive = folder / "system.archive"
    subprocess.run(["tar", "-C", system, "-cf", archive, "."], check=True)
    one.run("import", "--change", 'ENTRYPOINT ["/program"]', archive, image)
    shutil.rmtree(system)
    archive.unlink()


def run_apart(record: Record, folder: Path) -> None:
    """Run the cluster in namespaces of its own, and pass on what it tells."""
    command = [*APART, sys.executable, "-m", "tests.proof.kube.inside", str(folder)]
    environment = os.environ | {"TMPDIR": str(folder)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT) as inside:
        assert inside.stdout is not None
        for line in inside.stdout:
            question, answer, held = json.loads(line)
            record.asked(question, answer, held=held)
    record.asked(
        "did the trials come to their end?", "yes" if inside.returncode == 0 else "no", held=inside.returncode == 0
    )


def forget_groups() -> None:
    """Remove the control groups that the kubelet made; their processes ended with the namespace."""
    for group in sorted(Path("/sys/fs/cgroup").glob("**/kubepods/**/"), reverse=True):
        with contextlib.suppress(OSError):  # one that is busy for a moment; the next run takes it over
            group.rmdir()
