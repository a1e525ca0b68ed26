"""How busy games are just now, by the events of the last minute: nothing is counted with an event.

Twice a minute it is taken down how many events each game has that is loaded, whether anybody looks or not: whoever
comes for a page at night looks for the first time. A game that has only now been taken up counts from then on.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from app.console.slices import in_slices
from app.game import GameState
from app.realtime import Room

EVERY_S: Final = 30.0
_MINUTE_S: Final = 60.0
_KEPT: Final = 3
"""The oldest is from a minute to a minute and a half ago."""


class EventRates:
    """Keeps how many events the `rooms` had; `now` is the games' clock in epoch milliseconds."""

    def __init__(self, rooms: Mapping[str, Room], now: Callable[[], int]) -> None:
        self._rooms = rooms
        self._now = now
        self._taken: deque[tuple[int, dict[str, int]]] = deque(maxlen=_KEPT)

    async def run(self) -> None:
        """Take it down again and again, for ever."""
        while True:
            at = self._now()
            counts = {
                room.game_id: room.state.seq
                async for part in in_slices(self._rooms.values())
                for room in part
                if room.state is not None
            }
            self._taken.append((at, counts))
            await asyncio.sleep(EVERY_S)

    def per_minute(self, state: GameState) -> float:
        """Tell how many events a game had in the last minute, or a minute of those since it is known."""
        since, had = self._before(state)
        return (state.seq - had) * _MINUTE_S / max(_MINUTE_S, (self._now() - since) / 1000)

    def _before(self, state: GameState) -> tuple[int, int]:
        """Find from when on the events count, and how many there were by then."""
        if not self._taken or state.created_at >= self._taken[0][0]:
            return state.created_at, 0
        known = ((at, counts[state.game_id]) for at, counts in self._taken if state.game_id in counts)
        return next(known, (self._now(), state.seq))
