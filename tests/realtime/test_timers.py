"""The one clock: every deadline once, in order, on a clock of the test's own."""

import asyncio

import pytest

from app.realtime.outbox import Outbox
from app.realtime.timers import Timers

pytestmark = pytest.mark.anyio


async def test_due_games_fire_once_and_in_order() -> None:
    timers = Timers(lambda: 100)
    fired: list[str] = []
    done = asyncio.Event()

    def fire(game: str) -> None:
        fired.append(game)
        if len(fired) == 3:
            done.set()

    for game, deadline in (("c", 99), ("a", 1), ("later", 10**12), ("moved", 5), ("gone", 6)):
        timers.set(game, deadline)
    timers.set("moved", 50)
    timers.set("gone", None)
    task = asyncio.ensure_future(timers.run(fire))
    await asyncio.wait_for(done.wait(), 10)
    assert fired == ["a", "moved", "c"]
    assert len(timers) == 1
    task.cancel()


async def test_an_earlier_deadline_wakes_the_clock() -> None:
    timers = Timers(lambda: 100)
    fired = asyncio.Event()
    task = asyncio.ensure_future(timers.run(lambda _: fired.set()))
    await asyncio.sleep(0)  # the clock waits for nothing yet
    timers.set("a", 10**12)
    timers.set("b", 100)
    await asyncio.wait_for(fired.wait(), 10)
    task.cancel()


class Socket:
    """A socket whose buffer the test fills: no real one can be filled to the byte."""

    def __init__(self) -> None:
        self.is_writable = True
        self.is_open = True
        self.sent: list[bytes] = []

    def send_frame(self, payload: bytes) -> None:
        self.sent.append(payload)


def outbox(max_bytes: int) -> tuple[Outbox, Socket]:
    socket = Socket()
    return Outbox(socket, max_bytes), socket  # type: ignore[arg-type] # as much of a transport as an outbox needs


def test_an_outbox_keeps_order_and_its_limit() -> None:
    box, socket = outbox(10)
    assert box.put(b"one")
    socket.is_writable = False
    assert box.put(b"two")
    assert not box.put_droppable(b"progress")
    assert not box.put(b"x" * 8)
    assert box.put(b"x" * 7)
    assert (box.bytes, box.deepest) == (10, 10)
    socket.is_writable = True
    assert not box.put_droppable(b"progress"), "nothing overtakes what waits"
    box.flush()
    assert socket.sent == [b"one", b"two", b"x" * 7]
    assert box.bytes == 0
