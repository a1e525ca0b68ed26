"""The take-up: a replica that starts serves at once, and looks after what was under way, many games at a time."""

import asyncio
import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.eventlog import START, Commit, Cursor, EventLog, LogUnavailable
from app.eventlog.embedded import MemoryEventLog
from app.eventlog.nats import NatsEventLog
from app.eventlog.sqlite import SqliteEventLog
from app.game import GameEvent, Join, Phase, PlayerDisconnected, PlayerLeft, Rules
from app.realtime.room.sweeper import TAKEN_UP_AT_ONCE
from app.vocabulary import LogTrouble
from tools.harness.clock import loop_ms, without_waiting
from tools.harness.games import PROBLEM
from tools.harness.hubs import OneHub, eventually, running
from tools.harness.nats import Nats, log_settings, wipe

NEVER: Any = {"sweep_interval_s": 3_600}
"""Swept once, at the start."""
MANY = 2 * TAKEN_UP_AT_ONCE


class SlowLog(MemoryEventLog):
    """A log of which nothing is read but the games that are `let_through`, until it is `open_for_all`."""

    def __init__(self) -> None:
        super().__init__()
        self.open_for_all = asyncio.Event()
        self.open_for_all.set()
        self.let_through: set[str] = set()
        self.trouble: LogTrouble | None = None

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        if game_id not in self.let_through:
            await self.open_for_all.wait()
        if self.trouble is not None:
            raise LogUnavailable("gone", self.trouble)
        return await super().read(game_id, after)


async def left_behind(log: EventLog, count: int, **rules: Any) -> list[str]:
    """Games in which the log calls two players connected, by a process that is gone."""
    async with running(log, now=loop_ms, **NEVER) as one:
        await one.hub.know_games()
        return await asyncio.gather(*(_left_behind(one, Rules(min_players=9, **rules)) for _ in range(count)))


async def _left_behind(one: OneHub, rules: Rules) -> str:
    state = await one.hub.rooms.create("host", PROBLEM, rules)
    async with one.hub.rooms.use(state.game_id) as room:
        assert room is not None
        for name in ("Ann", "Bob"):
            await room.handle(Join(name.lower(), name, f"dead-{name}"))
    return state.game_id


async def events_of(log: EventLog, games: list[str]) -> list[GameEvent]:
    """All events of some games."""
    return [event for game_id in games for commit in await log.read(game_id) for event in commit.events]


async def assert_lost_once(log: EventLog, games: list[str]) -> None:
    """Of each game the log says once of each player that they were lost."""
    for game_id in games:
        lost = Counter(e.player_id for e in await events_of(log, [game_id]) if isinstance(e, PlayerDisconnected))
        assert lost == {"ann": 1, "bob": 1}, game_id


@without_waiting
async def test_who_comes_while_games_are_taken_up_is_served_and_stays() -> None:
    log = SlowLog()
    games = await left_behind(log, MANY)
    log.open_for_all.clear()
    log.let_through = {games[-1]}
    async with running(log, now=loop_ms, **NEVER) as one:
        assert one.hub.log_health.is_reached, "newcomers are let in"
        await eventually(lambda: one.hub.sweeper.to_take_up == MANY - TAKEN_UP_AT_ONCE)
        peer = await one.enter(games[-1], "ann")
        await one.until_sent("ann", "player_reconnected")
        log.open_for_all.set()
        await one.hub.sweeper.has_taken_up.wait()
        assert one.hub.sweeper.to_take_up == 0
        assert set(one.hub.games.deadlines._deadlines) == set(games)
        state = await one.hub.rooms.state(games[-1])
        assert peer.is_open
        assert state is not None
        assert state.players["ann"].connection_id == one.sessions["ann"].connection_id
        assert state.players["bob"].connection_id is None
        await assert_lost_once(log, games[:-1])


