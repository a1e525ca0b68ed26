"""Bans: who is let in no more, on whichever replica, and for how long."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import pytest

from app.console.banned import BanPage, ban_page
from app.console.connections import Listing
from app.eventlog import Subscription
from app.eventlog.embedded import MemoryCoordination
from app.protocol import Close
from app.realtime.cluster.bans import READ_EVERY_S, TOPIC, Ban, Bans, TooManyBans
from app.web.auth.player import MAX_PLAYER_ID
from tools.harness.clock import loop_ms, without_waiting
from tools.harness.faults import unexpected
from tools.harness.hubs import eventually, running

PutOut = list[tuple[str, bool]]
Receive = Callable[[bytes], None]


class Side(MemoryCoordination):
    """One replica's side of what is shared with the other: it hears what that tells, unless it is deaf."""

    shared = True

    def __init__(self, other: "Side | None" = None, *, is_deaf: bool = False) -> None:
        super().__init__()
        self.ears: list[tuple[Side, Receive]] = [] if other is None else other.ears
        self.is_deaf = is_deaf
        if other is not None:
            self._notes = other._notes

    async def subscribe(self, topic: str, receive: Receive) -> Subscription:
        if not self.is_deaf:
            self.ears.append((self, receive))
        return await super().subscribe(topic, receive)

    def broadcast(self, topic: str, payload: bytes) -> None:
        assert topic == TOPIC
        for side, receive in self.ears:
            if side is not self:
                receive(payload)


@contextlib.asynccontextmanager
async def two_sides(put_out: PutOut, *, is_deaf: bool = False) -> AsyncIterator[tuple[Bans, Bans]]:
    """Bans of two replicas, of which the other reads what is decided; whom it puts out is noted."""
    one_side = Side()
    one, other = bans_on(one_side, []), bans_on(Side(one_side, is_deaf=is_deaf), put_out)
    reading = asyncio.create_task(other.run())
    await asyncio.sleep(READ_EVERY_S / 2)
    yield one, other
    reading.cancel()


def bans_on(coordination: MemoryCoordination, put_out: PutOut) -> Bans:
    """Those of a replica; who is put out, and whether to come back, is noted."""

    def note(player_id: str, text: str, comes_back: bool) -> int:
        assert text
        put_out.append((player_id, comes_back))
        return 1

    return Bans(coordination, unexpected, note)


@without_waiting
async def test_a_ban_ends_by_itself_and_one_for_good_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    bans = bans_on(MemoryCoordination(), [])
    await bans.ban("ann", 60, "spam", "op")
    await bans.ban("bob", None, "spam", "op")
    assert [ban.player_id for ban in bans.active] == ["ann", "bob"]
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert bans.find("ann") is None
    assert bans.find("bob") is not None
    assert len(bans) == 1


@without_waiting
async def test_one_that_was_over_for_a_while_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    bans = bans_on(kept := MemoryCoordination(), [])
    await bans.ban("ann", 60, "spam", "op")
    later = time.time() + 121
    monkeypatch.setattr(time, "time", lambda: later)
    await bans.refresh()
    assert await kept.kept(TOPIC) == {}


