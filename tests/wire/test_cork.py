"""What is written in one turn of the event loop leaves in one write where that was asked for."""

import asyncio
from typing import cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from app.aio.timing_wheel import TimingWheel
from app.protocol import Close
from app.settings import ConnectionSettings
from app.telemetry.observer import Observer
from app.transport import LeanContext, LeanTransport
from tools.harness.faults import unexpected

pytestmark = pytest.mark.anyio


class Socket(asyncio.Transport):
    """Keeps each write: how many system calls a real one makes cannot be seen from here."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        pass


async def _app(*_: object) -> None:
    pass


def transport(socket: Socket) -> LeanTransport:
    settings = ConnectionSettings(close_timeout_s=0.01)
    context = LeanContext(uvicorn.Config(_app), TimingWheel(unexpected), Observer(), settings, 1_000)
    return LeanTransport(context, ServerState(), cast("asyncio.Transport", socket))


async def test_the_answer_to_the_upgrade_is_one_write_and_what_follows_another() -> None:
    socket = Socket()
    one = transport(socket)
    one.opened(b"101")
    one.write(b"welcome ")
    one.write(b"joined")
    assert socket.writes == [b"101"]
    await asyncio.sleep(0)  # a turn of the loop
    assert socket.writes == [b"101", b"welcome joined"]
    one.write(b"later")
    assert socket.writes[2:] == [b"later"], "from the next turn on everything leaves at once"
    one.connection_lost(None)


async def test_a_close_leaves_after_what_was_written_before_it() -> None:
    socket = Socket()
    one = transport(socket)
    one.cork()
    one.write(b"last")
    one.close(Close.NORMAL)
    assert b"".join(socket.writes).startswith(b"last\x88")
    one.connection_lost(None)


async def test_no_more_is_kept_than_the_socket_should_be_asked_about() -> None:
    socket = Socket()
    one = transport(socket)
    one.cork()
    for _ in range(10):
        one.write(b"x" * 10_000)
    assert sum(map(len, socket.writes)) >= 80_000
    await asyncio.sleep(0)  # a turn of the loop
    assert sum(map(len, socket.writes)) == 100_000
    one.connection_lost(None)


async def test_what_a_lost_peer_was_to_be_sent_is_forgotten() -> None:
    socket = Socket()
    one = transport(socket)
    one.cork()
    one.write(b"nobody reads this")
    one.connection_lost(None)
    await asyncio.sleep(0)  # a turn of the loop
    assert socket.writes == []
