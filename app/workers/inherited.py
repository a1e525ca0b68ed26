"""What a worker is given by its supervisor when it is started: its share, and descriptors that are open already.

The descriptors keep their numbers. The worker is told of them by an argument of its command line, which anybody on the
machine may read: nothing in it is secret, and a descriptor's number is worth nothing to others.
"""

import os
import socket
from typing import Self

import msgspec
from msgspec import Struct

from app.workers.share import Share


class Inherited(Struct, frozen=True):
    """The descriptors of one worker.

    `game` and `ops` are its listening sockets: the first are all workers' together, the second its own. `mail` is where
    it receives what other workers send it, `mails` where each of the workers is sent to, itself included: Unix sockets
    of datagrams that come in order (SOCK_SEQPACKET). They are the supervisor's too, so what is sent to a worker that
    has just died waits for the next one. `news` and `all_news` are the same for what workers tell all others (see
    `broadcasts`). `control` is a stream between supervisor and worker, whose end tells either
    that the other is gone. `folder` is for files that the workers share; it stays as long as one has `held` open.
    """

    share: Share
    game: tuple[int, ...]
    ops: tuple[int, ...]
    mail: int
    mails: tuple[int, ...]
    news: int
    all_news: tuple[int, ...]
    control: int
    folder: str
    held: tuple[int, ...] = ()

    def encode(self) -> str:
        """Write it as the argument that `decode` reads."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read the argument. Raises ValueError: it is none."""
        return msgspec.json.decode(text, type=cls)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All of them, in no order."""
        return (*self.game, *self.ops, self.mail, *self.mails, self.news, *self.all_news, self.control, *self.held)

    def keep(self) -> None:
        """Leave none of them to processes that this one starts: they would hold the port when it has ended.

        Raises OSError: one is none.
        """
        for one in self.descriptors:
            os.set_inheritable(one, False)


def sockets(descriptors: tuple[int, ...]) -> list[socket.socket]:
    """Return the sockets behind inherited descriptors. Raises OSError: one is none."""
    return [socket.socket(fileno=one) for one in descriptors]
