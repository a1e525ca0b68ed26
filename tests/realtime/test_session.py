"""One connection on a transport to nobody: what it answers, in which order, and how it ends."""

import asyncio
import gc
import json
from typing import Any

import pytest

from app.game import PlayerCommand, Rejected, SetReady, Submit
from app.protocol import Close, CloseRow
from app.rate_limits import LimitPolicy, TooFast
from app.realtime.connection.registry import Connections
from app.realtime.connection.session import Session
from app.realtime.identity import Identity
from app.settings import load_settings
from app.telemetry.observer import Opened
from app.vocabulary import Initiator, Rejection
from tools.harness.clock import loop_ms, without_waiting
from tools.harness.hubs import Peer, Seen, Slot
from tools.harness.server import SECRET


class Heard:
    """A room that notes what is asked of it; being ready waits until `answer` is given, and may be told to raise."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def act(self, command: PlayerCommand) -> int | None:
        self.asked.append(command)
        if isinstance(command, SetReady):
            return await self.answer
        return 9 if isinstance(command, Submit) else None

    def show_progress(self, player_id: str, percent: float | None, lines: int | None) -> None:
        self.asked.append((player_id, percent, lines))


class Talk:
    """A connection, its peer and its room; `left` once it is given up."""

    def __init__(self, *, in_room: bool = True, **settings: Any) -> None:
        self.seen = Seen()
        self.peer = Peer()
        self.room = Heard()
        self.left: list[str] = []
        chosen = load_settings(jwt_secret=SECRET, event_log_url="memory:", **settings)
        policy = LimitPolicy(frozenset(), self.seen)
        self.connections = Connections(chosen, self._verify, policy, loop_ms, self._note_end)
        opened = Opened("c1", "game", None, "127.0.0.1")
        self.session = self.connections.open(opened, self.peer, Slot(self.left, "ann"))
        if in_room:
            self.session.join(Identity("ann", "Ann", 2e12), self.room)
            self.session.begin()

    def _note_end(self, session: Session) -> None:
        assert session.ended is not None

    async def _verify(self, token: str) -> Identity:
        return Identity(token, token.title(), 2e12)

    def say(self, type: str, data: object = None, **more: object) -> None:
        self.session.on_text(json.dumps({"type": type, "data": data or {}, **more}).encode())

    async def settle(self) -> None:
        """Let the loop turn until nothing happens any more."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def assert_over(self) -> None:
        """It is given up, once."""
        await self.settle()
        assert (self.left, len(self.connections)) == (["ann"], 0)
        assert [closed.connection_id for closed in self.seen.ended] == ["c1"]


@without_waiting
async def test_a_ping_is_answered_in_the_same_turn() -> None:
    talk = Talk()
    talk.say("ping", {"timestamp": 7})
    talk.peer.assert_sent("pong")
    assert talk.peer.last("pong")["timestamp"] == 7


@without_waiting
async def test_answers_come_in_the_order_of_the_messages() -> None:
    talk = Talk()
    talk.say("ready", {"status": "ready"}, id="m1")
    talk.say("ping", {"timestamp": 7})
    await talk.settle()
    talk.peer.assert_sent()
    talk.room.answer.set_result(4)
    await talk.settle()
    talk.peer.assert_sent("ack", "pong")
    assert talk.peer.last("ack") == {"id": "m1", "seq": 4}


@without_waiting
async def test_nothing_is_handled_before_the_player_is_in_a_room() -> None:
    talk = Talk(in_room=False)
    talk.say("progress", {"percent": 5})
    await talk.settle()
    talk.session.join(Identity("ann", "Ann", 2e12), talk.room)
    assert talk.room.asked == []
    talk.session.begin()
    await talk.settle()
    assert talk.room.asked == [("ann", 5, None)]


@without_waiting
async def test_what_came_before_a_player_was_refused_is_forgotten() -> None:
    talk = Talk(in_room=False)
    talk.say("ready", {"status": "ready"})
    talk.session.close(Close.AUTH_FAILED)
    talk.session.begin()
    await talk.assert_over()
    assert talk.seen.where == []


