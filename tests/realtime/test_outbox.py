"""The outbox: order, bounds, and what of droppable frames survives."""

import json
from collections import deque
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol import Close, CloseRow, PongData
from app.realtime.connection.outbox import MAX_DROPPABLE, Outbox, Outboxes, Put, Sent
from app.telemetry.observer import Observer
from app.telemetry.tracer import Value
from app.transport import text_frame
from app.vocabulary import OutboxDepth
from tools.harness.hubs import eventually

pytestmark = pytest.mark.anyio


class Socket:
    """A socket whose buffer the test fills: no real one can be filled to the byte."""

    deflate = None

    def __init__(self) -> None:
        self.is_writable = True
        self.is_open = True
        self.sent: list[bytes] = []
        self.closed: list[CloseRow] = []

    def write(self, wire: bytes) -> None:
        self.sent.append(wire)


def block(box: Outbox, socket: Socket) -> None:
    """The socket takes no more, and says so, as transports do."""
    socket.is_writable = False
    box.block()


def payloads(socket: Socket) -> list[bytes]:
    """What was written, without the heads of frames under 126 bytes."""
    return [wire[2:] for wire in socket.sent]


def outbox(max_bytes: int, max_age_s: float = 60, observer: Observer | None = None) -> tuple[Outbox, Socket]:
    socket = Socket()
    outboxes = Outboxes(observer or Observer(), max_bytes, max_age_s)
    return Outbox(socket, outboxes, socket.closed.append), socket  # type: ignore[arg-type] # as much of a transport as an outbox needs


async def test_an_outbox_keeps_order_and_its_limit() -> None:
    box, socket = outbox(10)
    assert box.put("pong", text_frame(b"one")) is Put.WRITTEN
    block(box, socket)
    assert box.put("pong", text_frame(b"two")) is Put.WAITS
    assert box.put_droppable("player_progress", "ann", text_frame(b"progress")) is Sent.WAITS
    assert box.put("pong", text_frame(b"x" * 8)) is Put.FULL
    assert box.put("pong", text_frame(b"x" * 7)) is Put.WAITS
    assert (box.bytes, box.deepest) == (10, 10)
    socket.is_writable = True
    assert box.put_droppable("player_progress", "ann", text_frame(b"newer")) is Sent.REPLACED_OLDER, (
        "nothing overtakes what waits"
    )
    box.flush()
    assert payloads(socket) == [b"one", b"two", b"x" * 7, b"newer"]
    assert box.bytes == 0
    assert socket.closed == [Close.SLOW_CONSUMER], "what was over the limit ends the connection"


async def test_of_droppable_frames_the_newest_of_each_key_waits_and_they_are_bounded() -> None:
    box, socket = outbox(1_000_000)
    block(box, socket)
    for number in range(MAX_DROPPABLE):
        assert box.put_droppable("player_progress", str(number), text_frame(b"old")) is Sent.WAITS
    assert box.put_droppable("player_progress", "0", text_frame(b"new")) is Sent.REPLACED_OLDER
    assert box.put_droppable("player_progress", "one too many", text_frame(b"x")) is Sent.DROPPED
    assert box.bytes == 0
    socket.is_writable = True
    box.flush()
    assert payloads(socket) == [b"new", *[b"old"] * (MAX_DROPPABLE - 1)]


async def test_a_frame_that_waits_too_long_ends_the_connection() -> None:
    box, socket = outbox(100, max_age_s=0.01)
    block(box, socket)
    box.put("pong", text_frame(b"one"))
    await eventually(lambda: socket.closed)
    assert socket.closed == [Close.SLOW_CONSUMER]


async def test_a_frame_is_no_older_for_what_waited_before_it() -> None:
    box, socket = outbox(100, max_age_s=3_600)
    block(box, socket)
    box.put("pong", text_frame(b"one"))
    timer = box._timer
    assert timer is not None
    socket.is_writable = True
    box.flush()
    block(box, socket)
    box.put("pong", text_frame(b"two"))
    assert box._timer is timer, "one at a time"
    box._on_age()
    assert socket.closed == []
    box.end()
    assert box._timer.cancelled()


async def test_the_last_message_comes_after_all_that_waits_and_is_measured() -> None:
    sent = Counts()
    box, socket = outbox(100, observer=sent)
    box.send(PongData(1, 2))
    block(box, socket)
    box.put("pong", text_frame(b"two"))
    assert box.send(PongData(3, 4), last=True)
    first, two, last = payloads(socket)
    assert (json.loads(first)["data"]["timestamp"], two, json.loads(last)["data"]["timestamp"]) == (1, b"two", 3)
    assert sent.types == ["pong", "pong"], "what waited is told as late"
    assert (box._frames, box.bytes) == (deque(), 0)
    socket.is_open = False
    assert not box.send(PongData(5, 6), last=True)


