"""A real server with a bystander beside it, and what an attack does to the two."""

import contextlib
import json
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import httpx

from tests.attack.bystander import OTHERS
from tools.harness import fetch
from tools.harness.machine import Withheld, read_waited_ns
from tools.harness.processes import children
from tools.harness.server import ROOT, ServerProcess, samples

GUARD_BYTES: Final = 640 * 2**20
"""A server that has grown by so much is ended: the machine must outlive the attack."""
ADDRESS_SPACE_BYTES: Final = 6 * 2**30
SAMPLE_S: Final = 0.04
_PAGE: Final = resource.getpagesize()
_DRAIN_SETTINGS: Final = {"close_timeout_s": 1, "log_flush_timeout_s": 1, "trace_flush_timeout_s": 1}


class AttackedServer(ServerProcess):
    """A server of the given code; its address space has an end, so that the machine outlives it."""

    def __init__(self, folder: Path, code: Path, /, **settings: object) -> None:
        super().__init__(folder, **(_DRAIN_SETTINGS | {"log_file": ""} | settings))
        self.code = code

    def start(self) -> Self:
        """Start, and bound it; it meets SIGHUP as by default, also where its starter ignores it (nohup)."""
        ignored = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        try:
            super().start()
        finally:
            signal.signal(signal.SIGHUP, ignored)
        resource.prlimit(self.pid, resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
        return self

    def gone_after(self, timeout_s: float) -> bool | None:
        """Whether it ended within a time; None where it did not."""
        assert self._process is not None
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        self.wait()
        return True

    def new_game(self, token: str, **wishes: object) -> str:
        """A new game's id, asked for by somebody who is not the attacker."""
        with httpx.Client(transport=httpx.HTTPTransport(local_address=OTHERS), base_url=self.http_url) as client:
            headers = {"authorization": f"Bearer {token}"}
            answer = client.post("/api/games", json={"problem": "running-total", **wishes}, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["game_id"])

    def counted(self) -> dict[str, float]:
        """All samples of /metrics, wherever that is."""
        return samples(fetch.get(f"http://127.0.0.1:{self.ops_port}/metrics", timeout=10).text)

    @property
    def ops_port(self) -> int:
        """The port of probes and metrics; PORT where they have none of their own."""
        return int(self.logged("app.started")[-1].get("ops_port") or self.settings["PORT"])


class Helper:
    """A process of ours that is told and tells lines of JSON."""

    def __init__(self, *arguments: str) -> None:
        self._name = " ".join(arguments)
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def tell(self, document: object = None) -> None:
        """Give it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(document) + "\n")
        self._process.stdin.flush()

    def told(self, timeout_s: float = 30.0) -> Any:
        """Its next line. Raises RuntimeError where there is none."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            raise RuntimeError(f"{self._name} said nothing for {timeout_s:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} ended with {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """It ends, or is ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextlib.contextmanager
def helper(*arguments: str) -> Iterator[Helper]:
    """A helper while in the block."""
    with contextlib.closing(Helper(*arguments)) as one:
        yield one


def bystander(port: int, http_port: int, game: str, token: str) -> Helper:
    """A bystander who has come in."""
    one = Helper("tests.attack.bystander")
    one.tell({"port": port, "http_port": http_port, "path": f"/ws/{game}", "token": token})
    one.told()
    return one


# -------------------------------------------------------------------- what a process takes


def resident_bytes(pid: int) -> int:
    """Resident memory; 0 where the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def loop_cpu_s(pid: int) -> float:
    """Processor time of the event loop's thread, which is the first."""
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


class Watch:
    """Samples the memory of a server and of its workers while in the block, and ends a server that grows too far.

    `withheld` is how long the event loops of the server, and of those who look on `beside`, got no processor.
    """

    def __init__(self, server: ServerProcess, *beside: int) -> None:
        self._server = server
        self._loops = [Path(f"/proc/{pid}") for pid in (server.pid, *beside)]
        self.withheld = Withheld()
        self._over = threading.Event()
        self._base = resident_bytes(server.pid)
        self._workers = {pid: resident_bytes(pid) for pid in children(server.pid)}
        self._cpu = loop_cpu_s(server.pid)
        self.grown = 0
        self.workers_grown = 0
        self.cpu_s = 0.0
        self.was_ended = False
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.cpu_s = max(self.cpu_s, loop_cpu_s(self._server.pid) - self._cpu)

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self._look()

    def _look(self) -> None:
        self.withheld.add(time.monotonic(), sum(map(read_waited_ns, self._loops)) / 1e9)
        self.grown = max(self.grown, resident_bytes(self._server.pid) - self._base)
        normal = max(self._workers.values(), default=0)
        for pid in children(self._server.pid):
            grown = resident_bytes(pid) - self._workers.get(pid, normal)
            self.workers_grown = max(self.workers_grown, grown)
        self.cpu_s = max(self.cpu_s, loop_cpu_s(self._server.pid) - self._cpu)
        if max(self.grown, self.workers_grown) > GUARD_BYTES and self._server.alive:
            self.was_ended = True
            self._server.kill()


# -------------------------------------------------------------------- what the log says


class LogOf:
    """The log lines of a server from a moment on."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._lines = len(server.lines)
        self._errors = len(server.stderr)

    @property
    def text(self) -> str:
        """All that was written since."""
        return "\n".join([*self._server.lines[self._lines :], self._server.stderr[self._errors :]])

    @property
    def counted(self) -> Counter[str]:
        """Lines by event; what is no line of JSON counts as ``unreadable``."""
        found: Counter[str] = Counter()
        for line in list(self._server.lines[self._lines :]):
            try:
                record = json.loads(line)
            except ValueError:
                found["unreadable"] += 1
                continue
            found[str(record.get("event", record.get("message")))] += 1
        return found