@without_waiting
async def test_the_first_message_of_a_connection_that_ends_is_none() -> None:
    talk = Talk(in_room=False)
    waiting = asyncio.create_task(talk.session.inbox.first_message(60))
    await talk.settle()
    talk.peer.end(Close.LOST, Initiator.NETWORK)
    assert await waiting is None


@without_waiting
async def test_the_first_message_is_waited_for_so_long() -> None:
    talk = Talk(in_room=False)
    with pytest.raises(TimeoutError):
        await talk.session.inbox.first_message(5)


@without_waiting
async def test_the_peer_is_not_read_while_too_much_waits() -> None:
    talk = Talk(max_pending_messages=2)
    is_read = [talk.peer.is_read]
    for type, data in (("ready", {"status": "ready"}), ("ping", {"timestamp": 1})):
        talk.say(type, data)
        is_read.append(talk.peer.is_read)
    talk.room.answer.set_result(1)
    await talk.settle()
    assert [*is_read, talk.peer.is_read] == [True, True, False, True]


@without_waiting
async def test_what_is_no_message_is_answered_and_too_much_of_it_ends_the_connection() -> None:
    talk = Talk(max_invalid_messages_per_minute=1)
    talk.session.on_text(b"{")
    talk.peer.assert_sent("error")
    talk.session.on_text(b"{")
    talk.peer.assert_closed(Close.PROTOCOL_ERROR)
    await talk.assert_over()


@without_waiting
async def test_a_binary_message_ends_the_connection() -> None:
    talk = Talk()
    talk.session.on_binary(b"\0")
    talk.peer.assert_closed(Close.BINARY)
    await talk.assert_over()


@without_waiting
async def test_who_is_too_fast_is_told_when_to_come_again_and_nothing_is_done() -> None:
    talk = Talk(message_burst=50, messages_per_second=1)
    for number in range(50):
        talk.say("ping", {"timestamp": number})
    talk.say("ready", {"status": "ready"}, id="m2")
    talk.peer.assert_sent(*["pong"] * 50, "error")
    error = talk.peer.last("error")
    assert (error["code"], error["id"]) == ("rate_limited", "m2")
    assert error["retry_after_ms"] > 0
    assert talk.room.asked == []


@without_waiting
async def test_a_game_that_is_asked_too_much_of_answers_the_message() -> None:
    talk = Talk()
    talk.room.answer.set_exception(TooFast(0.25))
    talk.say("ready", {"status": "ready"})
    await talk.settle()
    assert talk.peer.last("error")["retry_after_ms"] == 250
    assert talk.session.is_open


@without_waiting
async def test_a_fault_in_a_message_is_told_and_ends_this_connection() -> None:
    talk = Talk()
    talk.room.answer.set_exception(RuntimeError("a detail that must stay here"))
    talk.say("ready", {"status": "ready"})
    await talk.settle()
    talk.peer.assert_sent("error", "disconnect", "close frame")
    talk.peer.assert_closed(Close.INTERNAL)
    assert talk.seen.where == ["message ready"]
    await talk.assert_over()


@pytest.mark.parametrize("code", list(Rejection), ids=str)
@without_waiting
async def test_what_the_rules_reject_is_answered_and_the_connection_goes_on(code: Rejection) -> None:
    talk = Talk()
    talk.room.answer.set_exception(Rejected(code, "not now"))
    talk.say("ready", {"status": "ready"}, id="m1")
    talk.say("ping", {"timestamp": 7})
    await talk.settle()
    talk.peer.assert_sent("error", "pong")
    assert talk.peer.last("error")["message"] == "not now"


@without_waiting
async def test_a_fresh_token_must_be_of_the_same_player() -> None:
    talk = Talk()
    talk.say("auth", {"token": "eve"}, id="m1")
    talk.say("auth", {"token": "ann"}, id="m2")
    await talk.settle()
    talk.peer.assert_sent("error", "ack")
    assert talk.peer.last("error")["code"] == "not_allowed"


@without_waiting
async def test_who_leaves_is_answered_first() -> None:
    talk = Talk()
    talk.say("leave", id="m1")
    await talk.settle()
    talk.peer.assert_sent("ack", "disconnect", "close frame")
    talk.peer.assert_closed(Close.NORMAL)


