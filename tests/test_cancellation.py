"""Tasks that work for ever end when told to, also where what they wait in loses the first cancellation."""

import asyncio
import contextlib

import pytest

from app.aio.cancellation import end
from app.aio.tasks import TaskOwner
from app.realtime.room.deadlines import Deadlines
from app.telemetry.observer import Observer
from tools.harness.faults import unexpected

pytestmark = pytest.mark.anyio


class Stubborn:
    """Works for ever, and loses the first cancellation, as `asyncio.wait_for` of Python 3.11 may."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def run(self) -> None:
        self.begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()


async def test_a_cancellation_that_was_lost_is_repeated() -> None:
    stubborn, owner = Stubborn(), TaskOwner(Observer().fault)
    owner.spawn(stubborn.run(), "stubborn")
    await stubborn.begun.wait()
    async with asyncio.timeout(30):
        await owner.close()
    assert len(owner) == 0


async def test_tasks_that_have_ended_or_never_began_are_no_trouble() -> None:
    ended = asyncio.ensure_future(asyncio.sleep(0))
    await ended
    await end([])
    await end([ended, asyncio.ensure_future(asyncio.Event().wait())])


async def test_the_clock_ends_though_a_deadline_changes_in_that_moment() -> None:
    """It went on for ever, and the service did not end."""
    timers = Deadlines(lambda: 0, unexpected)
    timers.set("later", 10**13)
    running = asyncio.ensure_future(timers.run(lambda _: None))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # it waits
    timers.set("sooner", 10**12)
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=5)
    assert done == {running}