class Slow(MemoryCoordination):
    """Answers with what was kept when it was asked, but not before it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def kept(self, topic: str) -> dict[str, bytes]:
        found = await super().kept(topic)
        await self.may_answer.wait()
        return found


@without_waiting
async def test_what_is_decided_while_bans_are_read_outlives_the_older_answer() -> None:
    bans = bans_on(slow := Slow(), put_out := PutOut())
    await bans.ban("bob", None, "spam", "op")
    slow.may_answer.clear()
    reading, lifting = asyncio.create_task(bans.refresh()), asyncio.create_task(bans.lift("bob"))
    await asyncio.sleep(0.01)
    late = asyncio.create_task(bans.refresh())
    await bans.ban("ann", None, "spam", "op")
    await asyncio.sleep(0.01)
    slow.may_answer.set()
    await asyncio.gather(reading, lifting, late)
    assert [ban.player_id for ban in bans.active] == ["ann"]
    assert put_out == [("bob", False), ("ann", False)], "nobody is put out twice"


@without_waiting
async def test_bans_that_have_ended_leave_room_where_nobody_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.realtime.cluster.bans.MAX_BANS", 2)
    bans = bans_on(kept := MemoryCoordination(), [])
    for name in ("ann", "bob"):
        await bans.ban(name, 60, "spam", "op")
    with pytest.raises(TooManyBans):
        await bans.ban("cay", 60, "spam", "op")
    await bans.ban("ann", 60, "spam again", "op")
    later = time.time() + 121
    monkeypatch.setattr(time, "time", lambda: later)
    await bans.ban("cay", 60, "spam", "op")
    assert set(await kept.kept(TOPIC)) == {"cay"}


@without_waiting
async def test_who_starts_anew_knows_the_bans_there_are() -> None:
    kept = MemoryCoordination()
    await bans_on(kept, []).ban("ann", None, "spam", "op")
    other = bans_on(kept, [])
    await other.refresh()
    ban = other.find("ann")
    assert ban is not None
    assert (ban.reason, ban.by, ban.until) == ("spam", "op", None)
    assert await other.lift("ann") == ban
    assert await other.lift("ann") is None
    assert await kept.kept(TOPIC) == {}


@without_waiting
async def test_others_hear_of_a_ban_at_once_and_put_the_player_out_once() -> None:
    put_out = PutOut()
    async with two_sides(put_out) as (one, other):
        before = loop_ms()
        await one.ban("ann", 60, "spam", "op")
        await eventually(lambda: other.find("ann") is not None)
        assert loop_ms() - before < 100
        assert put_out == [("ann", False)]
        assert one.close("bob", comes_back=True) == 1
        assert put_out[1:] == [("bob", True)]
        await asyncio.sleep(3 * READ_EVERY_S)
        await one.lift("ann")
        await eventually(lambda: other.find("ann") is None)
        assert len(put_out) == 2


@without_waiting
async def test_a_ban_that_was_not_heard_of_is_read_soon() -> None:
    put_out = PutOut()
    async with two_sides(put_out, is_deaf=True) as (one, other):
        before = loop_ms()
        await one.ban("ann", None, "spam", "op")
        await eventually(lambda: other.find("ann") is not None)
        assert loop_ms() - before <= READ_EVERY_S * 1000
        assert put_out == [("ann", False)]


@without_waiting
async def test_a_banned_player_is_put_out_of_all_games_for_good_and_nobody_else() -> None:
    async with running(now=loop_ms) as one:
        await one.game("ann", "bob", min_players=9)
        first = one.peers["ann"]
        await one.game("ann", min_players=9)
        await one.hub.bans.ban("ann", 3600, "spam", "op")
        for peer in (first, one.peers["ann"]):
            peer.assert_closed(Close.FORBIDDEN)
            assert peer.last("disconnect")["reconnect"] is False
            assert "spam" not in peer.last("disconnect")["message"], "why is for operators alone"
        assert one.peers["bob"].is_open


@without_waiting
async def test_who_was_let_through_just_before_the_ban_does_not_come_in() -> None:
    async with running(now=loop_ms) as one:
        state = await one.game("bob", min_players=9)
        await one.hub.bans.ban("ann", 3600, "spam", "op")
        peer = await one.enter(state.game_id, "ann")
        peer.assert_closed(Close.FORBIDDEN)
        peer.assert_sent("disconnect", "close frame")
        assert "ann" not in one.hub.rooms.loaded[state.game_id].known.players
        await eventually(lambda: len(one.hub.connections) == 1)
        assert one.left == ["ann"]


@without_waiting
async def test_bans_are_listed_page_by_page_the_newest_first_whatever_the_ids() -> None:
    bans = [Ban(str(since) + "🐎" * (MAX_PLAYER_ID - 1), since, None, "", "ops") for since in range(5)]
    pages: list[BanPage] = []
    after = ""
    while not pages or pages[-1].next:
        pages.append(await ban_page(bans, Listing(limit=2, after=after)))
        after = pages[-1].next or ""
    assert [[ban.since for ban in page.rows] for page in pages] == [[4, 3], [2, 1], [0]]
    assert [page.matched for page in pages] == [5, 5, 5]
