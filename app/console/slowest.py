"""The slowest messages of the last hour or two, with the traces that show why."""

import itertools
import time
from heapq import heappush, heapreplace, nlargest
from typing import Final

from msgspec import Struct

from app.console.windows import Windows
from app.telemetry.observer import Opened

KEPT: Final = 50
WINDOW_S: Final = 3600.0


class SlowMessage(Struct, frozen=True):
    """A message that took long, and whose it was; `at` is when it was answered, in epoch seconds."""

    at: float
    type: str
    outcome: str
    duration_s: float
    connection_id: str
    game_id: str
    player_id: str | None
    trace_id: str | None
    replica: str = ""


class _Heap:
    """The slowest so far, the least slow of them in front."""

    __slots__ = ("_number", "items")

    def __init__(self) -> None:
        self.items: list[tuple[float, int, SlowMessage]] = []
        self._number = itertools.count()

    def add(self, slow: SlowMessage) -> None:
        if len(self.items) < KEPT:
            heappush(self.items, (slow.duration_s, next(self._number), slow))
        elif slow.duration_s > self.items[0][0]:
            heapreplace(self.items, (slow.duration_s, next(self._number), slow))


class Slowest:
    """Keeps the slowest messages of `replica`; it is told only of those that are slow."""

    __slots__ = ("_heaps", "replica")

    def __init__(self) -> None:
        self.replica = ""
        self._heaps = Windows(_Heap, WINDOW_S)

    def add(self, type: str, outcome: str, duration_s: float, opened: Opened, trace_id: str | None) -> None:
        """Take a message of a connection that was answered just now."""
        one = SlowMessage(
            time.time(),
            type,
            outcome,
            duration_s,
            opened.connection_id,
            opened.game_id,
            opened.player_id,
            trace_id,
            self.replica,
        )
        self._heaps.now.add(one)

    def rows(self) -> list[SlowMessage]:
        """List them, the slowest first."""
        found = (item for heap in self._heaps.both for item in heap.items)
        return [slow for _, _, slow in nlargest(KEPT, found)]
