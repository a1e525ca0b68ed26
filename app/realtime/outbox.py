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

MAX_DROPPABLE: Final = 100
"""Droppable frames that wait at most, one a key: as many as a game has players."""


class Sent(Enum):
    """What became of a droppable frame."""

    TAKEN = auto()
    REPLACED_OLDER = auto()
    DROPPED = auto()


class Outbox:
    """See the module. `deepest` is the most bytes that ever waited."""

    __slots__ = ("_droppable", "_frames", "_max_bytes", "_transport", "bytes", "deepest")

    def __init__(self, transport: Transport, max_bytes: int) -> None:
        self._transport = transport
        self._max_bytes = max_bytes
        self._frames: deque[tuple[bytes, float]] = deque()
        self._droppable: dict[str, bytes] | None = None
        self.bytes = 0
        self.deepest = 0

    @property
    def oldest(self) -> float | None:
        """When the durable frame that waits longest was put (`time.monotonic`); None where none waits."""
        return self._frames[0][1] if self._frames else None

    def put(self, frame: bytes) -> bool:
        """Send `frame` now or as soon as the socket takes it; False where that would go over the limit."""
        if not self._frames and self._transport.is_writable:
            self._transport.send_frame(frame)
            return True
        if self.bytes + len(frame) > self._max_bytes:
            return False
        self._frames.append((frame, time.monotonic()))
        self.bytes += len(frame)
        self.deepest = max(self.deepest, self.bytes)
        return True

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
            frame, _ = frames.popleft()
            self.bytes -= len(frame)
            transport.send_frame(frame)
        while self._droppable and not frames and transport.is_writable:
            transport.send_frame(self._droppable.pop(next(iter(self._droppable))))

    def flush_all(self) -> None:
        """Hand all durable frames to the socket, bounded as they are: the last ones before the close frame."""
        for frame, _ in self._frames:
            self._transport.send_frame(frame)
        self.clear()

    def clear(self) -> None:
        """Forget what waits: the connection has ended."""
        self._frames.clear()
        self._droppable = None
        self.bytes = 0
