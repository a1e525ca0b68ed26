"""The outbox: what one connection has yet to be sent, bounded in bytes and in age.

While the socket takes frames they are written at once; while it does not they wait here. Durable frames are
never dropped: over the limit, or too old, the connection ends and the client resumes from the log. Of droppable
frames only the newest of each key waits, and what does not fit is dropped.
"""

import time
from collections import deque
from enum import Enum, auto
from typing import Final

from app.realtime.transport import Transport
from app.telemetry.observer import Observer, OutboxDepth
from app.telemetry.tracer import Span

MAX_DROPPABLE: Final = 100
"""Droppable frames that wait at most, one a key: as many as a game has players."""


class Sent(Enum):
    """What became of a droppable frame."""

    TAKEN = auto()
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
        """An outbox went from `before` to `after` bytes, by so many frames more or less."""
        self.frames += frames
        self.bytes += after - before
        old, new = depth_of(before), depth_of(after)
        if old is not new:
            self.depths[old] -= 1
            self.depths[new] += 1

    def wrote(self, waited_s: float, event: bool, span: Span | None) -> None:
        """A frame was written that had to wait; `event`: it is a durable event."""
        self._observer.outbox_wait(waited_s, event, span.trace_id if span else None)
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


class Outbox:
    """See the module. `deepest` is the most bytes that ever waited. `end` takes it out of the account of all."""

    __slots__ = ("_all", "_droppable", "_frames", "_max_bytes", "_transport", "bytes", "deepest")

    def __init__(self, transport: Transport, max_bytes: int, outboxes: Outboxes) -> None:
        self._transport = transport
        self._max_bytes = max_bytes
        self._all = outboxes
        self._frames: deque[tuple[bytes, float, bool, Span | None]] = deque()
        self._droppable: dict[str, bytes] | None = None
        self.bytes = 0
        self.deepest = 0
        outboxes.depths[OutboxDepth.EMPTY] += 1

    @property
    def oldest(self) -> float | None:
        """When the durable frame that waits longest was put (`time.monotonic`); None where none waits."""
        return self._frames[0][1] if self._frames else None

    def put(self, frame: bytes, event: bool = False, span: Span | None = None) -> Put:
        """Send `frame`, a durable event or not, now or as soon as the socket takes it, unless it is over the limit.

        Where it waits, `span` is ended when it has been written or is forgotten.
        """
        if not self._frames and self._transport.is_writable:
            self._transport.send_frame(frame)
            return Put.WRITTEN
        if self.bytes + len(frame) > self._max_bytes:
            return Put.FULL
        self._frames.append((frame, time.monotonic(), event, span))
        self._all.moved(self.bytes, self.bytes + len(frame), 1)
        self.bytes += len(frame)
        self.deepest = max(self.deepest, self.bytes)
        return Put.WAITS

    def put_droppable(self, key: str, frame: bytes) -> Sent:
        """Send `frame` now, or keep it as the newest of its key until the socket takes frames again."""
        if not self._frames and self._transport.is_writable:
            self._transport.send_frame(frame)
            return Sent.TAKEN
        waiting = self._droppable
        if waiting is None:
            waiting = self._droppable = {}
        known = key in waiting
        if not known and len(waiting) >= MAX_DROPPABLE:
            return Sent.DROPPED
        waiting[key] = frame
        return Sent.REPLACED_OLDER if known else Sent.TAKEN

    def flush(self) -> None:
        """Write what waits, as far as the socket takes it: durable frames in order, then the droppable ones."""
        transport, frames = self._transport, self._frames
        while frames and transport.is_writable:
            self._write_oldest()
        while self._droppable and not frames and transport.is_writable:
            transport.send_frame(self._droppable.pop(next(iter(self._droppable))))

    def flush_all(self) -> None:
        """Hand all durable frames to the socket, bounded as they are: the last ones before the close frame."""
        while self._frames:
            self._write_oldest()

    def end(self) -> None:
        """The connection has ended: what waits is forgotten."""
        self._all.moved(self.bytes, 0, -len(self._frames))
        self._all.depths[OutboxDepth.EMPTY] -= 1
        for *_, span in self._frames:
            if span is not None:
                span.end("connection_ended")
        self._frames.clear()
        self._droppable = None
        self.bytes = 0

    def _write_oldest(self) -> None:
        frame, put_at, event, span = self._frames.popleft()
        self._all.moved(self.bytes, self.bytes - len(frame), -1)
        self.bytes -= len(frame)
        self._transport.send_frame(frame)
        self._all.wrote(time.monotonic() - put_at, event, span)
