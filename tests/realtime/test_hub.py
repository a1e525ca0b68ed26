"""A hub whose time passes at once: rooms are loaded and let go, deadlines kept, verdicts recorded, ends told."""

import asyncio

import pytest

from app.eventlog import LogUnavailable
from app.eventlog.embedded import MemoryEventLog
from app.game import Phase, Rules, Verdict
from app.judge import Report
from app.protocol import Close
from app.refusals import REJECTIONS
from app.vocabulary import Initiator, LogTrouble, PlayerStanding, Rejection
from tools.harness.clock import loop_ms, without_waiting
from tools.harness.games import CODE, PROBLEM
from tools.harness.hubs import eventually, running

ACCEPTED = Report(verdict=Verdict.ACCEPTED, tests_passed=1, tests_total=1, duration_s=0.1)


@without_waiting
async def test_a_room_is_loaded_once_for_all_who_ask_and_let_go_when_nobody_uses_it() -> None:
    async with running(now=loop_ms) as one:
        state = await one.hub.rooms.create("host", PROBLEM, Rules())
        async with one.hub.rooms.use(state.game_id) as first, one.hub.rooms.use(state.game_id) as second:
            assert first is second
        assert not one.hub.rooms.loaded


@without_waiting
async def test_there_is_no_room_of_a_game_that_is_not_there() -> None:
    async with running(now=loop_ms) as one:
        async with one.hub.rooms.use("nothing") as room:
            assert room is None
        assert not one.log._deliveries, "nobody listens for it"  # type: ignore[attr-defined]


@without_waiting
async def test_a_race_starts_when_its_countdown_is_over() -> None:
    async with running(now=loop_ms) as one:
        before = loop_ms()
        await one.race("ann", "bob", countdown_ms=3_000)
        assert 3_000 <= loop_ms() - before < 3_100


@without_waiting
async def test_a_game_that_nobody_uses_ends_by_its_deadline() -> None:
    async with running(now=loop_ms) as one:
        state = await one.hub.rooms.create("host", PROBLEM, Rules(waiting_ttl_ms=60_000))
        await asyncio.sleep(61)
        ended = await one.hub.rooms.state(state.game_id)
        assert ended is not None
        assert ended.phase is Phase.FINISHED
        assert one.hub.games.deadlines.overdue_s == 0


@without_waiting
async def test_what_is_handed_in_is_judged_and_ends_the_race() -> None:
    async with running(now=loop_ms) as one:
        one.judge.report = ACCEPTED
        await one.race("ann")
        one.say("ann", "submit_code", {"code": CODE, "language": "python"}, id="m1")
        await one.until_sent("ann", "game_finished")
        one.peers["ann"].assert_sent("code_submitted", "ack", "submission_judged", "submission_result", "game_finished")


@without_waiting
async def test_when_the_game_is_over_its_connections_end_after_a_while() -> None:
    async with running(now=loop_ms, finished_linger_s=10) as one:
        room = await one.race("ann", "bob", time_limit_ms=15_000)
        await one.until_sent("ann", "game_finished")
        over = loop_ms()
        await eventually(lambda: not one.hub.connections)
        assert 10_000 <= loop_ms() - over < 10_100
        one.peers["ann"].assert_closed(Close.NORMAL)
        await eventually(lambda: room.game_id not in one.hub.rooms.loaded)


@without_waiting
async def test_a_connection_that_is_lost_is_told_to_the_others_and_its_slot_is_free() -> None:
    async with running(now=loop_ms) as one:
        await one.game("ann", "bob", min_players=9)
        one.peers["bob"].end(Close.LOST, Initiator.NETWORK)
        await one.until_sent("ann", "player_disconnected")
        one.peers["ann"].assert_sent("welcome", "player_joined", "player_joined", "player_disconnected")
        assert one.left == ["bob"]
        assert [session.player_id for session in one.hub.connections] == ["ann"]
        assert one.hub.games.counts.players[PlayerStanding.LOST] == 1


@without_waiting
async def test_who_may_not_join_is_closed_by_the_row_of_the_refusal() -> None:
    async with running(now=loop_ms) as one:
        state = await one.game("ann", max_players=1, min_players=1)
        bob = await one.enter(state.game_id, "bob")
        bob.assert_closed(REJECTIONS[Rejection.GAME_FULL].close)


@without_waiting
async def test_who_cannot_join_as_the_log_is_away_is_asked_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(now=loop_ms) as one:
        state = await one.game("ann", min_players=9)

        async def away(*_: object) -> None:
            raise LogUnavailable("gone", LogTrouble.UNREACHABLE)

        monkeypatch.setattr(one.log, "append", away)
        bob = await one.enter(state.game_id, "bob")
        bob.assert_closed(Close.OVERLOADED)
        assert 1_000 <= bob.last("disconnect")["retry_after_ms"] <= 5_000
        assert not one.hub.log_health.reachable


@without_waiting
async def test_the_newest_connections_are_shed_first() -> None:
    async with running(now=loop_ms) as one:
        await one.game("ann", "bob", "cat", min_players=9)
        assert one.hub.connections.shed(0.5) == 2
        assert one.peers["ann"].is_open
        one.peers["bob"].assert_closed(Close.OVERLOADED)
        one.peers["cat"].assert_closed(Close.OVERLOADED)


@without_waiting
async def test_games_and_players_are_counted_as_they_move_on() -> None:
    async with running(now=loop_ms) as one:
        await one.race("ann", "bob")
        assert one.hub.games.counts.games[Phase.RUNNING] == 1
        assert one.hub.games.counts.players[PlayerStanding.RACING] == 2
        assert one.hub.games.counts.hosted_by("host") == 1


@without_waiting
async def test_a_hub_takes_up_what_was_under_way_when_it_starts() -> None:
    log = MemoryEventLog()
    async with running(log, now=loop_ms) as one:
        state = await one.hub.rooms.create("host", PROBLEM, Rules(waiting_ttl_ms=60_000))
    async with running(log, now=loop_ms) as again:
        await again.hub.know_games()
        assert state.game_id in again.hub.games.deadlines
