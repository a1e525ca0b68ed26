"""The outbox: what one connection has yet to be sent, bounded in bytes.

While the socket takes frames they are written at once; while it does not they wait here. Durable frames are
never dropped: over the limit the connection ends and the client resumes from the log. Droppable frames are
dropped as soon as the socket does not take them.
"""

from collections import deque

from app.realtime.transport import Transport


class Outbox:
    """See the module. `deepest` is the most bytes that ever waited."""

    __slots__ = ("_frames", "_max_bytes", "_transport", "bytes", "deepest")

    def __init__(self, transport: Transport, max_bytes: int) -> None:
        self._transport = transport
        self._max_bytes = max_bytes
        self._frames: deque[bytes] = deque()
        self.bytes = 0
        self.deepest = 0

    def put(self, frame: bytes) -> bool:
        """Send `frame` now or as soon as the socket takes it; False where that would go over the limit."""
        if not self._frames and self._transport.is_writable:
            self._transport.send_frame(frame)
            return True
        if self.bytes + len(frame) > self._max_bytes:
            return False
        self._frames.append(frame)
        self.bytes += len(frame)
        self.deepest = max(self.deepest, self.bytes)
        return True

    def put_droppable(self, frame: bytes) -> bool:
        """Send `frame` now or never; False where it was dropped."""
        if self._frames or not self._transport.is_writable:
            return False
        self._transport.send_frame(frame)
        return True

    def flush(self) -> None:
        """Write what waits, as far as the socket takes it."""
        while self._frames and self._transport.is_writable:
            frame = self._frames.popleft()
            self.bytes -= len(frame)
            self._transport.send_frame(frame)

    def clear(self) -> None:
        """Forget what waits: the connection has ended."""
        self._frames.clear()
        self.bytes = 0