@without_waiting
async def test_games_overdue_at_the_start_end_and_lost_players_have_their_whole_grace() -> None:
    log = MemoryEventLog()
    over = await left_behind(log, 3, waiting_ttl_ms=5_000)
    going = await left_behind(log, 3, grace_ms=10_000)
    await asyncio.sleep(6)
    async with running(log, now=loop_ms, **NEVER) as one:
        await one.hub.sweeper.has_taken_up.wait()
        assert one.hub.games.counts.games[Phase.WAITING] == len(going)
        for game_id in over:
            state = await one.hub.rooms.state(game_id)
            assert state is not None
            assert state.phase is Phase.FINISHED
        await asyncio.sleep(11)
        kept = await events_of(log, going)
        lost = {(e.player_id, e.grace_until) for e in kept if isinstance(e, PlayerDisconnected)}
        left = [e.at for e in kept if isinstance(e, PlayerLeft)]
        assert len(left) == 2 * len(going)
        assert min(left) >= max(until for _, until in lost)


@without_waiting
async def test_all_whom_a_game_has_lost_are_lost_in_one_commit() -> None:
    log = MemoryEventLog()
    (game,) = await left_behind(log, 1)
    written = len(await log.read(game))
    async with running(log, now=loop_ms, **NEVER) as one:
        await one.hub.know_games()
    (lost,) = (await log.read(game))[written:]
    assert [type(event) for event in lost.events] == [PlayerDisconnected, PlayerDisconnected]


@without_waiting
async def test_what_was_not_taken_up_before_a_crash_is_at_the_next_start() -> None:
    log = SlowLog()
    games = await left_behind(log, MANY)
    log.open_for_all.clear()
    log.let_through = set(games[::2])
    async with running(log, now=loop_ms, **NEVER) as one:
        await eventually(lambda: len(one.hub.games.deadlines) > 0)
        assert not one.hub.sweeper.has_taken_up.is_set()
    log.open_for_all.set()
    async with running(log, now=loop_ms, **NEVER) as again:
        await again.hub.sweeper.has_taken_up.wait()
        assert set(again.hub.games.deadlines._deadlines) == set(games)
        await assert_lost_once(log, games)


@without_waiting
async def test_what_a_log_that_went_away_kept_back_is_taken_up_by_the_next_sweep() -> None:
    log = SlowLog()
    games = await left_behind(log, MANY)
    log.trouble = LogTrouble.UNREACHABLE
    async with running(log, now=loop_ms, **NEVER) as one:
        with pytest.raises(LogUnavailable, match="still to be taken up"):
            await one.hub.know_games()
        assert one.hub.sweeper.to_take_up == MANY
        log.trouble = None
        await one.hub.sweeper.sweep()
        assert one.hub.sweeper.to_take_up == 0
        assert one.hub.games.counts.hosted_by("host") == MANY
    await assert_lost_once(log, games)


@pytest.mark.anyio
async def test_on_a_disk_as_in_memory(tmp_path: Path) -> None:
    games = await left_behind(SqliteEventLog(tmp_path / "log.db"), MANY)
    log = SqliteEventLog(tmp_path / "log.db")
    async with running(log, now=loop_ms, **NEVER) as one:
        await one.hub.know_games()
        assert one.hub.games.counts.hosted_by("host") == MANY
        await assert_lost_once(log, games)


@pytest.mark.anyio
async def test_two_replicas_that_take_up_the_same_games_of_one_log_say_each_thing_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Nats(tmp_path) as nats:
        await wipe(nats.url)
        games = await left_behind(NatsEventLog(log_settings(nats.url), "r0"), 40)
        monkeypatch.setattr("app.realtime.cluster.replicas.Replicas.shares", lambda *_: True)
        monkeypatch.setattr("app.realtime.cluster.replicas.Replicas.is_gone", lambda _, one: one.startswith("dead"))
        logs = [NatsEventLog(log_settings(nats.url), name) for name in ("r1", "r2")]
        async with _replica(logs[0]) as one, _replica(logs[1]) as two:
            await asyncio.gather(*(taken_up(hub) for hub in (one, two)))
            await assert_lost_once(logs[0], games)
            assert not one.seen.games
            assert not two.seen.games


def _replica(log: EventLog) -> contextlib.AbstractAsyncContextManager[OneHub]:
    return running(log, now=loop_ms, **NEVER)


async def taken_up(one: OneHub) -> None:
    """Wait until a hub has taken up what there is."""
    await one.hub.know_games()
    assert one.hub.sweeper.to_take_up == 0
