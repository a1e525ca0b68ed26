"""The sweep takes up what was left undone: players gone or here after all, submissions, games without a room."""

import asyncio
from typing import Any

import pytest

from app.eventlog import LogUnavailable
from app.eventlog.embedded import MemoryEventLog
from app.game import Disconnect, Join, Phase, Rules, Verdict
from app.judge import Report
from app.realtime.cluster.replicas import Replicas
from app.realtime.room.judging import Judging
from app.vocabulary import LogTrouble
from tools.harness.clock import loop_ms, without_waiting
from tools.harness.games import CODE, PROBLEM
from tools.harness.hubs import OneHub, eventually, running

NEVER: Any = {"sweep_interval_s": 3_600}
"""The test sweeps."""


async def connection_of(one: OneHub, game_id: str, player: str) -> str | None:
    """Which connection the log says a player has."""
    state = await one.hub.rooms.state(game_id)
    assert state is not None
    return state.players[player].connection_id


@without_waiting
async def test_a_player_whose_connection_of_this_replica_is_gone_is_called_lost() -> None:
    async with running(now=loop_ms, **NEVER) as one:
        state = await one.game("ann", min_players=9)
        room = one.hub.rooms.loaded[state.game_id]
        await room.handle(Join("bob", "Bob", one.hub.replicas.new_connection_id()))
        await one.hub.sweeper.sweep()
        assert await connection_of(one, state.game_id, "bob") is None


@without_waiting
async def test_a_player_of_another_replica_that_lives_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(now=loop_ms, **NEVER) as one:
        state = await one.game("ann", min_players=9)
        await one.hub.rooms.loaded[state.game_id].handle(Join("bob", "Bob", "other-1"))
        monkeypatch.setattr(Replicas, "lives", lambda *_: True)
        await one.hub.sweeper.sweep()
        assert await connection_of(one, state.game_id, "bob") == "other-1"
        monkeypatch.undo()
        await one.hub.sweeper.sweep()
        assert await connection_of(one, state.game_id, "bob") is None, "it is gone"


@without_waiting
async def test_a_member_whom_the_log_calls_lost_joins_again() -> None:
    async with running(now=loop_ms, **NEVER) as one:
        state = await one.game("ann", min_players=9)
        own = one.sessions["ann"].connection_id
        await one.hub.rooms.loaded[state.game_id].handle(Disconnect("ann", own))
        assert await connection_of(one, state.game_id, "ann") is None
        await one.hub.sweeper.sweep()
        assert await connection_of(one, state.game_id, "ann") == own


@without_waiting
async def test_a_submission_that_was_not_judged_is_judged_at_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(now=loop_ms, judge_retries=0, **NEVER) as one:
        await one.race("ann")
        with monkeypatch.context() as patch:
            patch.setattr(Judging, "enqueue", lambda *_: None)
            one.say("ann", "submit_code", {"code": CODE, "language": "python"}, id="m1")
            await one.until_sent("ann", "ack")
            one.peers["ann"].assert_sent("code_submitted", "ack")
        one.judge.report = Report(verdict=Verdict.WRONG_ANSWER, tests_passed=0, tests_total=1, duration_s=0.1)
        await one.hub.sweeper.sweep()
        await one.until_sent("ann", "submission_result")
        one.peers["ann"].assert_sent("submission_judged", "submission_result")


@without_waiting
async def test_a_game_that_is_not_loaded_is_taken_up_and_moves_on() -> None:
    log = MemoryEventLog()
    async with running(log, now=loop_ms, **NEVER) as one, running(log, now=loop_ms, **NEVER) as other:
        state = await other.hub.rooms.create("host", PROBLEM, Rules(waiting_ttl_ms=5_000))
        assert state.game_id not in one.hub.games.deadlines
        one.hub.replicas.give_back_change()
        await one.hub.sweeper.adopt()
        assert state.game_id in one.hub.games.deadlines
        await asyncio.sleep(6)
        ended = await one.hub.rooms.state(state.game_id)
        assert ended is not None
        assert ended.phase is Phase.FINISHED


@without_waiting
async def test_games_that_are_over_for_long_are_removed() -> None:
    async with running(now=loop_ms, finished_game_retention_s=100, **NEVER) as one:
        state = await one.hub.rooms.create("host", PROBLEM, Rules(waiting_ttl_ms=5_000))
        await asyncio.sleep(10)
        await one.hub.sweeper.sweep()
        assert await one.hub.rooms.state(state.game_id) is not None
        await asyncio.sleep(100)
        await one.hub.sweeper.sweep()
        assert await one.hub.rooms.state(state.game_id) is None


@without_waiting
async def test_while_the_log_is_away_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(now=loop_ms, **NEVER) as one:

        async def away(_: MemoryEventLog) -> list[str]:
            raise LogUnavailable("gone", LogTrouble.UNREACHABLE)

        state = await one.hub.rooms.create("host", PROBLEM, Rules())
        one.hub.games.deadlines.set(state.game_id, None)
        one.hub.replicas.give_back_change()
        with monkeypatch.context() as patch, pytest.raises(LogUnavailable):
            patch.setattr(MemoryEventLog, "open_games", away)
            await one.hub.sweeper.sweep()
        await one.hub.sweeper.sweep()
        await eventually(lambda: state.game_id in one.hub.games.deadlines)


@without_waiting
async def test_others_have_their_turn_between_two_games_that_are_looked_at() -> None:
    async with running(now=loop_ms) as one:
        games = [await one.game(f"p{number}") for number in range(3)]
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        going_on = asyncio.create_task(others())
        await one.hub.sweeper.sweep()
        going_on.cancel()
        assert turns >= len(games)
