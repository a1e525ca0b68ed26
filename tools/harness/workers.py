"""Workers of one port: `Supervised`, as they are served, and `bare`, on sockets of the test, which may end any."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from app.workers import Inherited, Share
from app.workers.share import ALONE
from tools.harness import fetch
from tools.harness.processes import freeze
from tools.harness.server import START_TIMEOUT_S, STEP_TIMEOUT_S, ServerProcess, free_port, samples, until

HOST = "127.0.0.1"
BACKLOG = 128
WORKERS = 2


class Supervised(ServerProcess):
    """`serve --workers 2`: a supervisor with two workers; of the workers each is known by its number, from 1."""

    def __init__(self, folder: Path, /, **settings: object) -> None:
        # Tests make games, each by one player, until each worker has one.
        many = {"max_games_per_player": 1_000, "api_requests_per_player_per_second": 0}
        super().__init__(folder, **({"ops_port": free_port(1, 2)} | many | settings))
        self.arguments = ("--workers", str(WORKERS))

    def start(self) -> Self:
        """Start, and wait until all workers are ready."""
        before = len(self.logged("supervisor.started"))
        super().start()
        self.wait_for_log("supervisor.started", timeout_s=START_TIMEOUT_S, skip=before)
        return self

    @property
    def ops_url(self) -> str:
        """Base of the supervisor's own URLs."""
        return f"http://{HOST}:{self.settings['OPS_PORT']}"

    def pids(self) -> dict[int, int]:
        """The process of each worker that was started last."""
        return {record["worker"]: record["pid"] for record in self.logged("worker.started")}

    def worker_url(self, number: int) -> str:
        """Base of the URLs of a worker's own port."""
        return f"http://{HOST}:{int(self.settings['OPS_PORT']) + number}"

    def until_all_ready(self) -> Any:
        """Wait until all are; the answer."""
        until(lambda: fetch.get(f"{self.ops_url}/readyz").is_success, START_TIMEOUT_S)
        return fetch.get(f"{self.ops_url}/readyz").json()

    def until_followed(self, number: int, pid: int) -> None:
        """Wait until that process of a worker is followed by another, and all are ready."""
        until(lambda: self.pids()[number] != pid, START_TIMEOUT_S)
        self.until_all_ready()

    def figures(self) -> dict[str, float]:
        """The supervisor's metrics."""
        return samples(fetch.get(f"{self.ops_url}/metrics").text)

    def figures_of(self, number: int) -> dict[str, float]:
        """A worker's metrics."""
        return samples(fetch.get(f"{self.worker_url(number)}/metrics", timeout=STEP_TIMEOUT_S).text)


class Worker(ServerProcess):
    """One of the bare; what it tells of itself comes through its own port."""

    def __init__(self, folder: Path, inherited: Inherited, **settings: object) -> None:
        super().__init__(folder, **settings)
        self.arguments = ("--worker", inherited.encode())
        self.descriptors = inherited.descriptors

    @property
    def ops_url(self) -> str:
        """Base of the URLs of its own port."""
        return f"http://{HOST}:{self.settings['OPS_PORT']}"

    def metrics(self) -> dict[str, float]:
        """All samples, by ``name{label="value",…}`` with sorted labels."""
        return samples(fetch.get(f"{self.ops_url}/metrics", timeout=STEP_TIMEOUT_S).text)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Have it stand still while in the block: connections are accepted by the others."""
        freeze(self.pid)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


@contextlib.contextmanager
def bare(
    folder: Path, count: int = WORKERS, *, have_own_ports: bool = False, **settings: object
) -> Iterator[list[Worker]]:
    """Run that many workers, who share a port, while in the block; with one it is `serve` as ever, on such sockets.

    Those that have their own ports hand connections over as ever, and who accepts one is known before.
    """
    with contextlib.ExitStack() as stack:
        games = [stack.enter_context(_listening()) for _ in range(count if have_own_ports else 1)]
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
        news = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
        controls = [socket.socketpair() for _ in range(count)]
        for one in (*(end for pair in (*pairs, *news, *controls) for end in pair),):
            stack.enter_context(one)
        started = []
        for number in range(count):
            ops, game = stack.enter_context(_listening()), games[number % len(games)]
            inherited = Inherited(
                Share(number, count) if count > 1 else ALONE,
                (game.fileno(),),
                (ops.fileno(),),
                pairs[number][0].fileno(),
                tuple(sending.fileno() for _, sending in pairs),
                news[number][0].fileno(),
                tuple(sending.fileno() for _, sending in news),
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
