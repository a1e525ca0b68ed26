"""A real nginx, unprivileged, with what a test says in its http block."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools.harness.player import Player
from tools.harness.server import ROOT, STEP_TIMEOUT_S, free_port, until
from tools.harness.tls import Certificates, plain

_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def nginx_program() -> str:
    """Where it is; Debian has it where only root looks."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found is not None, "nginx is missing; run: make test"
    return found


class Nginx:
    """Runs while in the block, in a folder of its own; `http` is inside of its http block, `main` before that."""

    def __init__(self, folder: Path, http: str, main: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in _KINDS)
        self.conf = folder / "nginx.conf"
        self.conf.write_text(
            f"daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n{main}\nevents {{}}\n"
            f"http {{\naccess_log off;\n{paths}{http}\n}}\n"
        )

    def __enter__(self) -> Self:
        command: list[str | Path] = [nginx_program(), "-c", self.conf, "-p", self.folder]
        self._process = subprocess.Popen(command)
        until(self._is_up)
        return self

    def _is_up(self) -> bool:
        """It writes the file once it listens; it serves once it has workers."""
        assert self._process.poll() is None, self.errors
        return (self.folder / "nginx.pid").exists() and bool(self.workers)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(STEP_TIMEOUT_S)

    def reload(self) -> None:
        """Read the configuration again, as ``nginx -s reload`` does."""
        self._process.send_signal(signal.SIGHUP)

    @property
    def workers(self) -> set[int]:
        """Process ids of the workers: those of before a reload among them while they still serve somebody."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return set(map(int, children.split()))

    @property
    def errors(self) -> str:
        """What it complained of."""
        return (self.folder / "error.log").read_text()


class ThroughProxy:
    """A server's players reach it at another address."""

    def __init__(self, port: int, scheme: str = "ws", host: str = "127.0.0.1") -> None:
        self.ws_url = f"{scheme}://{host}:{port}"


class Site(Nginx):
    """The shipped site (deploy/nginx), with TLS, on free ports and before the replicas given as ``host:port``.

    `base` is where players come; `trust` believes its certificate.
    """

    code = ROOT
    """The checkout whose site it is."""

    def __init__(self, folder: Path, replicas: Sequence[str], real_ip: str = "", **changes: str) -> None:
        own = folder / "code-racer"
        self.certificates = Certificates(folder / "tls", days=90)  # longer than the alerts' fourteen
        self.plain_port, self.port, self.log = free_port(), free_port(), folder / "code-racer.log"
        workers = self.code / "deploy/nginx/workers.conf"  # which releases of before do not have
        main = workers.read_text() if workers.exists() else ""
        site = (self.code / "deploy/nginx/code-racer.conf").read_text()
        for old, new in {
            "/etc/nginx/code-racer/tls.crt": str(self.certificates.cert),
            "/etc/nginx/code-racer/tls.key": str(self.certificates.key),
            "/etc/nginx/code-racer/": f"{own}/",
            "/var/log/nginx/": f"{folder}/",
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "listen 443 ": f"listen 127.0.0.1:{self.port} ",
            **changes,
        }.items():
            assert old in site or old in main, f"{old} is not in the site"
            site, main = site.replace(old, new), main.replace(old, new)
        super().__init__(folder, site, main)
        own.mkdir(parents=True)
        (own / "replicas.conf").write_text("".join(f"server {one} max_fails=0;\n" for one in replicas))
        if real_ip:
            (own / "real-ip.conf").write_text(real_ip)
        self.base, self.ws_url = f"https://localhost:{self.port}", f"wss://localhost:{self.port}"
        self.trust = ssl.create_default_context(cafile=str(self.certificates.ca))

    def player(self, game: str, token: str, query: str = "", **options: Any) -> Player:
        """A player who comes through it; with a query, without a header."""
        if query:
            options.setdefault("additional_headers", {})
        tcp = options.pop("sock", None) or socket.create_connection(("127.0.0.1", self.port), STEP_TIMEOUT_S)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        inside = plain(self.trust.wrap_socket(tcp, server_hostname="localhost"))
        through = ThroughProxy(self.port, "ws", "localhost")
        return Player(through, game, token, query, sock=inside, **options)  # type: ignore[arg-type] # as much of a server as a player needs
