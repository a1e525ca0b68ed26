"""Letters between workers: what a descriptor that has come is, and who waits for the next."""

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from app.workers import Share
from app.workers.mailbox import MAX_LETTER_BYTES, Mailbox

Letter = tuple[socket.socket, bytes]


class Taken:
    """A mailbox that sends to itself, and what it has taken."""

    def __init__(self) -> None:
        self.letters: asyncio.Queue[Letter] = asyncio.Queue()
        self.lost = 0
        mail, sending = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.box = Mailbox(Share(0, 1), mail, [sending], self._take, self._lose)

    def _take(self, accepted: socket.socket, data: bytes) -> None:
        self.letters.put_nowait((accepted, data))

    def _lose(self) -> None:
        self.lost += 1


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours


@pytest.mark.anyio
@pytest.mark.timeout(30)
async def test_what_comes_is_whole_and_nobody_else_inherits_it_and_nobody_waits_for_more(
    connection: socket.socket,
) -> None:
    taken = Taken()
    taken.box.open()
    sent = [b"GET / HTTP/1.1", b"x" * MAX_LETTER_BYTES, b"a"]
    for data in sent:
        assert taken.box.send(0, connection.fileno(), data)
        accepted, came = await taken.letters.get()
        with accepted:
            assert came == data
            assert os.fstat(accepted.fileno()).st_ino == os.fstat(connection.fileno()).st_ino
            assert not os.get_inheritable(accepted.fileno())
    taken.box.close()
    assert taken.lost == 0
