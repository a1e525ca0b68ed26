"""What operators do: what comes of it, what each is told, and that it ends by itself."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.console.actions import MAX_WATCHED, Acting, Actions, LogLevel
from app.console.answers import ActionRefused
from app.console.drains import OperatorDrain
from app.console.erasing import Eraser
from app.protocol import Close
from app.realtime.drain import Drain
from app.settings import load_settings
from app.telemetry.observer import Operated
from app.telemetry.tracer import Tracer
from app.vocabulary import ActionOutcome, FinishReason, LimitScope, OperatorAction
from app.workers import Share
from tools.harness.clock import loop_ms, without_waiting
from tools.harness.hubs import OneHub, Seen, eventually, running
from tools.harness.server import SECRET

BY = Acting("eve", "a test")
GONE, REFUSED, DONE = ActionOutcome.GONE, ActionOutcome.REFUSED, ActionOutcome.DONE
NO_GAME = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a0f"


class Told(Seen):
    """And what was told of operators."""

    def __init__(self) -> None:
        super().__init__()
        self.acted: list[Operated] = []

    def operated(self, operated: Operated) -> None:
        self.acted.append(operated)


class Acted:
    """Actions on a hub that runs, and the level that its logs would have."""

    def __init__(self, one: OneHub, **plan: float) -> None:
        self.one = one
        self.hub = one.hub
        self.level = "info"
        self.told = Told()
        self.told.tracer = Tracer()
        self.hub.observer = self.told
        settings = load_settings(jwt_secret=SECRET, event_log_url="memory:", **({"drain_spread_s": 0} | plan))
        self.drain = OperatorDrain(
            lambda: Drain(one.hub, settings.drain, self.told, lambda: 0, lone=True), self.told.fault
        )
        level = LogLevel(lambda: self.level, self._set_level)
        self.actions = Actions(one.hub, self.drain, Eraser(one.log), level, self.told.operated)

    def _set_level(self, level: str) -> None:
        self.level = level

    @property
    def outcomes(self) -> list[tuple[OperatorAction, ActionOutcome]]:
        """What was done, and what came of it."""
        assert all((one.operator, one.reason) == (BY.operator, BY.reason) for one in self.told.acted)
        return [(one.action, one.outcome) for one in self.told.acted]


@contextlib.asynccontextmanager
async def acted(**plan: float) -> AsyncIterator[Acted]:
    async with running(now=loop_ms, finished_linger_s=0) as one:
        yield Acted(one, **plan)


def assert_refused(refused: pytest.ExceptionInfo[ActionRefused], outcome: ActionOutcome) -> None:
    assert refused.value.outcome is outcome
    assert refused.value.text


@without_waiting
@pytest.mark.parametrize(("comes_back", "row"), [(True, Close.DRAINING), (False, Close.FORBIDDEN)])
async def test_one_connection_is_closed_and_only_once(comes_back: bool, row: Any) -> None:
    async with acted() as one:
        await one.one.game("ann", "bob", min_players=9)
        ann = one.one.sessions["ann"].connection_id
        assert one.actions.close_connection(BY, ann, comes_back=comes_back)["player_id"] == "ann"
        one.one.peers["ann"].assert_closed(row)
        told = one.one.peers["ann"].last("disconnect")
        assert (told["reconnect"], told["retry_after_ms"] > 0) == (comes_back, comes_back)
        assert one.one.peers["bob"].is_open
        with pytest.raises(ActionRefused) as refused:
            one.actions.close_connection(BY, ann, comes_back=comes_back)
        assert_refused(refused, GONE)
        assert one.outcomes == [(OperatorAction.CLOSE_CONNECTION, DONE), (OperatorAction.CLOSE_CONNECTION, GONE)]


@without_waiting
async def test_all_connections_of_a_player_are_closed() -> None:
    async with acted() as one:
        await one.one.game("ann", "bob", min_players=9)
        first = one.one.peers["ann"]
        await one.one.game("ann", min_players=9)
        assert one.actions.close_player(BY, "ann", comes_back=True)["closed"] == 2
        first.assert_closed(Close.DRAINING)
        one.one.peers["ann"].assert_closed(Close.DRAINING)
        await eventually(lambda: len(one.hub.connections) == 1)
        with pytest.raises(ActionRefused) as refused:
            one.actions.close_player(BY, "ann", comes_back=True)
        assert_refused(refused, GONE)


@without_waiting
async def test_a_player_is_removed_from_one_game() -> None:
    async with acted() as one:
        state = await one.one.game("ann", "bob", min_players=9)
        await one.actions.remove_player(BY, "ann", state.game_id)
        one.one.peers["ann"].assert_closed(Close.FORBIDDEN)
        cases = (("ann", state.game_id, REFUSED), ("cay", state.game_id, GONE), ("ann", NO_GAME, GONE))
        for player, game_id, outcome in cases:
            with pytest.raises(ActionRefused) as refused:
                await one.actions.remove_player(BY, player, game_id)
            assert_refused(refused, outcome)


@without_waiting
async def test_who_is_banned_is_listed_until_the_ban_is_lifted() -> None:
    async with acted() as one:
        await one.actions.ban(BY, "ann", None)
        (ban,) = one.actions.bans
        assert (ban.player_id, ban.by, ban.reason) == ("ann", BY.operator, BY.reason)
        assert one.actions.counts()[OperatorAction.BAN] == 1
        await one.actions.unban(BY, "ann")
        assert one.actions.bans == []
        with pytest.raises(ActionRefused) as refused:
            await one.actions.unban(BY, "ann")
        assert_refused(refused, GONE)


@without_waiting
async def test_a_game_is_ended_and_everybody_in_it_is_told() -> None:
    async with acted() as one:
        room = await one.one.race("ann", "bob", min_players=2)
        await one.actions.end_game(BY, room.game_id)
        for player in ("ann", "bob"):
            assert one.one.peers[player].last("game_finished")["reason"] == FinishReason.ENDED
        for game_id in (room.game_id, NO_GAME):
            with pytest.raises(ActionRefused) as refused:
                await one.actions.end_game(BY, game_id)
            assert_refused(refused, GONE)


@without_waiting
async def test_a_drain_is_taken_back_and_the_replica_serves_as_before() -> None:
    async with acted() as one:
        state = await one.one.game("ann", min_players=9)
        with pytest.raises(ActionRefused):
            one.actions.undrain(BY)
        assert one.actions.drain(BY, 3600)["connections"] == 1
        await eventually(lambda: one.hub.draining)
        await eventually(lambda: not len(one.hub.connections))
        one.one.peers["ann"].assert_closed(Close.DRAINING)
        assert (one.hub.accepting, one.actions.counts()[OperatorAction.DRAIN]) == (False, 1)
        one.actions.undrain(BY)
        assert (one.hub.draining, one.hub.accepting, one.actions.counts()[OperatorAction.DRAIN]) == (False, True, 0)
        assert one.actions.changes.raised == []
        assert (await one.one.enter(state.game_id, "ann")).is_open


@without_waiting
async def test_a_drain_is_taken_back_while_it_waits_and_nobody_is_closed() -> None:
    async with acted(drain_delay_s=5) as one:
        await one.one.game("ann", min_players=9)
        one.actions.drain(BY, 3600)
        await asyncio.sleep(1)
        one.actions.undrain(BY)
        await asyncio.sleep(60)
        assert one.one.peers["ann"].is_open
        assert (one.hub.draining, one.hub.accepting) == (False, True)


@without_waiting
async def test_a_drain_ends_by_itself_and_begun_once_more_lasts_from_then_on() -> None:
    async with acted() as one:
        assert one.actions.drain(BY, 60)["until"] == pytest.approx(time.time() + 60, abs=30)
        await asyncio.sleep(50)
        one.actions.drain(BY, 60)
        assert [raised.what for raised in one.actions.changes.raised] == ["drain"]
        await asyncio.sleep(50)
        assert (one.hub.draining, one.hub.accepting) == (True, False)
        await asyncio.sleep(11)
        assert (one.hub.draining, one.hub.accepting, one.actions.counts()[OperatorAction.DRAIN]) == (False, True, 0)
        assert one.actions.changes.raised == []


@without_waiting
async def test_a_drain_that_the_end_of_the_process_took_over_is_not_ended_by_its_time() -> None:
    async with acted() as one:
        failed: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        one.actions.drain(BY, 60)
        await eventually(lambda: not one.hub.accepting)
        one.drain.hand_over()
        await asyncio.sleep(61)
        assert (one.hub.draining, one.hub.accepting) == (True, False)
        assert (failed, one.told.where) == ([], [])
        with pytest.raises(ActionRefused):
            one.actions.drain(BY, 60)
        with pytest.raises(ActionRefused):
            one.actions.undrain(BY)


@without_waiting
async def test_one_worker_of_several_is_not_drained_as_newcomers_would_come_there_still() -> None:
    async with acted() as one:
        one.hub.rooms.share = Share(0, 2)
        with pytest.raises(ActionRefused, match="shed") as refused:
            one.actions.drain(BY, 60)
        assert_refused(refused, REFUSED)
        assert (one.hub.draining, one.actions.changes.raised) == (False, [])


@without_waiting
async def test_a_share_is_shed_the_newest_first() -> None:
    async with acted() as one:
        with pytest.raises(ActionRefused) as refused:
            one.actions.shed(BY, 0.5)
        assert_refused(refused, GONE)
        await one.one.game("ann", "bob", "cay", "dan", min_players=9)
        assert one.actions.shed(BY, 0.5) == {"closed": 2}
        assert [one.one.peers[name].is_open for name in ("ann", "bob", "cay", "dan")] == [True, True, False, False]


@without_waiting
async def test_the_level_of_the_log_comes_back_by_itself_and_the_last_who_set_it_says_when() -> None:
    async with acted() as one:
        one.actions.set_log_level(BY, "debug", 60)
        await asyncio.sleep(50)
        one.actions.set_log_level(BY, "warning", 60)
        assert one.level == "warning"
        await asyncio.sleep(50)
        assert [raised.what for raised in one.actions.changes.raised] == ["log_level"]
        assert one.level == "warning"
        await asyncio.sleep(11)
        assert one.level == "info"
        assert one.actions.changes.raised == []


@without_waiting
async def test_who_is_watched_is_traced_for_a_time_and_not_too_many_are() -> None:
    async with acted() as one:
        with pytest.raises(ActionRefused) as refused:
            await one.actions.trace(BY, "player.id", "ann", 60)
        assert_refused(refused, REFUSED)
        tracer = one.told.tracer
        tracer.can_watch = True
        for number in range(MAX_WATCHED):
            await one.actions.trace(BY, "player.id", f"p{number}", 60)
        with pytest.raises(ActionRefused):
            await one.actions.trace(BY, "game.id", NO_GAME, 60)
        await one.actions.trace(BY, "player.id", "p0", 120)
        await asyncio.sleep(61)
        assert tracer.watched == {("player.id", "p0")}
        await asyncio.sleep(60)
        assert tracer.watched == set()


@without_waiting
async def test_what_is_traced_says_what_was_found_and_what_is_not_there_is_not_traced() -> None:
    async with acted() as one:
        one.told.tracer.can_watch = True
        game = await one.one.game("ann", "bob", min_players=9)
        empty = await one.one.game(min_players=9)
        ann = one.one.sessions["ann"].connection_id
        cases = (("player.id", "ann", 1), ("player.id", "nobody", 0), ("game.id", game.game_id, 2),
                 ("game.id", empty.game_id, 0), ("connection.id", ann, 1))  # fmt: skip
        for attribute, value, connections in cases:
            traced = await one.actions.trace(BY, attribute, value, 60)
            assert (traced.connections, bool(traced.note)) == (connections, not connections), value
        for attribute, value in (("game.id", NO_GAME), ("connection.id", "0123456789ab-1")):
            with pytest.raises(ActionRefused) as refused:
                await one.actions.trace(BY, attribute, value, 60)
            assert_refused(refused, GONE)
        assert one.told.tracer.watched == {(attribute, value) for attribute, value, _ in cases}
        assert one.outcomes[-2:] == [(OperatorAction.TRACE, GONE)] * 2


@without_waiting
async def test_a_limit_is_only_counted_for_a_time() -> None:
    async with acted() as one:
        assert one.hub.policy.refuses(LimitScope.GUESTS, 0)
        one.actions.set_dry_run(BY, LimitScope.GUESTS, 60, dry_run=True)
        assert not one.hub.policy.refuses(LimitScope.GUESTS, 0)
        with pytest.raises(ActionRefused) as refused:
            one.actions.set_dry_run(BY, LimitScope.MESSAGE_SIZE, 60, dry_run=True)
        assert_refused(refused, REFUSED)
        await asyncio.sleep(61)
        assert one.hub.policy.refuses(LimitScope.GUESTS, 0)


@without_waiting
@pytest.mark.parametrize(
    ("connection_id", "says"),
    [
        ("0123456789ab-1", "ask the one of instance 0123456789ab"),
        ("ba9876543210-1", "no such"),
        ("nodash", "no such"),
        ("-1", "no such"),
    ],
)
async def test_an_id_says_whose_a_connection_is_where_it_can(
    connection_id: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with acted() as one:
        replicas = one.hub.replicas
        monkeypatch.setattr(replicas, "_ttl_s", 60.0)  # as where the log is shared
        monkeypatch.setattr(replicas, "_alive", frozenset({replicas.instance, "0123456789ab"}))
        with pytest.raises(ActionRefused, match=says):
            one.actions.close_connection(BY, connection_id, comes_back=True)
        await replicas.refresh()
        assert replicas.size == 1, "whom somebody asks for has not shown up by that"
