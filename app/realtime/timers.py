"""One clock for all games: a heap of deadlines and a single task.

A game needs no timer of its own and need not be loaded for its deadline to be kept.
"""

import asyncio
import contextlib
import heapq
from collections.abc import Callable


class Timers:
    """Deadlines by game, in epoch milliseconds; `now` is the clock they are compared with."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._heap: list[tuple[int, str]] = []
        self._deadlines: dict[str, int] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._deadlines)

    def set(self, game_id: str, deadline: int | None) -> None:
        """Set, move or (None) remove the deadline of a game."""
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
                fire(game_id)
            self._changed.clear()
            delay = None if not self._heap else max(0.0, (self._heap[0][0] - self._now()) / 1000)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), delay)

    def _due(self) -> list[str]:
        due = []
        while self._heap and self._heap[0][0] <= self._now():
            deadline, game_id = heapq.heappop(self._heap)
            if self._deadlines.get(game_id) == deadline:  # else it was moved or removed
                del self._deadlines[game_id]
                due.append(game_id)
        return due
