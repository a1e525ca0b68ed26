"""One clock for all games: a heap of deadlines and a single task.

A game needs no timer of its own and need not be loaded for its deadline to be kept.
"""

import asyncio
import contextlib
import heapq
from collections.abc import Callable

from app.telemetry.bulkhead import Bulkhead, ReportFault


class Deadlines:
    """Deadlines by game, in epoch milliseconds; `now` is the clock they are compared with.

    What goes wrong with one of them is reported to `report`.
    """

    def __init__(self, now: Callable[[], int], report: ReportFault) -> None:
        self._now = now
        self._bulkhead = Bulkhead(report, "deadline")
        self._heap: list[tuple[int, str]] = []
        self._deadlines: dict[str, int] = {}
        self._overdue: dict[str, int] = {}  # those that have come, first things first, until their games move on
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._deadlines)

    def __contains__(self, game_id: str) -> bool:
        return game_id in self._deadlines

    def set(self, game_id: str, deadline: int | None) -> None:
        """Note that a game has moved on: set, move or (None) remove its deadline."""
        self._overdue.pop(game_id, None)
        self._schedule(game_id, deadline)

    def retry(self, game_id: str, at: int) -> None:
        """Note that a game could not move on: it is tried again at `at`; it stays overdue since its deadline."""
        self._schedule(game_id, at)

    @property
    def overdue_s(self) -> float:
        """Return how long the most overdue game is past its deadline; 0 where none is."""
        first = next(iter(self._overdue.values()), None)
        return 0.0 if first is None else max(0.0, (self._now() - first) / 1000)

    def overdue_of(self, game_id: str) -> float:
        """Return how long a game is past its deadline, in seconds; 0 where it is not."""
        due = self._overdue.get(game_id)
        return 0.0 if due is None else max(0.0, (self._now() - due) / 1000)

    def _schedule(self, game_id: str, deadline: int | None) -> None:
        if self._deadlines.get(game_id) == deadline:
            return
        if deadline is None:
            del self._deadlines[game_id]
            return
        self._deadlines[game_id] = deadline
        heapq.heappush(self._heap, (deadline, game_id))
        if self._heap[0] == (deadline, game_id):
            self._changed.set()

    async def run(self, fire: Callable[[str], None]) -> None:
        """Call `fire` with each game whose deadline has come, for ever; the deadline is then forgotten."""
        while True:
            for game_id in self._due():
                with self._bulkhead:
                    fire(game_id)
            self._changed.clear()
            delay = None if not self._heap else max(0.0, (self._heap[0][0] - self._now()) / 1000)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._changed.wait()

    def _due(self) -> list[str]:
        due = []
        while self._heap and self._heap[0][0] <= self._now():
            deadline, game_id = heapq.heappop(self._heap)
            if self._deadlines.get(game_id) == deadline:  # else it was moved or removed
                del self._deadlines[game_id]
                self._overdue.setdefault(game_id, deadline)
                due.append(game_id)
        return due