class Counts(Observer):
    """Keeps the types of what was sent to one connection alone."""

    def __init__(self) -> None:
        self.types: list[str] = []

    def sent(self, type: str, count: int, size: int) -> None:
        assert (count, size) == (1, 54)
        self.types.append(type)


class Waits(Observer):
    """Keeps what was written late: type, size, whether it was an event."""

    def __init__(self) -> None:
        self.late: list[tuple[str, int, bool]] = []

    def sent_late(self, type: str, size: int, waited_s: float, event: bool, trace_id: str | None = None) -> None:  # noqa: ARG002 - the interface's
        assert waited_s >= 0
        self.late.append((type, size, event))


async def test_only_frames_that_waited_are_told_and_whether_they_were_events() -> None:
    waits = Waits()
    box, socket = outbox(100, observer=waits)
    box.put("player_ready", text_frame(b"at once"), event=True)
    block(box, socket)
    box.put("player_ready", text_frame(b"event"), event=True)
    box.put("pong", text_frame(b"pong"))
    box.put_droppable("player_progress", "ann", text_frame(b"progress"))
    socket.is_writable = True
    box.flush()
    assert waits.late == [("player_ready", 5, True), ("pong", 4, False), ("player_progress", 8, False)]


async def test_what_is_written_is_sent_and_what_the_end_finds_is_discarded() -> None:
    box, socket = outbox(10)
    box.put("pong", text_frame(b"at once"))
    block(box, socket)
    box.put("pong", text_frame(b"later"))
    for text in (b"old", b"newer"):
        box.put_droppable("player_progress", "ann", text_frame(text))
    assert (box.messages_out, box.bytes_out, box.discarded) == (1, 7, 0), "what waits is neither"
    socket.is_writable = True
    box.flush()
    assert (box.messages_out, box.bytes_out, box.discarded) == (3, 17, 0)
    block(box, socket)
    box.put("pong", text_frame(b"one"))
    box.put("pong", text_frame(b"two"))
    box.put_droppable("player_progress", "ann", text_frame(b"three"))
    assert box.put("pong", text_frame(b"too long")) is Put.FULL
    box.end()
    assert (box.messages_out, box.bytes_out, box.discarded) == (3, 17, 4)
    assert len(socket.sent) == 3


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["put", "block", "flush", "end", "last"]), st.integers(1, 90_000)),
    max_size=60,
)


@given(STEPS)
async def test_the_account_of_all_outboxes_is_always_their_sum(steps: list[tuple[int, str, int]]) -> None:
    outboxes = Outboxes(Observer(), 2_000_000, 60)
    sockets = [Socket() for _ in range(3)]
    boxes = {number: Outbox(one, outboxes, one.closed.append) for number, one in enumerate(sockets)}  # type: ignore[arg-type] # as above
    for number, step, size in steps:
        box = boxes.get(number)
        if box is None:
            continue
        if step == "put":
            box.put("pong", text_frame(b"x" * size))
        elif step == "block":
            block(box, sockets[number])
        elif step == "flush":
            sockets[number].is_writable = True
            box.flush()
        elif step == "last":
            box.send(PongData(1, 2), last=True)
        else:
            box.end()
            del boxes[number]
        assert outboxes.bytes == sum(one.bytes for one in boxes.values())
        assert outboxes.frames == sum(len(one._frames or ()) for one in boxes.values())
        assert sum(outboxes.depths.values()) == len(boxes)
        assert outboxes.depths[OutboxDepth.EMPTY] == sum(one.bytes == 0 for one in boxes.values())
        assert min(outboxes.depths.values()) >= 0


class Noted:
    """A span that remembers its end."""

    trace_id = "a" * 32
    traceparent = ""

    def __init__(self) -> None:
        self.ends: list[str] = []

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Nothing."""

    def delivery(self, link: object, attributes: Mapping[str, Value]) -> "Noted":  # noqa: ARG002 - the interface's
        return Noted()

    def end(self, fault: str = "", ended: float | None = None) -> None:  # noqa: ARG002 - the interface's
        self.ends.append(fault)


async def test_the_span_of_a_frame_that_waits_ends_when_it_is_written_or_forgotten() -> None:
    box, socket = outbox(100)
    at_once, written, forgotten = Noted(), Noted(), Noted()
    assert box.put("pong", text_frame(b"one"), event=True, span=at_once) is Put.WRITTEN
    block(box, socket)
    box.put("pong", text_frame(b"two"), event=True, span=written)
    assert (at_once.ends, written.ends) == ([], []), "the first is its caller's to end"
    box.send(PongData(1, 2), last=True)
    assert written.ends == [""]
    box.put("pong", text_frame(b"three"), event=True, span=forgotten)
    box.end()
    assert forgotten.ends == ["connection_ended"]
    assert written.ends == [""]
