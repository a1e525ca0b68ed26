"""What a replica, the event log and the other replicas cost by numbers: `make bench-sizing` writes docs/sizing.*.

The costs at 1,000 and 10,000 connections are what `tools.sizing` reckons with; those at 18,000 are measured to see
whether it reckons right. Nothing here passes or fails by them. It stops by itself, and keeps within 20,000 descriptors.
"""

import asyncio
import signal
import sys
import tempfile
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
import nats as nats_client

from app.eventlog.coordination import Subscription
from app.realtime.cluster.presence import Presence
from tests.bench.contestants import Service, processor_s, resident_bytes
from tests.bench.generator import compiled
from tests.bench.on_nats import OnNats
from tests.bench.report import machine
from tests.bench.scenarios import (
    Loaded,
    Plan,
    asked,
    connect,
    handshakes,
    loaded,
    ping_command,
    progress_command,
    race_of,
    start_games,
)
from tools import sizing
from tools.harness.nats import Nats
from tools.sizing import Habits, Measured, Point

DOCS: Final = Path(__file__).parents[2] / "docs"
SIZES: Final = (1_000, 10_000, 18_000)
ROOM: Final = 8
IDLE_S: Final = 20.0
STEP_TIMEOUT_S: Final = 60.0


def point(plan: Plan, size: int) -> Point:
    """Measure a replica with so many joined connections, in games of eight: idle, then all of them active."""
    count = plan.of(size) // ROOM * ROOM or ROOM
    idle_s = IDLE_S * min(1.0, plan.scale)
    with loaded(plan, [Service("service")], count, ROOM) as pairs:
        connect(pairs)
        (one,) = pairs
        resident, before = one.server.resident, one.server.processor_s
        one.generator.do("hold", idle_s)
        idle_us = (one.server.processor_s - before) / idle_s / count * 1e6
        start_games(pairs)
        messages = max(count, plan.of(60_000)) // (ROOM - 1)
        costs = [one.cost(*progress_command(one, ROOM, messages)) for _ in range(plan.rounds + 1)]
    return Point(count, resident, idle_us, median(costs[1:]))


def message_us(plan: Plan) -> float:
    """Measure an answered message among 1,000 connections."""
    with loaded(plan, [Service("service")], plan.of(1_000), ROOM) as pairs:
        connect(pairs)
        return median([pairs[0].cost(*ping_command(plan, pairs[0])) for _ in range(plan.rounds + 1)][1:])


def commit_command(plan: Plan, one: Loaded) -> tuple[object, ...]:
    """A player is ready, or not; all eight are told."""
    variants = [one.server.message("ready", {"status": status}) for status in ("ready", "not_ready")]
    return "fan", plan.of(20_000) // ROOM, ROOM, ROOM, one.server.prefix("player_ready"), *variants


