"""The outbox: what one connection is sent, and has yet to be sent, bounded in bytes and in age.

While the socket takes frames they are written at once; while it does not they wait here. Durable frames are
never dropped: over the limit, or too old, the connection ends with 4430 and the client resumes from the log. Of
droppable frames only the newest of each key waits, and what does not fit is dropped.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple

from app.protocol import Close, CloseRow, ServerData, encode_message
from app.telemetry.observer import Observer
from app.telemetry.tracer import Span
from app.transport import TEXT_HEADS, Frame, Transport, text_frame
from app.vocabulary import OutboxDepth

MAX_DROPPABLE: Final = 100
"""Droppable frames that wait at most, one a key: a usual game's players; more are dropped, and counted."""


class Sent(Enum):
    """What became of a droppable frame."""

    WRITTEN = auto()
    WAITS = auto()
    REPLACED_OLDER = auto()
    DROPPED = auto()


class Put(Enum):
    """What became of a frame that must not be dropped."""

    WRITTEN = auto()
    WAITS = auto()
    FULL = auto()


class Outboxes:
    """What all outboxes of a replica share: their limits, and how much waits in all of them, kept by every change.

    So nobody has to walk over them.
    """

    __slots__ = ("bytes", "depths", "frames", "max_age_s", "max_bytes", "observer")

    def __init__(self, observer: Observer, max_bytes: int, max_age_s: float) -> None:
        self.observer = observer
        self.max_bytes = max_bytes
        self.max_age_s = max_age_s
        self.frames = 0
        self.bytes = 0
        self.depths = dict.fromkeys(OutboxDepth, 0)

    def moved(self, before: int, after: int, frames: int) -> None:
        """Count that an outbox went from `before` to `after` bytes, by so many frames more or less."""
        self.frames += frames
        self.bytes += after - before
        old, new = depth_of(before), depth_of(after)
        if old is not new:
            self.depths[old] -= 1
            self.depths[new] += 1

    def wrote(self, waiting: "Waiting") -> None:
        """Measure a frame that was written and had to wait."""
        waited_s, span = time.monotonic() - waiting.put_at, waiting.span
        trace_id = span.trace_id if span else None
        self.observer.sent_late(waiting.type, waiting.frame.size, waited_s, waiting.event, trace_id)
        if span is not None:
            span.end()


def depth_of(waiting_bytes: int) -> OutboxDepth:
    """Return how deep an outbox is."""
    for most, depth in _DEPTHS:
        if waiting_bytes <= most:
            return depth
    return OutboxDepth.MORE


_DEPTHS: Final = (
    (0, OutboxDepth.EMPTY),
    (4_096, OutboxDepth.TO_4_KIB),
    (65_536, OutboxDepth.TO_64_KIB),
    (1_048_576, OutboxDepth.TO_1_MIB),
)


class Waiting(NamedTuple):
    """A frame that the socket did not take when it was put (`time.monotonic`), and what is to be measured of it."""

    type: str
    frame: Frame
    put_at: float
    event: bool
    span: Span | None


