"""The control plane: etcd, the API server and, for a node, the controllers and the scheduler; all on the loopback."""

import json
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.proof.built import built
from tests.proof.kube.programs import kubernetes
from tools.harness.server import free_port, until

SERVICES: Final = "10.96.0.0/16"
START_TIMEOUT_S: Final = 120
STOP_TIMEOUT_S: Final = 30


class RefusedError(Exception):
    """kubectl ended with another code than 0; the message is what it said."""


class Plane:
    """A control plane in a folder of its own, which goes with it. `tokens`: who may do all, and by which token."""

    def __init__(self, *, nodes: bool = False) -> None:
        """With `nodes` the controllers and the scheduler run too."""
        self._stack = ExitStack()
        self._nodes = nodes
        self.folder = Path(self._stack.enter_context(_folder()))
        self._port = free_port()
        self.kubeconfig = self.folder / "kubeconfig"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.push(self._stack)
            self._start()
            stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, value, trace)

    def run(
        self, name: str, *command: str | Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """A program that ends with the plane; what it says is in `logs`."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=environment)
        self._stack.callback(_end, process)
        return process

    def log(self, name: str) -> str:
        """What a program said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # ---------------------------------------------------------------- kubectl

    def kubectl(self, *arguments: str, given: str | None = None) -> tuple[str, str]:
        """What kubectl answers, and what it warns of. Raises `RefusedError`."""
        done = subprocess.run(
            ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RefusedError(done.stderr.strip() or f"kubectl ended with {done.returncode}")
        return done.stdout, done.stderr.strip()

    def get(self, *arguments: str) -> Any:
        """Something that the API server has, by kubectl's words for it."""
        return json.loads(self.kubectl("get", "-o", "json", *arguments)[0])

    def apply(self, documents: list[dict[str, Any]], *options: str) -> str:
        """Apply by the server; what it warns of."""
        text = yaml.safe_dump_all(documents)
        return self.kubectl("apply", "--server-side", "--validate=strict", *options, "-f", "-", given=text)[1]

    # ---------------------------------------------------------------- start

    def _start(self) -> None:
        token = secrets.token_hex(16)
        (self.folder / "tokens.csv").write_text(f'{token},proof,proof,"system:masters"\n')
        self._write_keys()
        self._start_etcd()
        self._start_api()
        self._write_kubeconfig(token)
        until(self._is_ready, START_TIMEOUT_S)
        if self._nodes:
            for name in ("kube-controller-manager", "kube-scheduler"):
                self._start_controller(name)

    def _write_keys(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (self.folder / "accounts.key").write_bytes(private)
        (self.folder / "accounts.pub").write_bytes(public)

    def _start_etcd(self) -> None:
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        etcd = shutil.which("etcd")
        assert etcd is not None, "Debian's package is etcd-server"
        options = ["--name=proof", f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync"]
        options += [f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
        options += [
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=proof={peer}",
        ]
        self._etcd = client
        self.run("etcd", etcd, *options)

    def _start_api(self) -> None:
        self.run(
            "kube-apiserver",
            built(kubernetes("kube-apiserver")),
            f"--etcd-servers={self._etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",  # nothing in a pod asks the API server
            f"--secure-port={self._port}",
            f"--cert-dir={self.folder / 'certificates'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            f"--service-cluster-ip-range={SERVICES}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={self.folder / 'accounts.key'}",
            f"--service-account-key-file={self.folder / 'accounts.pub'}",
            "--kubelet-preferred-address-types=InternalIP",
        )

    def _write_kubeconfig(self, token: str) -> None:
        cluster = {
            "server": f"https://127.0.0.1:{self._port}",
            "certificate-authority": str(self.folder / "certificates/apiserver.crt"),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proof",
            "clusters": [{"name": "proof", "cluster": cluster}],
            "users": [{"name": "proof", "user": {"token": token}}],
            "contexts": [{"name": "proof", "context": {"cluster": "proof", "user": "proof"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))

    def _is_ready(self) -> bool:
        try:
            return self.kubectl("get", "--raw", "/readyz")[0] == "ok"
        except RefusedError:
            return False

    def _start_controller(self, name: str) -> None:
        options = [f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1"]
        options += [f"--secure-port={free_port()}", f"--cert-dir={self.folder / name}"]
        if name == "kube-controller-manager":
            options += [f"--root-ca-file={self.folder / 'certificates/apiserver.crt'}"]
            options += [f"--service-account-private-key-file={self.folder / 'accounts.key'}"]
            options += ["--horizontal-pod-autoscaler-sync-period=2s", "--allocate-node-cidrs=false"]
        self.run(name, built(kubernetes(name)), *options)


def _folder() -> tempfile.TemporaryDirectory[str]:
    """A kubelet leaves mounts in it, which end with the namespace that it ran in."""
    return tempfile.TemporaryDirectory(prefix="code-racer-plane-", ignore_cleanup_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(STOP_TIMEOUT_S)