def commits(plan: Plan) -> dict[str, float]:
    """Measure a commit on the event log that replicas share: at the service, at the server of NATS, and its size."""
    with tempfile.TemporaryDirectory() as folder, Nats(Path(folder)) as nats:
        service = OnNats("service", settings={"event_log_url": nats.url}, absent=1)
        with loaded(plan, [service], 50 * ROOM, ROOM) as pairs:
            (one,) = pairs
            asyncio.run(race_of(ROOM, service.server.http_url))
            size = asyncio.run(mean_size(nats.url))
            connect(pairs)
            one.cost(*commit_command(plan, one))
            before = processor_s(nats.nodes[0].pid)
            costs = [one.cost(*commit_command(plan, one)) for _ in range(plan.rounds)]
            stored_s = processor_s(nats.nodes[0].pid) - before
    told = plan.rounds * (plan.of(20_000) // ROOM)
    return {"commit_us": median(costs) * ROOM, "stored_us": stored_s / told * 1e6, "commit_bytes": size}


async def mean_size(url: str) -> float:
    """What one commit takes in the stream."""
    client = await nats_client.connect(url)
    try:
        state = (await client.jetstream().stream_info("CODE_RACER")).state
    finally:
        await client.close()
    return state.bytes / state.messages


def subject_bytes(plan: Plan) -> float:
    """Measure what a server of NATS keeps in memory for each subject of a stream."""
    unsynced = "sync_interval: 2m"  # the last one counts: how soon it is on the disk is no matter here
    with tempfile.TemporaryDirectory() as folder, Nats(Path(folder), limits=unsynced) as nats:
        return asyncio.run(filled(nats, plan.of(200_000)))


async def filled(nats: Nats, count: int) -> float:
    """Store a message in each of so many subjects twice over; the second half tells what one takes."""
    client = await nats_client.connect(nats.url)
    try:
        stream = client.jetstream()
        await stream.add_stream(name="SIZING", subjects=["game.*.log"])
        resident = []
        for half in range(2):
            for number in range(count // 2):
                await client.publish(f"game.{uuid.uuid4().hex}.log", b"x" * 200)
                if number % 500 == 0:
                    await stream.stream_info("SIZING")  # so that no more than these wait in the server
            async with asyncio.timeout(STEP_TIMEOUT_S):
                while (await stream.stream_info("SIZING")).state.messages < (half + 1) * (count // 2):  # noqa: ASYNC110 - another process's
                    await asyncio.sleep(0.1)
            resident.append(await asyncio.to_thread(resident_bytes, nats.nodes[0].pid))
        return (resident[1] - resident[0]) / (count // 2)
    finally:
        await client.close()


class Between:
    """What replicas tell each other, told to one of them by hand: a stand-in for the log's broadcasts."""

    shared = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.receive: Callable[[bytes], None] = self.sent.append

    def broadcast(self, topic: str, payload: bytes) -> None:
        """Keep it."""
        del topic
        self.sent.append(payload)

    async def subscribe(self, topic: str, receive: Callable[[bytes], None]) -> Subscription:
        """Remember who listens."""
        del topic
        self.receive = receive
        return Ended()


class Ended:
    """A subscription that nobody ends."""

    def close(self) -> None:
        """See `Subscription`."""


async def remote(plan: Plan) -> dict[str, float]:
    """Measure what a player on another replica costs: memory, and hearing of it once a minute."""
    there, here = Between(), Between()
    count = plan.of(20_000)
    sender = presence(there, "there")
    for _ in range(count):
        sender.add(uuid.uuid4().hex, 1)
    tasks = [asyncio.create_task(sender.run()), asyncio.create_task(presence(here, "here").run())]
    async with asyncio.timeout(STEP_TIMEOUT_S):
        while len(there.sent) < 2 or b'"more"' in there.sent[-1]:  # noqa: ASYNC110 - a stand-in has no event
            await asyncio.sleep(0.05)
    reports = there.sent[1:]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for report in reports:
        here.receive(report)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    began = time.process_time()
    for report in reports:
        here.receive(report)
    used_s = time.process_time() - began
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"remote_bytes": held / count, "remote_us": used_s / count * 1e6}


def presence(between: Between, instance: str) -> Presence:
    """Of a replica."""
    return Presence(between, instance, lambda _: True, lambda *_: None)  # type: ignore[arg-type]  # all it asks of one


PARTS: Final[dict[str, Callable[[Plan], dict[str, Any]]]] = {
    "a commit": commits,
    "a kept game": lambda plan: {"subject_bytes": subject_bytes(plan)},
    "a handshake": lambda plan: {"handshake_us": median(handshakes(plan, [Service("service")])["service"])},
    "a message": lambda plan: {"message_us": message_us(plan)},
    "connections": lambda plan: {"points": tuple(point(plan, size) for size in SIZES)},
    "another replica": lambda plan: asyncio.run(remote(plan)),
}
"""Each measures some of the figures of `Measured`."""


def measure(plan: Plan, names: Iterable[str]) -> dict[str, Any]:
    """Measure these parts."""
    found: dict[str, Any] = {}
    for name in names:
        found |= PARTS[name](plan)
        print(name, {key: value for key, value in found.items() if key != "points"}, file=sys.stderr, flush=True)
    return found


# ---------------------------------------------------------------- the page


def points_table(measured: Measured) -> str:
    """What was measured at each size, and what the first two say of the others."""
    lines = [
        "| connections | memory, MiB | reckoned | idle: % of a core | reckoned | a delivery, µs | reckoned |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, one in enumerate(measured.points):
        reckoned = (
            f"{sizing.resident_bytes(measured, one.connections) / 2**20:.0f}",
            f"{sizing.idle_us(measured, one.connections) * one.connections / 1e4:.2f}",
            f"{sizing.delivery_us(measured, one.connections):.1f}",
        )
        memory, idle, delivery = reckoned if number > 1 else ("", "", "")
        lines.append(
            f"| {one.connections:,} | {one.resident_bytes / 2**20:.0f} | {memory}"
            f" | {one.idle_us * one.connections / 1e4:.2f} | {idle} | {one.delivery_us:.1f} | {delivery} |"
        )
    return "\n".join(lines)


def costs_table(measured: Measured) -> str:
    """The other costs."""
    rows = (
        ("a message answered, among 1,000 connections", f"{measured.message_us:.1f} µs"),
        ("a handshake, welcomed and closed again", f"{measured.handshake_us:.0f} µs"),
        ("a commit on NATS (R1), decided, stored and told to eight", f"{measured.commit_us:.0f} µs"),
        ("the same, at the server of NATS", f"{measured.stored_us:.0f} µs"),
        ("a commit in the stream, besides code that is handed in", f"{measured.commit_bytes:.0f} bytes"),
        ("a kept game, in the memory of each server of NATS", f"{measured.subject_bytes:.0f} bytes"),
        ("a player on another replica, in memory", f"{measured.remote_bytes:.0f} bytes"),
        ("hearing of that player, once a minute", f"{measured.remote_us:.2f} µs"),
    )
    return "\n".join(["| | measured |", "|---|---|", *(f"| {text} | {figure} |" for text, figure in rows)])


def limits_table(measured: Measured) -> str:
    """Where it breaks, first things first."""
    lines = ["| what breaks | at players |", "|---|---|"]
    found = sizing.limits(measured, Habits())
    return "\n".join([*lines, *(f"| {one.text} | {one.players:,.0f} |" for one in found)])


def page(measured: Measured) -> str:
    """The whole page."""
    each = [sizing.sizes(measured, Habits(), players) for players in (1_000, 10_000, 100_000, 1_000_000)]
    return PAGE.format(
        machine=measured.machine,
        points=points_table(measured),
        costs=costs_table(measured),
        sizes=sizing.table(each),
        limits=limits_table(measured),
    )


PAGE: Final = """# Sizing

Written by `make bench-sizing`: {machine}.

What a number of players takes, to a million. It is reckoned from costs that were measured on one replica and one server
of NATS; nobody has run a million. For your own numbers:

<!-- example: own -->
```sh
python -m tools.sizing --players 50000 --players-per-game 4 --race-s 900
```

With `--help` it lists what is assumed of a player; each is an option.

## What it takes

Assumed: games of 8, races of ten minutes, each player's progress told once in two seconds, six commits and one and a
half handshakes of a player a race, logs of finished games kept for a day, at most 8,000 players on a replica and half
of its core.

{sizes}

The judge is not in it: its processes want cores of their own, by what is handed in.

## What was measured

One replica on a core of its own, games of 8. The first two rows are what is reckoned with; the third shows how well.

{points}

{costs}

## Where it breaks first

{limits}

What would be done:

- **The stream.** Its leader is one process, which syncs each write. A shorter `FINISHED_GAME_RETENTION_S` gives memory
  and disk back, not appends. Beyond that: cells, each with its replicas, its NATS and a host name of its own. A game
  lives in one cell, and whoever makes it is told the host; cells share nothing but the keys of the tokens.
- **The others' players.** Every replica knows the players of all others, so that `MAX_CONNECTIONS_PER_PLAYER` holds
  over all of them. In cells that is bounded by itself. Within one cell: tell only the replica that a player's id
  hashes to.
- **Prometheus.** Some 2,000 series of a replica do not grow with its players: a hundred replicas are 200,000 series,
  which one Prometheus carries.
"""


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure; where everything was measured in full, print and write the page and its figures."""
    options = asked("python -m tests.bench.sizing", __doc__, PARTS, 3, arguments)
    found = measure(Plan(compiled(), options.rounds, options.scale), options.scenarios or list(PARTS))
    written = msgspec.json.format(msgspec.json.encode(found | {"machine": machine()}), indent=2)
    if options.json:
        options.json.write_bytes(written)
    if not options.scenarios and options.scale >= 1:
        sizing.MEASURED.write_bytes(written + b"\n")
        (DOCS / "sizing.md").write_text(page(sizing.load()))
        print(page(sizing.load()))
    return found


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    main()