class Outbox:
    """Sends, or keeps until the socket takes it, what is for one connection; `close` ends that of a slow reader.

    `is_clear` says whether a frame can be written at once, `deepest` how many bytes ever waited at most. `end` takes it
    out of the account of all.

    Messages are counted when they are written: `messages_out` and `bytes_out` (of payload). `discarded` are those that
    the end of the connection kept from it: what waited then, and what no longer fitted. What is put and written at once
    is measured by whoever puts it, for many at a time; what is sent to this connection alone, or had to wait, here.
    """

    __slots__ = (
        "_all", "_close", "_deflate", "_droppable", "_frames", "_timer", "_transport", "bytes", "bytes_out", "deepest",
        "discarded", "is_clear", "messages_out",
    )  # fmt: skip

    def __init__(self, transport: Transport, outboxes: Outboxes, close: Callable[[CloseRow], None]) -> None:
        self._transport = transport
        self._deflate = transport.deflate
        self._all = outboxes
        self._close: Callable[[CloseRow], None] | None = close
        self._timer: asyncio.TimerHandle | None = None
        self.is_clear = transport.is_open and transport.is_writable
        self._frames: deque[Waiting] | None = None
        self._droppable: dict[str, Waiting] | None = None
        self.bytes = 0
        self.deepest = 0
        self.discarded = 0
        self.messages_out = 0
        self.bytes_out = 0
        outboxes.depths[OutboxDepth.EMPTY] += 1

    def send(self, data: ServerData, *, last: bool = False) -> bool:
        """Send one message to this connection alone; False where it cannot be sent any more.

        The `last` one goes before the close frame, after all that waits and must not be dropped.
        """
        return self.send_frame(data.type, text_frame(encode_message(data)), last=last)

    def send_frame(self, type: str, frame: Frame, *, last: bool = False) -> bool:
        """Send one encoded message, as `send` does."""
        if self._put_last(frame) if last else self.put_now(frame):
            self._all.observer.sent(type, 1, frame.size)
            return True
        return not last and self.put(type, frame) is not Put.FULL

    def put_now(self, frame: Frame) -> bool:
        """Write `frame` if nothing waits and the socket takes it: what nearly always happens, in one step."""
        if not self.is_clear:
            return False
        self._transport.write(frame.wire if self._deflate is None else self._deflate.wire(frame))
        self.messages_out += 1
        self.bytes_out += frame.size
        return True

    def write_small(self, payload: bytes) -> None:
        """Write a message of at most 125 bytes; only while `is_clear`."""
        size = len(payload)
        if self._deflate is None:
            self._transport.write(TEXT_HEADS[size] + payload)
        else:
            self._transport.write(self._deflate.wire(text_frame(payload)))
        self.messages_out += 1
        self.bytes_out += size

    def put(self, type: str, frame: Frame, event: bool = False, span: Span | None = None) -> Put:
        """Send `frame`, a durable event or not, now or as soon as the socket takes it; over the limit, close.

        Where it waits, `span` is ended when it has been written or is forgotten.
        """
        if self.put_now(frame):
            return Put.WRITTEN
        if self._close is None:
            return Put.FULL
        if not self._transport.is_open or self.bytes + frame.size > self._all.max_bytes:
            self.discarded += 1
            self._close(Close.SLOW_CONSUMER)
            return Put.FULL
        if self._frames is None:
            self._frames = deque()
        self._frames.append(Waiting(type, frame, time.monotonic(), event, span))
        self._all.moved(self.bytes, self.bytes + frame.size, 1)
        self.bytes += frame.size
        self.deepest = max(self.deepest, self.bytes)
        if self._timer is None:
            self._look_again(self._all.max_age_s)
        return Put.WAITS

    def put_droppable(self, type: str, key: str, frame: Frame) -> Sent:
        """Send `frame` now, or keep it as the newest of its key until the socket takes frames again."""
        if self.put_now(frame):
            return Sent.WRITTEN
        if not self._transport.is_open:
            return Sent.DROPPED
        waiting = self._droppable
        if waiting is None:
            waiting = self._droppable = {}
        known = key in waiting
        if not known and len(waiting) >= MAX_DROPPABLE:
            return Sent.DROPPED
        waiting[key] = Waiting(type, frame, time.monotonic(), False, None)
        return Sent.REPLACED_OLDER if known else Sent.WAITS

    def block(self) -> None:
        """Write no more for now, as the socket takes none: what comes waits until `flush`."""
        self.is_clear = False

    def flush(self) -> None:
        """Write what waits, as far as the socket takes it: durable frames in order, then the droppable ones."""
        transport = self._transport
        while self._frames and transport.is_writable:
            self._write_oldest(self._frames)
        while self._droppable and not self._frames and transport.is_writable:
            self._write_waiting(self._droppable.pop(next(iter(self._droppable))))
        self.is_clear = transport.is_writable and transport.is_open and not self._frames

    def _put_last(self, frame: Frame) -> bool:
        if not self._transport.is_open:
            return False
        while self._frames:
            self._write_oldest(self._frames)
        self._write(frame)
        return True

    def end(self) -> None:
        """Discard what waits, and let go of the connection, which has ended."""
        self.is_clear = False
        self._close = None
        if self._timer is not None:
            self._timer.cancel()
        self.discard()
        self._all.depths[OutboxDepth.EMPTY] -= 1

    def discard(self) -> None:
        """Discard what waits, as the connection ends."""
        waiting = self._frames or ()
        self.discarded += len(waiting) + len(self._droppable or ())
        self._all.moved(self.bytes, 0, -len(waiting))
        for one in waiting:
            if one.span is not None:
                one.span.end("connection_ended")
        self._frames = None
        self._droppable = None
        self.bytes = 0

    def _look_again(self, in_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(in_s, self._on_age)

    def _on_age(self) -> None:
        """Close if a durable frame has waited too long; if not, look again when the oldest one would have."""
        self._timer = None
        if not self._frames or self._close is None:
            return
        left_s = self._frames[0].put_at + self._all.max_age_s - time.monotonic()
        if left_s > 0:
            self._look_again(left_s)
        else:
            self._close(Close.SLOW_CONSUMER)

    def _write(self, frame: Frame) -> None:
        self._transport.write(frame.wire if self._deflate is None else self._deflate.wire(frame))
        self.messages_out += 1
        self.bytes_out += frame.size

    def _write_oldest(self, frames: deque[Waiting]) -> None:
        waiting = frames.popleft()
        size = waiting.frame.size
        self._all.moved(self.bytes, self.bytes - size, -1)
        self.bytes -= size
        self._write_waiting(waiting)

    def _write_waiting(self, waiting: Waiting) -> None:
        self._write(waiting.frame)
        self._all.wrote(waiting)
