"""What workers tell each other: datagrams between them that nobody waits to send, and that may be lost.

They have sockets of their own, beside those of the mail: however much is told, no connection is held up. No more is
kept for a worker that has stopped than its socket's buffer holds; what was told to one that has died, the next reads.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final

from app.workers.inherited import Inherited, sockets

MAX_BROADCAST_BYTES: Final = 131_072
"""A socket's buffer holds one that long, by default (net.core.wmem_default is 212,992 on Linux)."""
_END_OF_TOPIC: Final = b"\n"
_MOST_AT_ONCE: Final = 64
"""Datagrams that are taken before others have their turn of the event loop."""


class Broadcasts:
    """Sends to all other workers, and receives on the event loop what they send.

    `take` is called with each topic, which has no line break, and what was told; `dropped` for each worker to whom
    something could not be sent.
    """

    def __init__(
        self,
        incoming: socket.socket,
        others: list[socket.socket],
        take: Callable[[str, bytes], None],
        dropped: Callable[[], None],
    ) -> None:
        self._incoming = incoming
        self._others = others
        self._take = take
        self._dropped = dropped
        self._buffer = bytearray(MAX_BROADCAST_BYTES)
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def of(cls, worker: Inherited, take: Callable[[str, bytes], None], dropped: Callable[[], None]) -> "Broadcasts":
        """Make those of a worker. Raises OSError: a descriptor is no socket."""
        (incoming,) = sockets((worker.news,))
        others = [one for number, one in enumerate(worker.all_news) if number != worker.share.number]
        return cls(incoming, sockets(tuple(others)), take, dropped)

    def send(self, topic: str, payload: bytes) -> None:
        """Tell all other workers."""
        data = b"".join((topic.encode(), _END_OF_TOPIC, payload))
        for one in self._others:
            if not _is_sent(one, data):
                self._dropped()

    def open(self) -> None:
        """Receive from now on, on the running event loop; twice is once."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._incoming.fileno(), self._receive)

    def close(self) -> None:
        """Close all sockets; twice is once."""
        self._pause()
        for one in (self._incoming, *self._others):
            one.close()

    def _pause(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._incoming.fileno())
            self._loop = None

    def _receive(self) -> None:
        for _ in range(_MOST_AT_ONCE):
            if self._loop is None or not self._receive_one():
                return

    def _receive_one(self) -> bool:
        """Take a datagram; return whether there was one."""
        try:
            size = self._incoming.recv_into(self._buffer, flags=socket.MSG_DONTWAIT)
        except OSError:  # none is there, or this was a false alarm
            return False
        if not size:  # every sender is gone
            self._pause()
            return False
        topic, _, payload = bytes(memoryview(self._buffer)[:size]).partition(_END_OF_TOPIC)
        self._take(topic.decode(), payload)
        return True


def _is_sent(one: socket.socket, data: bytes) -> bool:
    if len(data) > MAX_BROADCAST_BYTES:
        return False
    with contextlib.suppress(OSError):  # the buffer is full
        one.send(data, socket.MSG_DONTWAIT)
        return True
    return False
