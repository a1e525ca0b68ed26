"""A room whose players were all lost is kept until they are out of the game: who comes back has nothing read again."""

import asyncio

import pytest

from app.eventlog import START, Commit, Cursor
from app.eventlog.embedded import MemoryEventLog
from app.realtime.room import kept
from tools.harness.clock import loop_ms, without_waiting
from tools.harness.games import CODE
from tools.harness.hubs import OneHub, eventually, running


class ReadLog(MemoryEventLog):
    """Counts how often games were read."""

    reads = 0

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        self.reads += 1
        return await super().read(game_id, after)


class SharedReadLog(ReadLog):
    """Others may append to it."""

    shared = True


async def lose(one: OneHub, player: str) -> None:
    """The connection of a game's only player ends, and the log says so."""
    one.peers[player].abort()
    await eventually(lambda: not one.hub.rooms.loaded)


@without_waiting
async def test_who_comes_back_finds_the_game_as_it_was_read_by_nobody() -> None:
    log = ReadLog()
    async with running(log, now=loop_ms) as one:
        state = await one.game("ann", min_players=9)
        one.say("ann", "ready", {"status": "ready"})
        await one.until_sent("ann", "player_ready")
        await lose(one, "ann")
        peer = await one.enter(state.game_id, "ann", last_seq=1)
        peer.assert_sent("welcome", "player_joined", "player_ready", "player_disconnected", "player_reconnected")
        (ann,) = peer.last("welcome")["game"]["players"]
        assert (ann["ready"], peer.last("welcome")["last_seq"]) == (True, 4)
        one.say("ann", "ready", {"status": "not_ready"})
        await one.until_sent("ann", "player_ready")
        assert log.reads == 1


@without_waiting
async def test_when_nobody_is_expected_any_more_the_room_is_let_go() -> None:
    log = ReadLog()
    async with running(log, now=loop_ms) as one:
        state = await one.game("ann", min_players=9)
        await lose(one, "ann")
        assert state.game_id in log._deliveries, "it is kept, and follows the game"
        await asyncio.sleep(31)
        assert not log._deliveries
        assert log.reads == 1, "the end of the grace has nothing read either"
        await one.enter(state.game_id, "ann")
        await one.until_sent("ann", "player_joined")
        assert log.reads == 2


@without_waiting
async def test_of_too_many_the_one_that_waits_longest_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_KEPT", 2)
    log = ReadLog()
    async with running(log, now=loop_ms) as one:
        games = []
        for player in ("ann", "bob", "cyd"):
            games.append((await one.game(player, min_players=9)).game_id)
            await lose(one, player)
        assert set(log._deliveries) == set(games[1:])


@without_waiting
@pytest.mark.parametrize("bound", ["MAX_EVENTS", "MAX_CODE_BYTES"])
async def test_a_large_game_is_not_kept(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(kept, bound, 5)
    log = ReadLog()
    async with running(log, now=loop_ms) as one:
        await one.race("ann", time_limit_ms=600_000)
        one.say("ann", "submit_code", {"code": CODE, "language": "python"}, id="m1")
        await one.until_sent("ann", "submission_judged")
        await lose(one, "ann")
        assert not log._deliveries


@without_waiting
async def test_a_game_that_may_go_on_elsewhere_is_not_kept() -> None:
    log = SharedReadLog()
    async with running(log, now=loop_ms) as one:
        await eventually(lambda: one.hub.log_health.is_reached)
        await one.game("ann", min_players=9)
        await lose(one, "ann")
        assert not log._deliveries
