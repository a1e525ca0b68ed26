"""An end that the peer gets to see while it still sends (known as lingering close, RFC 9112 section 9.6).

A socket closed with bytes unread resets the connection, which may take the last answer away from the peer. So only the
way out is shut, and what still comes is read and forgotten, until the peer ends too or has sent too much. How long
that may take is bounded by whoever begins it.
"""

import asyncio


class LingeringClose:
    """Shuts the way out of `socket` and counts what is forgotten of the way in: after `max_bytes` the socket is cut."""

    __slots__ = ("_max_bytes", "_socket")

    def __init__(self, socket: asyncio.Transport, max_bytes: int) -> None:
        self._socket = socket
        self._max_bytes = max_bytes

    def begin(self) -> bool:
        """Shut the way out behind what has been written; return whether the way in is left to be read."""
        if self._socket.is_closing():
            return False
        if self._socket.can_write_eof():
            self._socket.write_eof()
            return True
        self._socket.close()  # TLS says that it ends, and drains by itself
        return False

    def discard(self, size: int) -> bool:
        """Count bytes that came; return whether more may come."""
        self._max_bytes -= size
        if self._max_bytes < 0:
            self._socket.abort()
        return self._max_bytes >= 0
