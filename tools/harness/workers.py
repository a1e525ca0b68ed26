"""Workers without a supervisor: `serve --worker` with sockets that the test owns, so that it may stop or kill any."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx

from app.workers import Inherited, Share
from app.workers.share import ALONE
from tools.harness.server import STEP_TIMEOUT_S, ServerProcess, samples

HOST = "127.0.0.1"
BACKLOG = 128


class Worker(ServerProcess):
    """One of them; what it tells of itself comes through its own port."""

    def __init__(self, folder: Path, inherited: Inherited, **settings: object) -> None:
        super().__init__(folder, **settings)
        self.inherited = inherited

    def _launch(self, stdout: int | IO[bytes]) -> "subprocess.Popen[str]":
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "stderr.txt").open("a") as stderr:
            return subprocess.Popen(
                [sys.executable, "-m", self.module, "serve", "--worker", self.inherited.encode()],
                cwd=self.folder,
                env=self._environment(),
                stdout=stdout,
                stderr=stderr,
                text=True,
                encoding="utf-8",
                pass_fds=self.inherited.descriptors,
            )

    @property
    def ops_url(self) -> str:
        """Base of the URLs of its own port."""
        return f"http://{HOST}:{self.settings['OPS_PORT']}"

    def metrics(self) -> dict[str, float]:
        """All samples, by ``name{label="value",…}`` with sorted labels."""
        return samples(httpx.get(f"{self.ops_url}/metrics", timeout=STEP_TIMEOUT_S).text)


@contextlib.contextmanager
def workers(folder: Path, count: int = 2, **settings: object) -> Iterator[list[Worker]]:
    """Run that many workers, who share a port, while in the block; with one it is `serve` as ever, on such sockets."""
    with contextlib.ExitStack() as stack:
        game = stack.enter_context(_listening())
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
        controls = [socket.socketpair() for _ in range(count)]
        for one in (*(end for pair in (*pairs, *controls) for end in pair),):
            stack.enter_context(one)
        started = []
        for number in range(count):
            ops = stack.enter_context(_listening())
            inherited = Inherited(
                Share(number, count) if count > 1 else ALONE,
                (game.fileno(),),
                (ops.fileno(),),
                pairs[number][0].fileno(),
                tuple(sending.fileno() for _, sending in pairs),
                controls[number][0].fileno(),
                str(folder),
            )
            own = {"port": game.getsockname()[1], "ops_port": ops.getsockname()[1], "replica": f"worker-{number + 1}"}
            worker = Worker(folder / f"worker-{number + 1}", inherited, **(settings | own))
            started.append(stack.enter_context(worker))
        yield started


def _listening() -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((HOST, 0))
    one.listen(BACKLOG)
    return one
