"""One fault stays one fault: in every loop over many, one element is made to raise, and the others are served.

Of each case: the others are told and answered, the fault is counted, whoever may lack something ends, and the hub
closes in time.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.eventlog import LogUnavailable
from app.eventlog.embedded import MemoryCoordination, MemoryEventLog
from app.game import Rules
from app.protocol import Close
from app.realtime import Session
from app.realtime.cluster.presence import Presence
from app.realtime.cluster.replicas import Replicas
from app.realtime.connection.inbox import Inbox
from app.realtime.connection.outbox import Outbox
from app.realtime.drain import Drain
from app.realtime.hub import Hub
from app.realtime.overload import LoadMonitor
from app.realtime.room.registry import Rooms
from app.realtime.room.room import Room
from app.realtime.room.sweeper import Sweeper
from app.settings import load_settings
from app.vocabulary import Initiator
from tools.harness.games import PROBLEM
from tools.harness.hubs import OneHub, Peer, eventually, running
from tools.harness.server import SECRET

pytestmark = pytest.mark.anyio
Patch = pytest.MonkeyPatch
Case = Callable[[Patch], Awaitable[None]]


class Planted(Exception):  # noqa: N818 - what it is
    """The fault."""


def plant(patch: Patch, owner: type, method: str, when: Callable[..., bool] = lambda *_, **__: True) -> list[int]:
    """Make a method raise when so; how often it has."""
    original, raised = getattr(owner, method), []

    def fail(*arguments: Any, **named: Any) -> Any:
        if when(*arguments, **named):
            raised.append(1)
            raise Planted(f"{owner.__name__}.{method}")
        return original(*arguments, **named)

    patch.setattr(owner, method, fail)
    return raised


def is_eve(session: Session, *_: object, **__: object) -> bool:
    return session.player_id == "eve"


async def assert_the_others_go_on(one: OneHub, *players: str) -> None:
    """They are answered, and told of each other."""
    before = {player: len(one.peers[player].types) for player in players}
    for number, player in enumerate(players):
        one.say(player, "ready", {"status": "ready"}, id=f"{player}{number}")
    for player in players:
        await eventually(lambda player=player: one.peers[player].types[before[player] :].count("ack") == 1)
        await eventually(
            lambda player=player: one.peers[player].types[before[player] :].count("player_ready") == len(players)
        )


# ---------------------------------------------------------------- members


async def a_member_whose_way_out_is_shut(patch: Patch) -> None:
    del patch
    async with running() as one:
        await one.game("ann", "eve", "bob", min_players=9)
        one.peers["eve"].broken = True
        await assert_the_others_go_on(one, "ann", "bob")
        await eventually(lambda: [closed.player_id for closed in one.seen.ended] == ["eve"])
        await one.until_sent("ann", "player_disconnected")
        assert one.left == ["eve"]
        assert "connection" in one.seen.where


async def a_member_that_cannot_be_corked(patch: Patch) -> None:
    raised = plant(patch, Session, "cork", is_eve)
    async with running() as one:
        await one.game("ann", "eve")
        one.say("eve", "ready")  # not everybody is: one event
        one.say("ann", "ready")  # two events in one commit
        for player in ("ann", "eve"):
            await one.until_sent(player, "countdown_started")
        assert raised


async def a_member_that_cannot_be_told_what_follows(patch: Patch) -> None:
    """What an event leads to raises: the event has been told."""
    raised = plant(patch, Room, "_have_effects")
    async with running() as one:
        await one.game("ann", "bob", min_players=9)
        await assert_the_others_go_on(one, "ann", "bob")
        assert len(raised) >= 2


async def a_slow_reader_whose_outbox_cannot_be_written(patch: Patch) -> None:
    del patch
    async with running() as one:
        await one.game("ann", "eve", "bob", min_players=9)
        eve = one.peers["eve"]
        eve.is_writable = False
        one.sessions["eve"].on_blocked()
        await assert_the_others_go_on(one, "ann", "bob")
        eve.broken = eve.is_writable = True
        one.sessions["eve"].on_writable()
        await eventually(lambda: one.left == ["eve"])
        assert not eve.is_open, "a frame was lost: it must not go on as if nothing were"


async def a_message_that_raises(patch: Patch) -> None:
    plant(patch, Inbox, "_echo", lambda inbox, *_: inbox._player_id == "eve")
    async with running() as one:
        await one.game("ann", "eve", "bob", min_players=9)
        one.say("eve", "ping", {"timestamp": 1})
        await eventually(lambda: one.left == ["eve"])
        one.peers["eve"].assert_closed(Close.INTERNAL)
        await assert_the_others_go_on(one, "ann", "bob")


async def a_queued_message_that_raises(patch: Patch) -> None:
    plant(patch, Inbox, "_answer", lambda inbox, *_: inbox._player_id == "eve")
    async with running() as one:
        await one.game("ann", "eve", "bob", min_players=9)
        one.say("eve", "ready")
        await eventually(lambda: one.left == ["eve"])
        assert one.peers["eve"].row is Close.INTERNAL
        await assert_the_others_go_on(one, "ann", "bob")


async def a_connection_whose_end_raises(patch: Patch) -> None:
    raised = plant(patch, Outbox, "end")
    async with running() as one:
        await one.game("ann", "eve", min_players=9)
        one.peers["eve"].end(Close.LOST, Initiator.NETWORK)
        await eventually(lambda: one.left == ["eve"])
        assert [closed.player_id for closed in one.seen.ended] == ["eve"]
        await one.until_sent("ann", "player_disconnected")
        assert raised


async def a_connection_whose_record_raises(patch: Patch) -> None:
    plant(patch, Session, "summary", is_eve)
    async with running() as one:
        await one.game("ann", "eve", min_players=9)
        one.peers["eve"].end(Close.LOST, Initiator.NETWORK)
        await eventually(lambda: one.left == ["eve"])
        assert not [session for session in one.hub.connections if session.player_id == "eve"]


async def a_connection_that_cannot_be_closed_after_the_race(patch: Patch) -> None:
    async with running(finished_linger_s=0) as one:
        state = await one.game("eve", "ann", min_players=9)
        plant(patch, Session, "close", is_eve)
        one.hub.rooms.linger(one.hub.rooms.loaded[state.game_id])
        await eventually(lambda: one.peers["ann"].row is Close.NORMAL)
        assert "room" in one.seen.where


async def a_connection_that_cannot_be_shed(patch: Patch) -> None:
    async with running() as one:
        await one.game("ann", "bob", "eve", min_players=9)
        plant(patch, Session, "close", is_eve)
        assert one.hub.connections.shed(1.0) == 3
        assert (one.peers["ann"].row, one.peers["bob"].row) == (Close.OVERLOADED, Close.OVERLOADED)


async def a_connection_that_cannot_be_drained(patch: Patch) -> None:
    async with running() as one:
        await one.game("ann", "eve", "bob", min_players=9)
        plant(patch, Session, "close", is_eve)
        plan = load_settings(jwt_secret=SECRET, close_timeout_s=0.01, drain_spread_s=0.01).drain
        await asyncio.wait_for(Drain(one.hub, plan, one.seen, lambda: 0, lone=True).run(), 10)
        assert (one.peers["ann"].row, one.peers["bob"].row) == (Close.DRAINING, Close.DRAINING)


# ---------------------------------------------------------------- games


def of(game_id: str) -> Callable[..., bool]:
    """Whether a sweeper or a hub is asked for a game."""
    return lambda _, game, *__: getattr(game, "game_id", game) == game_id


async def a_game_that_the_sweep_cannot_look_at(patch: Patch) -> None:
    async with running() as one:
        bad = await one.game("eve", min_players=9)
        await one.game("ann", "bob", min_players=9)
        plant(patch, Sweeper, "_look_at", of(bad.game_id))
        looked: list[str] = []
        look_at = Sweeper._look_at

        async def note(sweeper: Sweeper, room: Room) -> None:
            await look_at(sweeper, room)
            looked.append(room.game_id)

        patch.setattr(Sweeper, "_look_at", note)
        await one.hub.sweeper.sweep()
        assert set(looked) == set(one.hub.rooms.loaded) - {bad.game_id}
        assert one.seen.games == [bad.game_id]


async def a_game_of_which_the_log_knows_no_more_at_the_sweep(patch: Patch) -> None:
    """The log says of one game alone that it cannot be had: no reason to leave the others."""
    async with running() as one:
        bad = await one.game("eve", min_players=9)
        await one.game("ann", "bob", min_players=9)
        looked: list[str] = []

        async def look_at(_: Sweeper, room: Room) -> None:
            looked.append(room.game_id)
            if room.game_id == bad.game_id:
                raise LogUnavailable("the log refuses what follows 3 but holds no more")

        patch.setattr(Sweeper, "_look_at", look_at)
        await one.hub.sweeper.sweep()
        assert set(looked) == set(one.hub.rooms.loaded)
        assert one.seen.games == [bad.game_id]


async def a_sweep_that_raises(patch: Patch) -> None:
    raised = plant(patch, Sweeper, "adopt")
    patch.setattr(Sweeper, "sweep", Sweeper.adopt)
    async with running(sweep_interval_s=0.01) as one:
        await eventually(lambda: len(raised) >= 3)
        assert one.seen.where.count("sweep") >= 2


async def a_game_whose_log_cannot_be_read_at_the_start(patch: Patch) -> None:
    del patch
    log = MemoryEventLog()
    async with running(log) as one:
        good = [await one.hub.rooms.create("host", PROBLEM, Rules()) for _ in range(3)]
    torn, unknown, empty = (state.game_id for state in good)
    bare = str(uuid.UUID(int=1))
    other = str(log._games[torn][0][1], "utf-8")
    log._games[torn] = [(log._games[torn][0][0], other[: len(other) // 2].encode())]
    log._games[unknown] = [(log._games[unknown][0][0], other.replace("game_created", "game_dreamt").encode())]
    log._games[bare] = [(log._games[empty][0][0], b"[]")]
    log._ended[bare] = None
    async with running(log) as again:
        await again.hub.know_games()
        assert sorted(again.seen.games) == sorted([torn, unknown, bare])
        assert set(again.hub.games.deadlines._deadlines) == {empty}, "the one that can be read is looked after"
        await again.game("ann", "bob", min_players=9)
        await assert_the_others_go_on(again, "ann", "bob")
        for _ in range(3):
            await again.hub.sweeper.sweep()
        assert not log._deliveries.keys() & {torn, unknown}, "nobody listens for a game that is not there"


async def a_deadline_that_raises(patch: Patch) -> None:
    bad_ids: list[str] = []
    plant(patch, Rooms, "_fire", lambda _, game_id: game_id in bad_ids)
    async with running() as one:
        bad = await one.game(countdown_ms=1)
        good = await one.game("ann", countdown_ms=1)
        bad_ids.append(bad.game_id)
        one.hub.games.deadlines.set(bad.game_id, 1)
        await eventually(lambda: "deadline" in one.seen.where)
        one.say("ann", "ready")
        await one.until_sent("ann", "game_started")
        assert good.game_id in one.hub.rooms.loaded


async def a_game_that_cannot_move_on_when_its_time_comes(patch: Patch) -> None:
    """Nobody is in it, so nothing but its deadline looks at it: that is tried again."""
    raised = plant(patch, Rooms, "_handle", lambda *_: not raised)
    patch.setattr("app.realtime.room.registry.FAULT_RETRY_MS", 20)
    log = MemoryEventLog()
    async with running(log) as one:
        state = await one.hub.rooms.create("host", PROBLEM, Rules(waiting_ttl_ms=1))
        await eventually(lambda: "deadline" in one.seen.where)
        await eventually(lambda: log._ended[state.game_id])


# ---------------------------------------------------------------- what goes on for ever


async def a_look_at_the_load_that_raises(patch: Patch) -> None:
    raised = plant(patch, LoadMonitor, "look", lambda *_: len(raised) < 3)
    async with running(overload_interval_s=0.001) as one:
        await eventually(lambda: one.seen.where.count("load") == 3)
        looked: list[int] = []
        patch.setattr(LoadMonitor, "look", lambda *_: looked.append(1))
        await eventually(lambda: looked)


class SharedCoordination(MemoryCoordination):
    """As if there were other replicas."""

    shared = True


class SharedLog(MemoryEventLog):
    """As if other replicas appended to it."""

    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.coordination: MemoryCoordination = SharedCoordination()


async def a_beat_that_raises(patch: Patch) -> None:
    async with running(SharedLog(), replica_ttl_s=2) as one:
        await eventually(lambda: one.hub.log_health.is_reached)
        raised = plant(patch, Replicas, "refresh", lambda *_: len(raised) < 1)
        beats = one.hub.replicas._refreshed
        await eventually(lambda: one.hub.replicas._refreshed > beats)
        assert one.seen.where == ["replicas"]


async def a_presence_that_cannot_be_told(patch: Patch) -> None:
    raised = plant(patch, Presence, "_send_changes", lambda *_: len(raised) < 1)
    async with running(SharedLog()) as one:
        await eventually(lambda: one.hub.circle.players._subscription is not None)
        told: list[str] = []
        await eventually(lambda: not one.hub.circle.players._is_whole_due)
        patch.setattr(one.log.coordination, "broadcast", lambda topic, _: told.append(topic))
        one.hub.circle.players.add("eve", 1)
        await eventually(lambda: "presence" in one.seen.where)
        one.hub.circle.players.add("ann", 1)
        await eventually(lambda: told == ["presence"])


async def a_return_of_the_log_that_raises(patch: Patch) -> None:
    patch.setattr("app.realtime.cluster.log_health.PROBE_INTERVAL_S", 0.001)
    raised = plant(patch, Hub, "_restored", lambda *_: len(raised) < 1)
    async with running() as one:
        restored: list[int] = []
        catch_up = Sweeper.catch_up

        async def note(sweeper: Sweeper) -> None:
            restored.append(1)
            await catch_up(sweeper)

        patch.setattr(Sweeper, "catch_up", note)
        one.hub.log_health.lose("gone")
        await eventually(lambda: "event log" in one.seen.where)
        before = len(restored)
        one.hub.log_health.lose("gone again")
        await eventually(lambda: len(restored) > before)


async def a_start_that_raises(patch: Patch) -> None:
    patch.setattr("app.realtime.hub.REACH_RETRY_S", 0.001)
    raised = plant(patch, Replicas, "refresh", lambda *_: len(raised) < 2)
    async with running(SharedLog()) as one:
        await eventually(lambda: one.hub.log_health.is_reached)
        assert one.seen.where == ["hub", "hub"]


async def a_part_that_cannot_be_closed(patch: Patch) -> None:
    closed: list[int] = []

    async def close(_: MemoryEventLog) -> None:
        closed.append(1)

    patch.setattr(MemoryEventLog, "close", close)
    async with running() as one:
        raised = plant(patch, type(one.judge), "close")
    assert (raised, closed, one.seen.where) == ([1], [1], ["hub"])


CASES: list[Case] = [
    a_member_whose_way_out_is_shut,
    a_member_that_cannot_be_corked,
    a_member_that_cannot_be_told_what_follows,
    a_slow_reader_whose_outbox_cannot_be_written,
    a_message_that_raises,
    a_queued_message_that_raises,
    a_connection_whose_end_raises,
    a_connection_whose_record_raises,
    a_connection_that_cannot_be_closed_after_the_race,
    a_connection_that_cannot_be_shed,
    a_connection_that_cannot_be_drained,
    a_game_that_the_sweep_cannot_look_at,
    a_game_of_which_the_log_knows_no_more_at_the_sweep,
    a_sweep_that_raises,
    a_game_whose_log_cannot_be_read_at_the_start,
    a_deadline_that_raises,
    a_game_that_cannot_move_on_when_its_time_comes,
    a_look_at_the_load_that_raises,
    a_beat_that_raises,
    a_presence_that_cannot_be_told,
    a_return_of_the_log_that_raises,
    a_start_that_raises,
    a_part_that_cannot_be_closed,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_the_others_go_on_after(case: Case, monkeypatch: Patch) -> None:
    async with asyncio.timeout(60):
        await case(monkeypatch)


async def test_a_connection_ends_for_good_where_even_its_close_raises(monkeypatch: Patch) -> None:
    async with running() as one:
        await one.game("ann", "eve", min_players=9)

        plant(monkeypatch, Peer, "close")
        one.sessions["eve"].close(Close.FORBIDDEN)
        await eventually(lambda: one.left == ["eve"])
        assert one.seen.where == ["connection"]
