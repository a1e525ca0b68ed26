"""For how long the event loop is away at a time, by what it does: `make bench-pauses` prints a table.

A service with its log on disk and 5,000 idle players is asked for one thing after the other. Nothing here passes or
fails; the figures depend on the machine. It stops by itself.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx

from tests.bench.generator import Generator, compiled
from tests.bench.report import text_of
from tests.bench.scenarios import SCRAPED_AS, Loaded, Plan, asked, connect, loaded, start_games
from tests.bench.turns import Asking, Turns, Watched

IDLE, ROOM, CROWD, VISITORS, JOINERS = 5_000, 50, 500, 400, 2_000
PHASE_S = 8.0
SCRAPES_PER_S, VISITS_PER_S = 4, 100
SLICE = 0.001
"""99.9 % of the moments are better than what is shown."""


@dataclass
class Stage:
    """A watched service; whoever else comes has a load generator of their own."""

    plan: Plan
    server: Watched
    asking: Asking
    stack: ExitStack

    @property
    def seconds(self) -> float:
        """Of a phase."""
        return max(0.5, PHASE_S * min(1.0, self.plan.scale))

    def players(self, count: int, room: int, *, visitors: int = 0) -> Loaded:
        """So many more, who are connected, but for the last, who are visitors."""
        one = self.stack.enter_context(joined(self.plan, self.server, count, room))
        if visitors:
            one.do("visitors", visitors)
        connect([one])
        return one


@contextmanager
def joined(plan: Plan, server: Watched, count: int, room: int) -> Iterator[Loaded]:
    """A load generator for a server that runs already."""
    with Generator(plan.program, server.port, server.requests(count, room), server.hello) as generator:
        yield Loaded(plan, server, generator)


Phase = Callable[[Stage], Callable[[], object]]
"""Prepares something, and returns what does it."""


def nothing(stage: Stage) -> Callable[[], object]:
    """Nothing: pings, timers, the sweep."""
    return lambda: time.sleep(stage.seconds)  # a phase has its time


def scrapes(stage: Stage) -> Callable[[], object]:
    """Answers 4 scrapes a second, with exemplars."""
    client = stage.stack.enter_context(httpx.Client(base_url=stage.server.server.http_url))

    def scraped() -> None:
        for _ in range(round(stage.seconds * SCRAPES_PER_S)):
            client.get("/metrics", headers={"accept": SCRAPED_AS["service, OpenMetrics"]}).raise_for_status()
            time.sleep(1 / SCRAPES_PER_S)  # as often as it says

    return scraped


def handshakes(stage: Stage) -> Callable[[], object]:
    """Sees 100 players a second come and go, and answers 50 messages a second."""
    visitors = stage.plan.of(VISITORS)
    one = stage.players(ROOM + visitors, ROOM, visitors=visitors)
    message = one.server.message("ping", {"timestamp": 1})
    return lambda: one.do("rate", ROOM, VISITS_PER_S, round(ROOM * stage.seconds), one.server.prefix("pong"), message)


def joins(stage: Stage) -> Callable[[], object]:
    """Lets in 2,000 players who stay, as fast as they come, 50 at once."""
    return lambda: stage.players(stage.plan.of(JOINERS), ROOM)


def durable(stage: Stage) -> Callable[[], object]:
    """Stores events on disk and tells them to a room of 50, as fast as it can."""
    one = stage.players(ROOM, ROOM + 1)
    variants = [one.server.message("ready", {"status": status}) for status in ("ready", "not_ready")]
    return lambda: one.do("fan", stage.plan.of(2_000), ROOM, ROOM, one.server.prefix("player_ready"), *variants)


def crowd(stage: Stage) -> Callable[[], object]:
    """Tells progress to a room of 500, as fast as it can."""
    members = max(2, stage.plan.of(CROWD))
    one = stage.players(members, members)
    start_games([one])
    message = one.server.message("progress", {"percent": 12.5, "lines": 10})
    wanted = one.server.prefix("player_progress")
    return lambda: one.do("fan", stage.plan.of(1_000), members, members - 1, wanted, message)


PHASES: tuple[Phase, ...] = (nothing, scrapes, handshakes, joins, durable, crowd)


def measured(stage: Stage, phase: Phase) -> Turns:
    """The turns of the loop within a phase."""
    do = phase(stage)
    stage.asking.turns()
    do()
    return stage.asking.turns()


def row(phase: Phase, turns: Turns) -> str:
    """What a phase shows, ms."""
    figures = [turns.lag(turns.used, SLICE), turns.longest, turns.lag(turns.away, SLICE)]
    return f"| {text_of(phase)} | {' | '.join(f'{figure * 1e3:.2f}' for figure in figures)} |"


def main(arguments: list[str] | None = None) -> int:
    """Measure each, and print the table."""
    names = [phase.__name__ for phase in PHASES]
    options = asked("python -m tests.bench.pauses", __doc__, names, 1, arguments)
    plan = Plan(compiled(), options.rounds, options.scale)
    server = Watched("service", settings={"event_log_url": "sqlite:///var/code-racer.db", "max_players": 1_000})
    print("| what it does | lag at 99.9 %, ms of processor | longest turn | lag at 99.9 %, ms by the clock |")
    print("|---|---|---|---|")
    with loaded(plan, [server], plan.of(IDLE), ROOM) as pairs:
        connect(pairs)
        with server.asking() as asking:
            for phase in PHASES:
                if not options.scenarios or phase.__name__ in options.scenarios:
                    with ExitStack() as stack:
                        turns = measured(Stage(plan, server, asking, stack), phase)
                    print(row(phase, turns), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