@without_waiting
async def test_it_is_closed_once_for_the_first_reason() -> None:
    talk = Talk()
    talk.session.close(Close.FORBIDDEN)
    talk.session.close(Close.DRAINING)
    await talk.settle()
    talk.session.close(Close.DRAINING, retry_after_ms=5_000)
    assert talk.session.retry_after_ms == 0, "what the player was told"
    talk.peer.assert_sent("disconnect", "close frame")
    talk.peer.assert_closed(Close.FORBIDDEN)
    await talk.assert_over()


@without_waiting
async def test_a_reader_that_is_too_slow_is_closed() -> None:
    talk = Talk(outbox_max_bytes=4096, message_burst=1000)
    talk.peer.is_writable = False
    talk.session.on_blocked()
    for number in range(200):
        talk.say("ping", {"timestamp": number})
    talk.peer.assert_sent("disconnect", "close frame")
    talk.peer.assert_closed(Close.SLOW_CONSUMER)
    told = talk.peer.last("disconnect")
    assert told["reconnect"]
    assert 1_000 <= told["retry_after_ms"] <= 5_000
    assert talk.session.retry_after_ms == told["retry_after_ms"], "the player's grace begins then"
    await talk.assert_over()
    (closed,) = talk.seen.ended
    assert (closed.messages_out, closed.messages_discarded) == (1, 200)
    outboxes = talk.connections.outboxes
    assert (outboxes.frames, outboxes.bytes, set(outboxes.depths.values())) == (0, 0, {0})


@without_waiting
@pytest.mark.parametrize(
    "row", [Close.WIRE_ERROR, Close.INVALID_UTF8, Close.TOO_BIG, Close.PING_TIMEOUT], ids=lambda row: row.reason
)
async def test_when_the_transport_closes_by_itself_the_peer_is_told_before(row: CloseRow) -> None:
    talk = Talk()
    talk.peer.is_writable = False
    talk.session.on_blocked()
    talk.say("ping", {"timestamp": 1})
    talk.peer.fail(row)
    is_deaf = row is Close.PING_TIMEOUT
    talk.peer.assert_sent(*([] if is_deaf else ["pong"]), "disconnect", "close frame")
    talk.peer.assert_closed(row)
    told = talk.peer.last("disconnect")
    assert (told["code"], told["reconnect"], told["retry_after_ms"] > 0) == (row.code, is_deaf, is_deaf)
    await talk.assert_over()
    (closed,) = talk.seen.ended
    assert (closed.messages_out, closed.messages_discarded) == ((1, 1) if is_deaf else (2, 0))


@without_waiting
async def test_a_peer_that_cannot_be_told_is_cut() -> None:
    talk = Talk()
    talk.peer.broken = True
    talk.peer.fail(Close.WIRE_ERROR)
    await talk.assert_over()
    assert talk.peer.row is Close.LOST
    assert talk.seen.where == ["connection"]
    assert talk.session.retry_after_ms == 0


@without_waiting
async def test_what_waited_is_sent_once_the_peer_reads_again() -> None:
    talk = Talk()
    talk.peer.is_writable = False
    talk.session.on_blocked()
    talk.say("ping", {"timestamp": 1})
    talk.peer.assert_sent()
    talk.peer.is_writable = True
    talk.session.on_writable()
    talk.peer.assert_sent("pong")


@without_waiting
async def test_it_is_over_only_when_the_message_under_way_is_handled() -> None:
    talk = Talk()
    talk.say("ready", {"status": "ready"})
    talk.peer.end(Close.LOST, Initiator.NETWORK)
    await talk.settle()
    assert talk.left == []
    talk.room.answer.set_result(1)
    await talk.assert_over()


@without_waiting
async def test_it_is_freed_without_the_garbage_collector() -> None:
    """Whatever holds each other would only be freed by a collection."""
    talk = Talk()
    talk.say("ping", {"timestamp": 1})
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        talk.peer.end(Close.LOST, Initiator.NETWORK)
        await talk.assert_over()
        del talk.session
        talk.peer.listener = None
        gc.collect()
        held = {type(one).__name__ for one in gc.garbage}
        assert not held & {"Session", "Inbox", "Outbox", "Expiry", "Quota", "ConnectionStats"}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
