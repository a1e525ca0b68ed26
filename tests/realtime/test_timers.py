"""The one clock: every deadline once, in order, on a clock of the test's own."""

import asyncio

import pytest

from app.realtime.room.deadlines import Deadlines
from tools.harness.faults import unexpected

pytestmark = pytest.mark.anyio


async def test_due_games_fire_once_and_in_order() -> None:
    timers = Deadlines(lambda: 100, unexpected)
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


async def test_a_game_is_overdue_from_its_deadline_until_it_moves_on() -> None:
    now = 100
    timers = Deadlines(lambda: now, unexpected)
    fired: list[str] = []
    task = asyncio.ensure_future(timers.run(fired.append))
    timers.set("first", 90)
    timers.set("second", 95)
    assert timers.overdue_s == 0.0, "nobody has looked yet"
    await asyncio.sleep(0)
    assert fired == ["first", "second"]
    now = 5_090
    assert timers.overdue_s == 5.0
    timers.retry("first", 10**12)
    assert timers.overdue_s == 5.0, "it has not moved on by being tried again"
    timers.set("first", 10**12)
    assert timers.overdue_s == 4.995
    timers.set("second", None)
    assert timers.overdue_s == 0.0
    task.cancel()


async def test_an_earlier_deadline_wakes_the_clock() -> None:
    timers = Deadlines(lambda: 100, unexpected)
    fired = asyncio.Event()
    task = asyncio.ensure_future(timers.run(lambda _: fired.set()))
    await asyncio.sleep(0)  # the clock waits for nothing yet
    timers.set("a", 10**12)
    timers.set("b", 100)
    await asyncio.wait_for(fired.wait(), 10)
    task.cancel()
