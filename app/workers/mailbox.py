"""The mail of one worker: connections that another has accepted come with what has been read of them.

A letter is one datagram: a descriptor (SCM_RIGHTS, unix(7)) and bytes. Nobody waits to send one: what the kernel does
not take at once is not sent, so a worker that has stopped holds up nobody, and no more is kept for it than its socket's
buffer holds.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from typing import Final

from app.workers.inherited import Inherited, sockets
from app.workers.share import Share

MAX_LETTER_BYTES: Final = 131_072
"""A socket's buffer holds one that long, by default (net.core.wmem_default is 212,992 on Linux)."""
_DESCRIPTOR: Final = struct.Struct("i")
_RIGHTS_BYTES: Final = socket.CMSG_LEN(_DESCRIPTOR.size)
_FLAGS: Final = int(socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC)
_CUT: Final = int(socket.MSG_CTRUNC | socket.MSG_TRUNC)
_MOST_AT_ONCE: Final = 64
"""Letters that are taken before others have their turn of the event loop."""


class Mailbox:
    """Sends connections to other workers, and receives those for this one, on the event loop.

    `take` is called with each that has come, whose socket is the callee's, and what was read of it; `lost` where one
    came without its descriptor: there was none left to receive it with.
    """

    def __init__(
        self,
        share: Share,
        mail: socket.socket,
        mails: list[socket.socket],
        take: Callable[[socket.socket, bytes], None],
        lost: Callable[[], None],
    ) -> None:
        self.share = share
        self._mail = mail
        self._mails = mails
        self._take = take
        self._lost = lost
        self._buffer = bytearray(MAX_LETTER_BYTES)
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def of(cls, worker: Inherited, take: Callable[[socket.socket, bytes], None], lost: Callable[[], None]) -> "Mailbox":
        """Make that of a worker. Raises OSError: a descriptor is no socket."""
        (mail,) = sockets((worker.mail,))
        return cls(worker.share, mail, sockets(worker.mails), take, lost)

    def send(self, number: int, descriptor: int, data: bytes) -> bool:
        """Send a connection to a worker with what was read of it; return whether it is on its way.

        The descriptor stays the sender's, to be closed by it.
        """
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, _DESCRIPTOR.pack(descriptor))
        with contextlib.suppress(OSError):  # the buffer is full, or too many descriptors are under way
            self._mails[number].sendmsg([data], [rights], socket.MSG_DONTWAIT)  # socket.send_fds would ignore the flag
            return True
        return False

    def open(self) -> None:
        """Receive from now on, on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._mail.fileno(), self._receive)

    def pause(self) -> None:
        """Receive no more: what comes from now on waits for the next worker of this share."""
        if self._loop is not None:
            self._loop.remove_reader(self._mail.fileno())
            self._loop = None

    def close(self) -> None:
        """Close all sockets."""
        self.pause()
        for one in (self._mail, *self._mails):
            one.close()

    def _receive(self) -> None:
        for _ in range(_MOST_AT_ONCE):
            if self._loop is None or not self._receive_one():
                return

    def _receive_one(self) -> bool:
        """Take a letter; return whether there was one."""
        try:  # socket.recv_fds would ignore the flags, and fill a buffer of its own each time
            size, rights, told, _ = self._mail.recvmsg_into([self._buffer], _RIGHTS_BYTES, _FLAGS)
        except OSError:  # none is there, or this was a false alarm
            return False
        data = bytes(memoryview(self._buffer)[:size])
        descriptors = [one for *_, packed in rights for (one,) in _DESCRIPTOR.iter_unpack(packed)]
        if len(descriptors) == 1 and data and not told & _CUT:
            self._take(socket.socket(fileno=descriptors[0]), data)
            return True
        for one in descriptors:
            os.close(one)
        if not data and not descriptors:  # every sender is gone
            self.pause()
            return False
        self._lost()
        return True
