"""Many timers for the price of one: a timing wheel.

A timer of the event loop takes half a kilobyte and a place in its heap; a connection has two or three that hardly
ever fire. Here an entry is a key in a dictionary of all that are due at the same moment (Varghese and Lauck, "Hashed
and Hierarchical Timing Wheels", 1987). Entries are called late by `RESOLUTION_S` or a thousandth of their delay at
most, and never early.
"""

import asyncio
import contextlib
import math
from heapq import heappop, heappush
from typing import Final, Protocol

from app.telemetry.bulkhead import Bulkhead, ReportFault

RESOLUTION_S: Final = 0.01
_SLOTS_PER_DELAY_BITS: Final = 10


class Timed(Protocol):
    """Something that waits for a time."""

    def on_due(self) -> None:
        """Act: the time has come."""


class TimingWheel:
    """Calls each entry once, when its time has come. What goes wrong with one of them is reported to `report`."""

    __slots__ = ("_armed", "_bulkhead", "_order", "_slots", "_timer")

    def __init__(self, report: ReportFault) -> None:
        self._bulkhead = Bulkhead(report, "wheel")
        self._slots: dict[int, tuple[int, dict[Timed, None]]] = {}  # with one number for all that keep it
        self._order: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._armed = 0

    def __len__(self) -> int:
        return sum(len(entries) for _, entries in self._slots.values())

    def set(self, entry: Timed, delay_s: float) -> int:
        """Call `entry.on_due` after `delay_s`; the slot to cancel it with. An entry is in one slot at a time."""
        loop = asyncio.get_running_loop()
        delay = max(0, math.ceil(delay_s / RESOLUTION_S))
        coarseness = (delay >> _SLOTS_PER_DELAY_BITS).bit_length()
        now = math.floor(loop.time() / RESOLUTION_S)
        slot = -(-(now + delay + 1) >> coarseness) << coarseness
        known = self._slots.get(slot)
        if known is None:
            self._slots[slot] = slot, {entry: None}
            heappush(self._order, slot)
            self._arm(loop)
            return slot
        slot, entries = known
        entries[entry] = None
        return slot

    def cancel(self, entry: Timed, slot: int) -> None:
        """Forget an entry; one that has been called already is none."""
        known = self._slots.get(slot)
        if known is None:
            return
        _, entries = known
        entries.pop(entry, None)
        if not entries:
            del self._slots[slot]

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._order:
            return
        first = self._order[0]
        if self._timer is not None:
            if self._armed <= first:
                return
            self._timer.cancel()
        self._armed = first
        self._timer = loop.call_at(first * RESOLUTION_S, self._fire, loop)

    def _fire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time() + RESOLUTION_S / 10  # the loop's own clock is coarser than the one it is asked for
        while self._order and self._order[0] * RESOLUTION_S <= now:
            self._call(self._order[0])
            heappop(self._order)
        self._arm(loop)

    def _call(self, slot: int) -> None:
        while (known := self._slots.get(slot)) and known[1]:
            entry, _ = known[1].popitem()
            with self._bulkhead:
                entry.on_due()
        with contextlib.suppress(KeyError):
            del self._slots[slot]
