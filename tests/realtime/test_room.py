"""One room on a log in memory, its members on transports to nobody: who is told what, and when."""

import asyncio
import gc
import weakref
from collections.abc import Sequence

import pytest

from app.eventlog import Commit, Conflict, Cursor, LogUnavailable
from app.eventlog.embedded import MemoryEventLog
from app.game import GameEvent, Join, LeaveGame, Rejected, Remove, SetReady
from app.protocol import Close
from app.realtime.room.room import Room
from app.vocabulary import LogTrouble
from tools.harness.clock import loop_ms, without_waiting
from tools.harness.hubs import OneHub, eventually, running


class GatedLog(MemoryEventLog):
    """A log whose appends wait while `gate` is shut, or fail with `trouble`."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.trouble: Exception | None = None
        self.conflicts = 0

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        try:
            return await super().append(game_id, after, events)
        except Conflict:
            self.conflicts += 1
            raise


async def a_room(one: OneHub, *players: str, **rules: int) -> Room:
    """A loaded room with players in it, who have been told all there is."""
    state = await one.game(*players, **{"min_players": 9} | rules)
    for peer in one.peers.values():
        peer.skip()
    return one.hub.rooms.loaded[state.game_id]


@without_waiting
async def test_nobody_is_told_before_the_log_has_it() -> None:
    log = GatedLog()
    async with running(log, now=loop_ms) as one:
        await a_room(one, "ann", "bob")
        log.gate.clear()
        one.say("ann", "ready", {"status": "ready"})
        await asyncio.sleep(1)
        one.peers["bob"].assert_sent()
        log.gate.set()
        await one.until_sent("bob", "player_ready")


@without_waiting
async def test_what_the_log_does_not_take_has_not_happened() -> None:
    log = GatedLog()
    async with running(log, now=loop_ms) as one:
        room = await a_room(one, "ann", "bob")
        log.trouble = LogUnavailable("busy", LogTrouble.BUSY)
        one.say("ann", "ready", {"status": "ready"}, id="m1")
        await one.until_sent("ann", "error")
        assert one.peers["ann"].last("error")["code"] == "unavailable"
        assert not room.known.players["ann"].ready
        one.peers["bob"].assert_sent()


@without_waiting
async def test_who_lost_against_another_replica_reads_on_and_decides_again() -> None:
    log = GatedLog()
    async with running(log, now=loop_ms) as one, running(log, now=loop_ms) as other:
        room = await a_room(one, "ann", "bob")
        async with other.hub.rooms.use(room.game_id) as there:
            assert there is not None
            log.gate.clear()
            both = asyncio.gather(room.handle(SetReady("ann", True)), there.handle(SetReady("bob", True)))
            await asyncio.sleep(1)
            log.gate.set()
            await both
        assert log.conflicts == 1
        assert room.known.players["ann"].ready
        assert room.known.players["bob"].ready


@without_waiting
async def test_a_log_that_refuses_and_holds_no_more_has_lost_the_game() -> None:
    log = GatedLog()
    async with running(log, now=loop_ms) as one:
        room = await a_room(one, "ann")
        log.trouble = Conflict()
        log._games.clear()
        with pytest.raises(LogUnavailable):
            await room.handle(SetReady("ann", True))
        one.peers["ann"].assert_closed(Close.NO_SUCH_GAME)


@without_waiting
async def test_a_commit_that_is_delivered_twice_is_told_once() -> None:
    async with running(now=loop_ms) as one:
        room = await a_room(one, "ann", "bob")
        await room.handle(SetReady("ann", True))
        cursor = room.cursor
        for commit in await one.log.read(room.game_id):
            room.deliver(commit)
        room.deliver((await one.log.read(room.game_id))[0])
        one.peers["bob"].assert_sent("player_ready")
        assert room.cursor == cursor


@without_waiting
async def test_a_commit_that_comes_too_early_waits_for_what_was_missed() -> None:
    async with running(now=loop_ms) as one:
        room = await a_room(one, "ann", "bob")
        ready, again = (SetReady("ann", True), SetReady("bob", True))
        await room.handle(ready)
        await room.handle(again)
        commits = await one.log.read(room.game_id)
        late = Room(room.game_id, room._context)
        for commit in commits[:2]:
            late.deliver(commit)
        late.deliver(Commit(commits[-1].cursor, commits[-1].events))
        assert late.known.seq == commits[1].events[-1].seq, "not applied out of order"
        await eventually(lambda: late.known.seq == room.known.seq)


@without_waiting
async def test_who_resumes_is_sent_what_it_missed_and_nothing_else() -> None:
    async with running(now=loop_ms) as one:
        room = await a_room(one, "ann")
        seen = room.known.seq
        await room.handle(SetReady("ann", True))
        await room.handle(SetReady("ann", False))
        peer = await one.enter(room.game_id, "bob", last_seq=seen)
        peer.assert_sent("welcome", "player_ready", "player_ready", "player_joined")
        assert peer.last("welcome")["resumed"] is True


@without_waiting
async def test_who_claims_to_have_seen_more_than_there_is_is_sent_the_state_alone() -> None:
    async with running(now=loop_ms) as one:
        room = await a_room(one, "ann")
        peer = await one.enter(room.game_id, "bob", last_seq=10_000)
        peer.assert_sent("welcome", "player_joined")
        assert peer.last("welcome")["resumed"] is False


@without_waiting
async def test_a_second_connection_of_a_player_replaces_the_first() -> None:
    async with running(now=loop_ms) as one:
        room = await a_room(one, "ann")
        first = one.peers["ann"]
        second = await one.enter(room.game_id, "ann")
        first.assert_closed(Close.REPLACED)
        assert second.is_open
        assert list(room.members) == [one.sessions["ann"].connection_id]


@without_waiting
async def test_who_is_put_out_is_told_and_closed() -> None:
    async with running(now=loop_ms) as one:
        room = await a_room(one, "ann", "eve")
        await room.handle(Remove("eve"))
        one.peers["eve"].assert_closed(Close.FORBIDDEN)
        one.peers["ann"].assert_sent("player_left")


@without_waiting
async def test_what_is_not_wanted_any_more_is_not_asked_for() -> None:
    async with running(now=loop_ms) as one:
        room = await a_room(one, "ann")
        assert await room.handle(LeaveGame("ann"), lambda: False) == []
        assert "ann" in room.known.players


@without_waiting
async def test_what_the_rules_forbid_is_told_to_nobody() -> None:
    async with running(now=loop_ms) as one:
        room = await a_room(one, "ann", max_players=1)
        with pytest.raises(Rejected):
            await room.handle(Join("bob", "Bob", "c9"))
        one.peers["ann"].assert_sent()


@without_waiting
async def test_a_room_that_is_let_go_is_freed_at_once() -> None:
    """In a cycle it would stay until a collection: each game's state, and a pause of all players to find it."""
    async with running(now=loop_ms) as one:
        room = weakref.ref(await a_room(one, "ann"))
        gc.collect()
        gc.disable()
        try:
            one.sessions.pop("ann").close(Close.NORMAL)
            await eventually(lambda: not one.hub.rooms.loaded)
            assert room() is not None, "ann may come back"
            await asyncio.sleep(31)
            assert room() is None, gc.get_referrers(room())
        finally:
            gc.enable()
