"""An end that the peer gets to see while it still sends, on a socket to nobody."""

import asyncio

import pytest

from app.transport.lingering_close import LingeringClose


class Socket(asyncio.Transport):
    """Keeps what is done to it: that a reset takes an answer away is seen on real ones, in tests/e2e."""

    def __init__(self, *, can_write_eof: bool = True, is_closing: bool = False) -> None:
        super().__init__()
        self.done: list[str] = []
        self._can_write_eof = can_write_eof
        self._is_closing = is_closing

    def can_write_eof(self) -> bool:
        return self._can_write_eof

    def is_closing(self) -> bool:
        return self._is_closing

    def write_eof(self) -> None:
        self.done.append("the way out is shut")

    def close(self) -> None:
        self.done.append("closed")

    def abort(self) -> None:
        self.done.append("cut")


def test_only_the_way_out_is_shut_and_the_way_in_is_read_on() -> None:
    socket = Socket()
    assert LingeringClose(socket, 100).begin()
    assert socket.done == ["the way out is shut"]


def test_tls_has_no_half_to_shut_and_drains_by_itself() -> None:
    socket = Socket(can_write_eof=False)
    assert not LingeringClose(socket, 100).begin()
    assert socket.done == ["closed"]


@pytest.mark.parametrize("can_write_eof", [True, False])
def test_of_a_socket_that_closes_already_nothing_is_asked(*, can_write_eof: bool) -> None:
    socket = Socket(can_write_eof=can_write_eof, is_closing=True)
    assert not LingeringClose(socket, 100).begin()
    assert socket.done == []


def test_who_sends_more_than_may_be_forgotten_is_cut() -> None:
    socket = Socket()
    closing = LingeringClose(socket, 100)
    assert closing.discard(60)
    assert closing.discard(40), "so much may come, and no more"
    assert socket.done == []
    assert not closing.discard(1)
    assert socket.done == ["cut"]
