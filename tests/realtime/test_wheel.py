"""The timing wheel, on a real event loop."""

import asyncio

import pytest

from app.aio.timing_wheel import RESOLUTION_S, TimingWheel
from tools.harness.faults import unexpected

pytestmark = pytest.mark.anyio


class Entry:
    """Notes when it was called; `then` is what it does."""

    def __init__(self, called: "list[Entry]") -> None:
        self.called = called
        self.at = 0.0
        self.done = asyncio.Event()
        self.fault: Exception | None = None

    def on_due(self) -> None:
        self.at = asyncio.get_running_loop().time()
        self.called.append(self)
        self.done.set()
        if self.fault is not None:
            raise self.fault


async def test_entries_are_called_in_order_and_never_early() -> None:
    wheel, called, loop = TimingWheel(unexpected), list[Entry](), asyncio.get_running_loop()
    delays = [0.3, 0.05, 0.2, 0.0, 0.1]
    begin = loop.time()
    entries = [Entry(called) for _ in delays]
    for entry, delay in zip(entries, delays, strict=True):
        wheel.set(entry, delay)
    assert len(wheel) == 5
    await asyncio.gather(*(entry.done.wait() for entry in entries))
    assert called == [entries[index] for index in (3, 1, 4, 2, 0)]
    for entry, delay in zip(entries, delays, strict=True):
        assert entry.at - begin >= delay - 0.001, "the loop's clock is in milliseconds"
    assert len(wheel) == 0


async def test_a_cancelled_entry_is_forgotten_and_the_others_are_not() -> None:
    wheel, called = TimingWheel(unexpected), list[Entry]()
    gone, stays = Entry(called), Entry(called)
    slot = wheel.set(gone, 0.05)
    wheel.set(stays, 0.05)
    wheel.cancel(gone, slot)
    wheel.cancel(gone, slot)
    await stays.done.wait()
    assert called == [stays]
    wheel.cancel(stays, slot)


async def test_an_entry_that_fails_takes_no_other_with_it() -> None:
    told = list[str]()
    wheel, called = TimingWheel(lambda where, error: told.append(f"{where}: {error}")), list[Entry]()
    entries = [Entry(called) for _ in range(3)]
    for entry in entries:
        wheel.set(entry, 0.02)
    entries[1].fault = ValueError("a fault")
    await asyncio.gather(*(entry.done.wait() for entry in entries))
    assert told == ["wheel: a fault"]


async def test_an_entry_can_be_set_again_while_it_is_called() -> None:
    wheel, times = TimingWheel(unexpected), list[float]()
    done = asyncio.Event()

    class Again:
        def on_due(self) -> None:
            times.append(asyncio.get_running_loop().time())
            if len(times) == 3:
                done.set()
            else:
                wheel.set(self, 0.02)

    wheel.set(Again(), 0.0)
    await done.wait()
    assert times[2] - times[0] >= 0.04 - 0.002


async def test_far_entries_share_slots_and_are_late_by_a_thousandth_at_most() -> None:
    wheel = TimingWheel(unexpected)
    begin = asyncio.get_running_loop().time()
    slots = {wheel.set(Entry([]), 3600 + number) for number in range(100)}
    assert len(slots) < 50
    assert all(begin + 3600 <= slot * RESOLUTION_S for slot in slots)
    assert max(slots) * RESOLUTION_S <= begin + 3700 * 1.002
