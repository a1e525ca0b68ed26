"""The outbox: what one connection has yet to be sent, bounded in bytes and in age.

While the socket takes frames they are written at once; while it does not they wait here. Durable frames are
never dropped: over the limit, or too old, the connection ends and the client resumes from the log. Of droppable
frames only the newest of each key waits, and what does not fit is dropped.
"""

import time
from collections import deque
from enum import Enum, auto
from typing import Final, NamedTuple

from app.telemetry.observer import Observer
from app.telemetry.tracer import Span
from app.transport import Frame, Transport
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
    """All outboxes of a replica taken together, kept by every change so that nobody has to walk over them."""

    __slots__ = ("_observer", "bytes", "depths", "frames")

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
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
        self._observer.sent_late(waiting.type, waiting.frame.size, waited_s, waiting.event, trace_id)
        if span is not None:
            span.end()


def depth_of(waiting_bytes: int) -> OutboxDepth:
    """How deep an outbox is."""
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
    """Sends, or keeps until the socket takes it, what is for one connection.

    `deepest` is the most bytes that ever waited. `end` takes it out of the account of all.

    Messages are counted when they are written: `messages_out` and `bytes_out` (of payload). `discarded` are those that
    the end of the connection kept from it: what waited then, and what no longer fitted. What is written at once is
    measured by whoever puts it, for many at a time; what had to wait is measured here.
    """

    __slots__ = (
        "_all", "_deflate", "_droppable", "_frames", "_is_clear", "_max_bytes", "_transport", "bytes", "bytes_out",
        "deepest", "discarded", "messages_out",
    )  # fmt: skip

    def __init__(self, transport: Transport, max_bytes: int, outboxes: Outboxes) -> None:
        self._transport = transport
        self._deflate = transport.deflate
        self._max_bytes = max_bytes
        self._all = outboxes
        self._is_clear = transport.is_open and transport.is_writable
        self._frames: deque[Waiting] | None = None
        self._droppable: dict[str, Waiting] | None = None
        self.bytes = 0
        self.deepest = 0
        self.discarded = 0
        self.messages_out = 0
        self.bytes_out = 0
        outboxes.depths[OutboxDepth.EMPTY] += 1

    @property
    def oldest(self) -> float | None:
        """When the durable frame that waits longest was put (`time.monotonic`); None where none waits."""
        return self._frames[0].put_at if self._frames else None

    def put_now(self, frame: Frame) -> bool:
        """Write `frame` if nothing waits and the socket takes it: what nearly always happens, in one step."""
        if not self._is_clear:
            return False
        self._transport.write(frame.wire if self._deflate is None else self._deflate.wire(frame))
        self.messages_out += 1
        self.bytes_out += frame.size
        return True

    def put(self, type: str, frame: Frame, event: bool = False, span: Span | None = None) -> Put:
        """Send `frame`, a durable event or not, now or as soon as the socket takes it, unless it is over the limit.

        Where it waits, `span` is ended when it has been written or is forgotten.
        """
        if self.put_now(frame):
            return Put.WRITTEN
        if not self._transport.is_open or self.bytes + frame.size > self._max_bytes:
            self.discarded += 1
            return Put.FULL
        if self._frames is None:
            self._frames = deque()
        self._frames.append(Waiting(type, frame, time.monotonic(), event, span))
        self._all.moved(self.bytes, self.bytes + frame.size, 1)
        self.bytes += frame.size
        self.deepest = max(self.deepest, self.bytes)
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
        self._is_clear = False

    def flush(self) -> None:
        """Write what waits, as far as the socket takes it: durable frames in order, then the droppable ones."""
        transport = self._transport
        while self._frames and transport.is_writable:
            self._write_oldest(self._frames)
        while self._droppable and not self._frames and transport.is_writable:
            self._write_waiting(self._droppable.pop(next(iter(self._droppable))))
        self._is_clear = transport.is_writable and transport.is_open and not self._frames

    def put_last(self, frame: Frame) -> bool:
        """Write all durable frames, bounded as they are, and `frame`, the last one; False if it is over."""
        if not self._transport.is_open:
            return False
        while self._frames:
            self._write_oldest(self._frames)
        self._write(frame)
        return True

    def end(self) -> None:
        """Discard what waits: the connection has ended."""
        self._is_clear = False
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
