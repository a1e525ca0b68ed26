"""What the cores of one machine cost: two workers beside one process. `make bench-workers` writes the page of it.

All are loaded in turns, a round each, on one core, the load on another: the figure is the processor time of all that
serve, per unit. Of two workers behind one port about half of the connections are handed over; where each has a port of
its own none is, or all are. Two processes that share nothing, not even the port, tell what it costs to be two from what
it costs to share. Throughput is measured after that, with servers and load on all cores together. Nothing
here passes or fails; the figures depend on the machine, the ratios less so.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from app.workers import Share
from tests.bench.contestants import FREE, Contestant, Service, processor_s
from tests.bench.generator import compiled
from tests.bench.report import cell, machine
from tests.bench.scenarios import (
    Loaded,
    Plan,
    Values,
    asked,
    connect,
    in_turns,
    loaded,
    ping_command,
    progress_command,
    start_games,
)
from tools.harness.server import ServerProcess, until
from tools.harness.workers import WORKERS, Supervised, Worker, bare

CONNECTIONS = 100
MOST = 1.1
"""The goal: what two workers take for a message is at most that times what one process takes."""
EVEN = 1.1
"""The goal: what one worker takes is at most that times what the other takes."""
FILE: dict[str, object] = {"event_log_url": "sqlite:///games.db", "reconnect_grace_s": 600}
CORES = (1, 2, 4, 8)
"""What the page sizes; with more than two, each worker is taken to cost what one of two does."""
SIZES = {
    "echo": "messages answered",
    "fan-out, 10": "deliveries of progress, in games of 10",
    "durable, 10": "deliveries of durable events, in games of 10",
    "handshake": "handshakes, each welcomed and closed again",
}
PAGE = Path(__file__).parents[2] / "docs" / "speed-workers.md"
ALL_CORES = os.sched_getaffinity(0)
ONE, TWO, STAYED, HANDED = "one process", "two workers", "two, none handed over", "two, all handed over"
UNRELATED = "two that share nothing"


@dataclass
class Workers(Service):
    """`serve --workers 2`, whose games are half of the one's, half of the other's."""

    def _server(self, folder: Path, settings: dict[str, object]) -> ServerProcess:
        return Supervised(folder, **settings)

    @property
    def workers(self) -> list[int]:
        """Their processes, in order."""
        assert isinstance(self.server, Supervised)
        return [pid for _, pid in sorted(self.server.pids().items())]

    @property
    def pids(self) -> list[int]:
        """With the supervisor."""
        return [self.pid, *self.workers]

    def _games(self, client: httpx.Client, limits: dict[str, int], count: int) -> list[str]:
        games: dict[int, list[str]] = {number: [] for number in range(WORKERS)}
        share = Share(0, WORKERS)
        while any(len(held) < count / WORKERS for held in games.values()):
            answer = client.post("/api/games", json=limits, headers={"connection": "close"})  # whoever accepts owns it
            game_id = answer.json()["game_id"]
            games[share.owner(game_id)].append(game_id)
        return [game_id for pair in zip(*games.values(), strict=False) for game_id in pair][:count]


@dataclass
class Apart(Service):
    """Two workers with a port each: the first accepts, and has all games, or none."""

    owner: int = 0

    def _start(self) -> None:
        self._stack = ExitStack()
        self._folder = Path(tempfile.mkdtemp(prefix="code-racer-"))
        self._both = self._stack.enter_context(bare(self._folder, have_own_ports=True, **(FREE | self.settings)))
        self.port = int(self._both[0].settings["PORT"])
        self.server: Worker = self._both[self.owner]  # where games are made

    def stop(self) -> None:
        """See `Contestant.stop`."""
        self._stack.close()
        shutil.rmtree(self._folder)

    @property
    def pids(self) -> list[int]:
        """Both."""
        return [one.pid for one in self._both]


@dataclass
class Unrelated(Service):
    """Two processes that know nothing of each other: each has a port, a file, and half of the games."""

    def _start(self) -> None:
        self._both = [Service(self.name, settings=self.settings, absent=self.absent) for _ in range(WORKERS)]
        for one in self._both:
            one.start()

    def stop(self) -> None:
        """See `Contestant.stop`."""
        for one in self._both:
            one.stop()

    @property
    def pids(self) -> list[int]:
        """Both."""
        return [one.pid for one in self._both]

    def requests(self, count: int, room: int) -> list[bytes]:
        """Players of games of one and of the other in turns."""
        rooms = -(-count // room)
        each = [one.requests(-(-rooms // WORKERS) * room, room) for one in self._both]
        found: list[bytes] = []
        for first in range(0, len(each[0]), room):
            for one, requests in zip(self._both, each, strict=True):
                found += [to(one.port, request) for request in requests[first : first + room]]
        return found[:count]


def to(port: int, request: bytes) -> bytes:
    """A request, for the load generator to send to a port."""
    return request.replace(b"Host: localhost", f"Host: localhost:{port}".encode(), 1)


def echo(plan: Plan, pairs: list[Loaded]) -> Values:
    """A JSON ``ping`` answered with a JSON ``pong``, one at a time on each of 100 connections in two games."""
    return in_turns(plan, pairs, lambda one: ping_command(plan, one))


def fan_out(plan: Plan, pairs: list[Loaded]) -> Values:
    """A player's progress, about 200 bytes, to the others of a running game, ten games of ten; one delivery."""
    start_games(pairs)
    return in_turns(plan, pairs, lambda one: progress_command(one, 10, plan.of(60_000) // 10))


def durable(plan: Plan, pairs: list[Loaded]) -> Values:
    """A player is ready, or not: decided, stored in a file, then told to all ten of one of ten games; one delivery."""
    return in_turns(plan, pairs, lambda one: durable_command(plan, one))


def durable_command(plan: Plan, one: Loaded) -> tuple[object, ...]:
    """See `durable`."""
    variants = [one.server.message("ready", {"status": status}) for status in ("ready", "not_ready")]
    return "fan", plan.of(20_000) // 10, 10, 10, one.server.prefix("player_ready"), *variants


def handshakes(plan: Plan, pairs: list[Loaded]) -> Values:
    """Connect with a token that is verified, be welcomed, close; each player to a game of their own."""
    return in_turns(plan, pairs, lambda _: ("churn", plan.of(1_000), 100))


@dataclass(frozen=True)
class Scenario:
    """Something to measure: games of `room` players, who are `joined` before, or come and go; `absent` never come."""

    measure: Callable[[Plan, list[Loaded]], Values]
    room: int
    count: int = CONNECTIONS
    joined: bool = True
    absent: int = 0


SCENARIOS = {
    "echo": Scenario(echo, CONNECTIONS // 2),
    "fan-out, 10": Scenario(fan_out, 10),
    "durable, 10": Scenario(durable, 10, 400, absent=1),  # a game that starts would take no one's readiness
    "handshake": Scenario(handshakes, 1, 1_000, joined=False),
}


def contestants(absent: int) -> list[Contestant]:
    """Who is measured."""
    return [
        Service(ONE, settings=FILE, absent=absent),
        Workers(TWO, settings=FILE, absent=absent),
        Unrelated(UNRELATED, settings=FILE, absent=absent),
        Apart(STAYED, settings=FILE, absent=absent),
        Apart(HANDED, settings=FILE, absent=absent, owner=1),
    ]


@dataclass
class Figures:
    """What was measured of a scenario."""

    values: Values
    shares: list[float]
    """Processor seconds of each of the two workers behind one port."""
    throughput: dict[str, dict[str, float]]
    syncs: dict[str, float]


def measure(name: str, plan: Plan) -> Figures:
    """Measure one scenario."""
    scenario = SCENARIOS[name]
    count = plan.of(scenario.count) if not scenario.joined else scenario.count
    with loaded(plan, contestants(scenario.absent), count, scenario.room) as pairs:
        if scenario.joined:
            connect(pairs)
        two = next(one.server for one in pairs if isinstance(one.server, Workers))
        before = [processor_s(pid) for pid in two.workers]
        values = scenario.measure(plan, pairs)
        shares = [processor_s(pid) - was for pid, was in zip(two.workers, before, strict=True)]
        syncs = {one.server.name: syncs_per_event(plan, one) for one in pairs[:2]} if name.startswith("durable") else {}
        free([pid for one in pairs for pid in (*one.server.pids, one.generator.pid)])
        throughput = {one.server.name: rates(one, command_of(name, plan, one)) for one in pairs[:2]}
    return Figures(values, shares, throughput, syncs)


def command_of(name: str, plan: Plan, one: Loaded) -> tuple[object, ...]:
    """The command of a scenario, once more."""
    commands: dict[str, Callable[[], tuple[object, ...]]] = {
        "echo": lambda: ping_command(plan, one),
        "fan-out, 10": lambda: progress_command(one, 10, plan.of(60_000) // 10),
        "durable, 10": lambda: durable_command(plan, one),
        "handshake": lambda: ("churn", plan.of(1_000), 100),
    }
    return commands[name]()


def free(pids: list[int]) -> None:
    """Let processes run on any core."""
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), ALL_CORES)


def rates(one: Loaded, command: tuple[object, ...]) -> dict[str, float]:
    """A second: units, and cores that the servers and the load used."""
    before = one.server.processor_s
    told = one.generator.do(*command)
    served_s = one.server.processor_s - before
    return {
        "a second": told["messages"] / told["seconds"],
        "cores of the servers": served_s / told["seconds"],
        "cores of the load": told["busy"],
    }


def syncs_per_event(plan: Plan, one: Loaded) -> float:
    """How often the disk is waited for, for each durable event; NaN where strace is not there, or may not look."""
    command = durable_command(plan, one)
    with counting_syncs(one.server.pids) as counted:
        one.generator.do(*command)
    return counted() / int(str(command[1]))


def is_traced(pid: int) -> bool:
    """Return whether another process is attached to this one (proc_pid_status(5))."""
    return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()


@contextlib.contextmanager
def counting_syncs(pids: list[int]) -> Iterator[Callable[[], float]]:
    """Have the processes' calls of fsync and fdatasync counted while in the block."""
    program = shutil.which("strace")
    if program is None:
        yield lambda: float("nan")
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "calls"
        which = [part for pid in pids for part in ("-p", str(pid))]
        tracing = subprocess.Popen([program, "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(file), *which])
        until(lambda: all(is_traced(pid) for pid in pids) or tracing.poll() is not None)
        counts: list[float] = []
        try:
            yield lambda: counts[0]
        finally:
            tracing.send_signal(signal.SIGINT)
            tracing.wait()
            lines = file.read_text().splitlines() if file.exists() else []
            counts.append(float(sum("sync(" in line for line in lines)) if lines else float("nan"))


def ratio(values: Values, ours: str, other: str = ONE) -> float:
    """The median of what is ours divided by what another takes, within the rounds."""
    return median(one / two for one, two in zip(values[ours], values[other], strict=True))


def table(name: str, figures: Figures) -> str:
    """One scenario."""
    doc = " ".join((SCENARIOS[name].measure.__doc__ or "").split())
    lines = [f"### {name}", "", doc, "", "| | µs: median (least to most) | times one process |", "|---|---|---|"]
    for who, values in figures.values.items():
        lines.append(f"| {who} | {cell(values)} | {ratio(figures.values, who):.2f} |")
    less, more = sorted(figures.shares)
    sharing = ratio(figures.values, TWO, UNRELATED)
    lines += ["", f"Two workers take {sharing:.2f} times what two take that share nothing."]
    lines += [f"One worker takes {more / less:.2f} times what the other takes (goal: {EVEN})."]
    for who, syncs in figures.syncs.items():
        lines.append(f"Syncs for each event, {who}: {syncs:.2f}.")
    lines += [
        "",
        "| on all cores together | a second | cores of the servers | cores of the load |",
        "|---|---|---|---|",
    ]
    for who, rate in figures.throughput.items():
        a_second, servers, load = rate.values()
        lines.append(f"| {who} | {a_second:,.0f} | {servers:.2f} | {load:.2f} |")
    return "\n".join([*lines, ""])


def sizing(found: dict[str, Figures]) -> str:
    """What so many cores carry of each thing, at half of what they can, if they carry nothing else."""
    lines = [
        f"| workers, a core each | {' | '.join(map(str, CORES))} |",
        f"|---|{'---|' * len(CORES)}",
    ]
    for name, text in SIZES.items():
        carried = [cores / 2 * 1e6 / median(found[name].values[ONE if cores == 1 else TWO]) for cores in CORES]
        lines.append(f"| {text}, a second | {' | '.join(f'{one:,.0f}' for one in carried)} |")
    return "\n".join([*lines, ""])


def page(found: dict[str, Figures]) -> str:
    """The whole page."""
    head = INTRODUCTION.format(machine=machine(), most=MOST, sizing=sizing(found))
    return "\n".join([head, *(table(name, figures) for name, figures in found.items())])


INTRODUCTION = """# Workers

Written by `make bench-workers`: {machine}.

Two workers (`serve --workers 2`) beside one process, each with its games in files. The figure is µs of the processor
for a unit, of all processes that serve, pinned to one core together: the median of the rounds. Goal: two workers take
at most {most} times what one process takes. Behind one port about half of the connections are handed over; where each
worker has a port of its own none is, or all are. Two processes that share nothing tell what it costs to be two (each
batch is half as large, and two programs have the core's caches) from what it costs to share a port. Machines differ
and are noisy: read the ratios.

## By cores

At half of what they can, and nothing else to do. One and two are measured; more are reckoned, each worker at what one
of two takes. The judge's processes (`JUDGE_PROCESSES`) want cores of their own where many hand in.

{sizing}
## Why two cost more

Two processes that share nothing cost more too: batches are half as large in each, and two programs have one core's
caches. The rest of a handshake was counted in calls of functions (cProfile): of one process 1,605; of a worker that
hands nothing over 1,676 (1.04: it looks whose a game is, and tells the other who is connected); of two behind one port
1,734 (1.08); where all are handed over 1,879 (1.17), as each is accepted, and the head of its request read, twice.
Where each worker has a port of its own, one has all games, so its batches are whole. The listening socket that all wait
on is no reason: to have one worker woken alone (`EPOLLEXCLUSIVE`, in turns) took 0.97 times as long, the median of 21
rounds from 0.80 to 1.21, which is noise, and was left.

## Scenarios
"""


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure and print, and where everything was measured in full, write the page; the figures."""
    options = asked("python -m tests.bench.workers", __doc__, SCENARIOS, 9, arguments)
    plan = Plan(compiled(), options.rounds, options.scale)
    print(f"{machine()}; goal: two workers at most {MOST} times one process\n", flush=True)
    found: dict[str, Figures] = {}
    for name in options.scenarios or list(SCENARIOS):
        found[name] = measure(name, plan)
        print(table(name, found[name]), flush=True)
    told = {name: vars(figures) for name, figures in found.items()}
    if options.json:
        options.json.write_text(json.dumps(told, indent=1))
    if not options.scenarios and options.scale >= 1:
        PAGE.write_text(page(found))
        print(f"written: {PAGE}", file=sys.stderr)
    return told


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    main()
