"""A real nginx, unprivileged, with what a test says in its http block."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.server import STEP_TIMEOUT_S

_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def nginx_program() -> str:
    """Where it is; Debian has it where only root looks."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found is not None, "nginx is missing; run: make test"
    return found


class Nginx:
    """Runs while in the block, in a folder of its own; `http` is the inside of its http block."""

    def __init__(self, folder: Path, http: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in _KINDS)
        self.conf = folder / "nginx.conf"
        self.conf.write_text(
            f"daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{paths}{http}\n}}\n"
        )

    def __enter__(self) -> Self:
        command: list[str | Path] = [nginx_program(), "-c", self.conf, "-p", self.folder]
        self._process = subprocess.Popen(command)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(STEP_TIMEOUT_S)


class ThroughProxy:
    """A server's players reach it on another port."""

    def __init__(self, port: int) -> None:
        self.ws_url = f"ws://127.0.0.1:{port}"
