"""What the event log's file costs: taken up at the start, and kept."""

import asyncio
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from app.eventlog import START, EventLog
from app.eventlog.sqlite import SqliteEventLog
from app.game import Create, GameEvent, Join, Rules, decide, fold
from tests.bench.contestants import Contestant, Service
from tests.bench.scenarios import Plan, Values, race_of
from tools.harness.games import PROBLEM

AT_ONCE = 500
TWO_HOURS_MS = 7_200_000


def take_up(plan: Plan, servers: list[Contestant]) -> Values:
    """A start with 10,000 open games in the log, in each of which it calls two players connected whom nobody has.

    Seconds from the start of the process: until it lets players in, and until all games are taken up; in half of the
    rounds there are none.
    """
    values: Values = {}
    for _ in range(plan.rounds):
        for count in (0, plan.of(10_000)):
            for server in servers:
                ready_s, taken_up_s = _start_with(server, count)
                values.setdefault(f"{count} games: ready", []).append(ready_s)
                values.setdefault(f"{count} games: all taken up", []).append(taken_up_s)
    return values


def _start_with(server: Contestant, games: int) -> tuple[float, float]:
    assert isinstance(server, Service)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.db"
        asyncio.run(leave_behind(file, games))
        server.settings = {"event_log_url": f"sqlite:///{file}"}
        began = time.monotonic()
        server.start()
        ready_s = time.monotonic() - began
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
            while _known_games(client) < games:
                time.sleep(0.05)
        taken_up_s = time.monotonic() - began
        server.stop()
    return ready_s, taken_up_s


def on_disk(plan: Plan, servers: list[Contestant]) -> Values:
    """A race of eight bots as the event log's file keeps it when it is over, KiB: all pages in use, by the races.

    Pages that are free are not counted: the next races use them.
    """
    count = plan.of(100)
    values: Values = {}
    for server in servers:
        assert isinstance(server, Service)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "log.db"
            server.settings = {"event_log_url": f"sqlite:///{file}", "sweep_interval_s": 0.5}
            server.start()
            for _ in range(count):
                asyncio.run(race_of(8, f"http://127.0.0.1:{server.port}"))
            with closing(sqlite3.connect(file)) as db:
                while db.execute("SELECT 1 FROM games WHERE packed IS NULL").fetchone():
                    time.sleep(0.1)
                pages, free, size = (
                    db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
                )
            server.stop()
        values[f"{count} games of 8"] = [(pages - free) * size / 1024 / count]
    return values


def _known_games(client: httpx.Client) -> float:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return sum(one.value for family in families for one in family.samples if one.name == "code_racer_games")


async def leave_behind(file: Path, games: int) -> None:
    """Write games as a process leaves them that is killed: two players each have a connection."""
    log = SqliteEventLog(file)
    await log.open()
    for first in range(0, games, AT_ONCE):
        await asyncio.gather(*(_write(log, f"{number:08d}") for number in range(first, min(games, first + AT_ONCE))))
    await log.close()


async def _write(log: EventLog, game_id: str) -> None:
    now = round(time.time() * 1000)
    cursor, events = START, list[GameEvent]()
    commands = (
        Create(game_id, "host", PROBLEM, Rules(time_limit_ms=TWO_HOURS_MS, waiting_ttl_ms=TWO_HOURS_MS)),
        Join("ann", "Ann", "dead-1"),
        Join("bob", "Bob", "dead-2"),
    )
    for command in commands:
        new = decide(fold(events), command, now)
        cursor = (await log.append(game_id, cursor, new)).cursor
        events += new
