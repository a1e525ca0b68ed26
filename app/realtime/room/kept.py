"""Rooms that nobody uses, of games that lost players may come back to: nothing is read again then, or at their end.

A log that others append to is another matter: there a room would follow a game that goes on elsewhere.
"""

from typing import Final

from app.game import GameState, Phase
from app.realtime.room.room import Room

MAX_KEPT: Final = 2_048
"""Rooms; of more the one that has waited longest is let go."""
MAX_EVENTS: Final = 256
MAX_CODE_BYTES: Final = 2**18
"""Of one game: a larger one is read again, which is cheaper than the memory."""


class KeptRooms:
    """Keeps rooms that follow their games' commits all the while, so each is as if it had just been loaded."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def keep(self, room: Room) -> None:
        """Keep a room until it is taken, or others need its place."""
        self._rooms[room.game_id] = room
        if len(self._rooms) > MAX_KEPT:
            self._rooms.pop(next(iter(self._rooms))).close()

    def take(self, game_id: str) -> Room | None:
        """Take out a game's room, if it is kept."""
        return self._rooms.pop(game_id, None)


def is_awaited(state: GameState) -> bool:
    """Tell whether a lost player of an open game may come back, and the game is small enough to be kept for that."""
    players = state.players.values()
    return (
        state.phase is not Phase.FINISHED
        and state.seq <= MAX_EVENTS
        and any(player.grace_until is not None for player in players)
        and sum(player.code_bytes for player in players) <= MAX_CODE_BYTES
    )
