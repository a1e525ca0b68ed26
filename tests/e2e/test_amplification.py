"""What one message makes of many: frames out for what comes in, with 60 and with 100 members, each with its bound.

A bound is of what the server may send for what was said in the time that it took, so no slow machine breaks it.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from app.realtime.room.progress import MOST_PER_TURN
from app.settings import load_settings
from tools.harness.crowd import Voice, come, crowd
from tools.harness.server import SECRET, ServerProcess, until

pytestmark = [pytest.mark.anyio, pytest.mark.long]
DEFAULTS = load_settings(jwt_secret=SECRET)
BATCH = 50
Say = Callable[[int], list[Any]]
Bound = Callable[[int, int, float], float]
"""Of frames out, by members, frames in (each message of a batch counts) and seconds."""


@dataclass(frozen=True)
class Row:
    """What each member says at once, and what may come of all of it."""

    says: Say
    bound: Bound
    races: bool = False
    closes: bool = False


def batch(*items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "batch", "data": list(items)}


def one_each(_members: int, frames_in: int, _seconds: float) -> float:
    return frames_in


def of_commands(members: int, frames_in: int, seconds: float) -> float:
    """Each is refused, or is an event to all, with a countdown's beginning or end behind it."""
    commands = members * (DEFAULTS.command_burst + DEFAULTS.commands_per_second * seconds)
    deliveries = DEFAULTS.event_delivery_burst + DEFAULTS.event_deliveries_per_second * seconds
    return frames_in + min(commands * 2 * members, deliveries + 2 * members)


def of_progress(members: int, _frames_in: int, seconds: float) -> float:
    """What the game may be sent, and each may be shown once."""
    shown = members * (members - 1) * (1 + seconds / DEFAULTS.progress_interval_s)
    return min(shown, DEFAULTS.progress_deliveries_per_second * seconds + 2 * MOST_PER_TURN)


READY = [{"type": "ready", "data": {"status": status}} for status in ("not_ready", "ready")]
ROWS: dict[str, Row] = {
    "ping": Row(lambda _: [{"type": "ping", "data": {"timestamp": 2}}] * 20, one_each),
    "batch of ping": Row(lambda _: [batch(*[{"type": "ping", "data": {"timestamp": 2}}] * BATCH)], one_each),
    "ready": Row(lambda _: READY * 15, of_commands),
    "batch of ready": Row(lambda _: [batch(*READY * (BATCH // 2))], of_commands),
    "progress": Row(lambda _: [{"type": "progress", "data": {"percent": 1}}] * 20, of_progress, races=True),
    "batch of progress": Row(
        lambda _: [batch(*[{"type": "progress", "data": {"lines": n}} for n in range(BATCH)])] * 2,
        of_progress,
        races=True,
    ),
    "submit_code": Row(lambda _: [{"type": "submit_code", "data": {"code": "1"}}] * 10, one_each),
    "no JSON": Row(lambda _: ["nonsense"] * 5, one_each),
    "unknown": Row(lambda _: [{"type": "dance"}] * 5, one_each),
    "auth": Row(lambda number: [{"type": "auth", "data": {"token": f"no token of {number}"}}] * 5, one_each),
    "leave": Row(
        lambda _: [{"type": "leave"}], lambda members, frames_in, _: frames_in + members * (members + 1), closes=True
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), ping_interval_s=3600, handshake_burst=100_000) as process:
        yield process


def messages(server: ServerProcess, direction: str) -> float:
    """Of all types; those of a batch count, it itself does not."""
    name = "code_racer_ws_messages_total"
    return sum(
        value
        for key, value in server.metrics().items()
        if key.startswith(name) and f'direction="{direction}"' in key and 'type="batch"' not in key
    )


async def amplified(server: ServerProcess, row: Row, members: int) -> tuple[float, float, float]:
    """Frames in, frames out, seconds."""
    wishes = {"min_players": members if row.races else 100, "max_players": 100, "time_limit_s": 600}
    game_id = await asyncio.to_thread(server.new_game, await asyncio.to_thread(host, server), **wishes)
    async with crowd(server, game_id, members) as voices:
        if row.races:
            await start(voices)
        before = [await asyncio.to_thread(messages, server, direction) for direction in ("in", "out")]
        begin = time.monotonic()
        for number, voice in enumerate(voices):
            voice.say(*row.says(number))
        if row.closes:
            await asyncio.gather(*(voice.until("player_left") for voice in voices[:1]))
        else:
            await asyncio.gather(*(voice.answered(7) for voice in voices))
        if row.races:
            await asyncio.sleep(1.0)  # what waits for its turn is sent: a second of it counts
        after = [await asyncio.to_thread(messages, server, direction) for direction in ("in", "out")]
        came_in, went_out = (b - a for a, b in zip(before, after, strict=True))
        seconds = time.monotonic() - begin
    await quiet(server)
    return came_in, went_out, seconds


async def quiet(server: ServerProcess, connections: int = 0) -> None:
    """So many are left, and the others have been told of whoever has gone."""
    await asyncio.to_thread(until, lambda: server.metric("ws_connections") == connections)
    if not connections:
        await asyncio.to_thread(until, lambda: server.metric("rooms") == 0)


async def start(voices: list[Voice]) -> None:
    """All are ready, and the race runs."""
    for voice in voices:
        voice.say({"type": "ready", "data": {"status": "ready"}})
    await asyncio.gather(*(voice.until("game_started") for voice in voices))


_hosts = itertools.count()


def host(server: ServerProcess) -> str:
    """A token; nobody hosts too many games."""
    return str(server.guest(f"host {next(_hosts)}")["token"])


@pytest.mark.parametrize("members", [60, 100])
@pytest.mark.parametrize("name", ROWS)
async def test_what_a_message_makes_of_many_is_bounded(server: ServerProcess, name: str, members: int) -> None:
    row = ROWS[name]
    came_in, went_out, seconds = await amplified(server, row, members)
    bound = row.bound(members, round(came_in), seconds)
    assert came_in >= members
    assert 0 < went_out <= bound


@pytest.mark.parametrize("members", [60, 100])
async def test_coming_again_and_again_is_bounded_for_each_player(server: ServerProcess, members: int) -> None:
    """Each costs a welcome, two events to all, and what was missed: from the beginning, all of it."""
    game_id = await asyncio.to_thread(
        server.new_game, await asyncio.to_thread(host, server), min_players=100, max_players=100
    )
    async with crowd(server, game_id, members - 1):
        before = await asyncio.to_thread(messages, server, "out")
        begin = time.monotonic()
        came = 0
        for _ in range(DEFAULTS.entry_burst + 20):
            try:
                voice = await come(server, game_id, "eve", "?last_seq=0")
            except ConnectionError:
                break
            came += 1
            voice.close()
            await quiet(server, members - 1)
        seconds = time.monotonic() - begin
        went_out = await asyncio.to_thread(messages, server, "out") - before
        assert came <= DEFAULTS.entry_burst + DEFAULTS.entries_per_minute / 60 * seconds + 1
        assert came >= DEFAULTS.entry_burst
        missed = 2 * members + 2 * came
        assert server.metric("ws_rate_limited_total", scope="entries", mode="enforced") > 0
        assert went_out <= came * (2 * members + missed + 3)
    await quiet(server)
