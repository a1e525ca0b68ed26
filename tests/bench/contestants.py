"""Who is measured: the service and its peers, each started fresh on the server's core, answering the same messages."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import httpx

from tests.bench.generator import LOAD_CORE, SERVER_CORE, compiled, pinned
from tools.harness.server import UNLIMITED, ServerProcess
from tools.harness.tokens import token
from tools.harness.wire import upgrade

HERE = Path(__file__).parent
NODE = HERE.parent / "node"
ID_LENGTH = 120
"""As long as it takes for a player's progress to be a message of about 200 bytes."""
FREE = {
    "event_log_url": "memory:",
    "bytes_burst": 2**40,
    "max_games_per_player": 1_000_000,
    "api_requests_per_player_per_second": 0,
    "max_players_per_game": 500,
    "max_connections_per_player": 1_000,
    "handshakes_per_second": 0,
    "overload_lag_s": 60,
    "countdown_s": 0,
    **UNLIMITED,
    "max_events_per_game": 10**9,
}


def player_id(number: int) -> str:
    """The id of a player."""
    return f"player-{number}-".ljust(ID_LENGTH, "x")


def processor_s(pid: int) -> float:
    """Processor time of a process so far, all its threads (Linux: nanoseconds in schedstat)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def loop_s(pid: int) -> float:
    """Processor time of a process's first thread, which the event loop runs in."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def waited_s(pid: int) -> float:
    """Seconds for which a process was ready to run and had no core, all its threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[1]) for task in tasks) / 1e9


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


@dataclass
class Contestant:
    """A server under load. `processor_s` is of those of its processes that serve; `resident` its memory in bytes."""

    name: str
    pid: int = 0
    port: int = 0
    hello: str | None = None

    def start(self) -> None:
        """Start it on the server's core."""
        pinned(SERVER_CORE)
        try:
            self._start()
        finally:
            pinned(LOAD_CORE)

    def _start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """End it."""
        raise NotImplementedError

    def requests(self, count: int, room: int) -> list[bytes]:
        """Upgrade requests of so many players, in rooms of that size."""
        return [upgrade(f"/ws/{number // room}", f"player: {player_id(number)}") for number in range(count)]

    def message(self, type: str, data: object) -> str:
        """A message as its clients send it."""
        return json.dumps({"type": type, "data": data}, separators=(",", ":"))

    def prefix(self, type: str) -> str:
        """What a message of this type begins with."""
        return f'{{"type":"{type}"'

    @property
    def pids(self) -> list[int]:
        """All that serve."""
        return [self.pid]

    @property
    def processor_s(self) -> float:
        """Processor time so far of all that serve."""
        return sum(map(processor_s, self.pids))

    def scraped(self, every_s: float) -> AbstractContextManager[object]:
        """Have it scraped meanwhile, if it can be."""
        del every_s
        return nullcontext()

    @property
    def resident(self) -> int:
        """Resident memory."""
        return resident_bytes(self.pid)


@dataclass
class Service(Contestant):
    """Code Racer as it is run: metrics, logs and pings on. Only the limits that would stop a load are off."""

    settings: dict[str, object] = field(default_factory=dict)
    module: str = "app"
    absent: int = 0
    """So many players more than those who come are needed for a game to start: with one, none does."""

    def _start(self) -> None:
        self.server = self._server(Path(tempfile.mkdtemp(prefix="code-racer-")), {**FREE, **self.settings})
        self.server.start()
        self.pid, self.port = self.server.pid, int(self.server.settings["PORT"])

    def _server(self, folder: Path, settings: dict[str, object]) -> ServerProcess:
        return ServerProcess(folder, self.module, **settings)

    def stop(self) -> None:
        """See `Contestant.stop`."""
        self.server.kill()
        shutil.rmtree(self.server.folder)

    @contextmanager
    def scraped(self, every_s: float) -> Iterator[None]:
        """See `Contestant.scraped`: as Prometheus does, with exemplars."""
        ended = Event()

        def scrape() -> None:
            with httpx.Client(base_url=self.server.http_url) as client:
                while not ended.wait(every_s):
                    client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})

        thread = Thread(target=scrape)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def requests(self, count: int, room: int) -> list[bytes]:
        """Players in games of so many."""
        least = min(room, 100) + self.absent
        limits = {"min_players": least, "max_players": max(least, room, 100), "time_limit_s": 3600}
        headers = {"authorization": f"Bearer {token('host', 7_200, name='racer')}"}
        with httpx.Client(base_url=self.server.http_url, headers=headers) as client:
            games = self._games(client, limits, -(-count // room))
        return [
            upgrade(
                f"/ws/{games[number // room]}", f"Authorization: Bearer {token(player_id(number), 7_200, name='racer')}"
            )
            for number in range(count)
        ]

    def _games(self, client: httpx.Client, limits: dict[str, int], count: int) -> list[str]:
        return [client.post("/api/games", json=limits).json()["game_id"] for _ in range(count)]


@dataclass
class Peer(Contestant):
    """A program of `peers`, which prints its port."""

    command: tuple[str, ...] = ()
    secret: str = ""
    source: Path | None = None
    """A C program, compiled when it is started."""
    _program: Path | None = None

    def _start(self) -> None:
        if self.source is not None:
            self._program = compiled(self.source)
            self.command = (str(self._program),)
        environment = dict(os.environ) | ({"JWT_SECRET": self.secret} if self.secret else {})
        folder = NODE if self.command[0] == "node" else NODE.parents[1]
        self._process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder)
        assert self._process.stdout is not None
        self.pid, self.port = self._process.pid, int(self._process.stdout.readline())

    def stop(self) -> None:
        """See `Contestant.stop`."""
        if self._program is not None:
            shutil.rmtree(self._program.parent)
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def requests(self, count: int, room: int) -> list[bytes]:
        """With tokens where they are verified."""
        if not self.secret:
            return super().requests(count, room)
        return [
            upgrade(f"/ws/{number // room}", f"Authorization: Bearer {token(player_id(number), 7_200, name='racer')}")
            for number in range(count)
        ]


@dataclass
class SocketIo(Peer):
    """Socket.IO has an envelope of its own (Engine.IO packet 4, Socket.IO packet 2)."""

    def requests(self, count: int, room: int) -> list[bytes]:
        """Room and player in the query, where its clients have them."""
        return [
            upgrade(f"/socket.io/?EIO=4&transport=websocket&room={number // room}&player={player_id(number)}")
            for number in range(count)
        ]

    def message(self, type: str, data: object) -> str:
        """An event."""
        return "42" + json.dumps([type, data], separators=(",", ":"))

    def prefix(self, type: str) -> str:
        """Of an event."""
        return f'42["{type}"'


def c_peer(name: str, source: str) -> Peer:
    """A peer in C."""
    return Peer(name, source=HERE / "peers" / source)


def python_peer(name: str, module: str) -> Peer:
    """A peer in Python."""
    return Peer(name, command=(sys.executable, "-m", f"tests.bench.peers.{module}"))
