"""Who is in the game, and whether they are connected."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from code_racer_client.message import JsonMessage
from code_racer_client.sync import SyncGameWebSocket
from code_racer_client.websocket import GameWebSocket


@dataclass(frozen=True, slots=True)
class Present:
    """Somebody in the game."""

    player_id: str
    name: str
    ready: bool = False
    connected: bool = True


_CHANGES: Final[dict[str, Callable[[JsonMessage], dict[str, Any]]]] = {
    "player_ready": lambda data: {"ready": data["status"] == "ready"},
    "player_disconnected": lambda _: {"connected": False},
    "player_reconnected": lambda _: {"connected": True},
}
"""What an event changes of the player it is about."""
_TYPES: Final = ("welcome", "player_joined", "player_left", *_CHANGES)


class Presence:
    """Those in the game, in the order in which they came; `on_change` is called with them at each change.

    Kept from the snapshot in ``welcome`` and the events after it: make it before `ws.connect`. Of a
    `SyncGameWebSocket` too: it is kept in the thread of its handlers, where `on_change` may wait, and read from any.
    """

    def __init__(
        self,
        ws: GameWebSocket | SyncGameWebSocket,
        on_change: Callable[[tuple[Present, ...]], object] | None = None,
    ) -> None:
        self._ws = ws
        self._on_change = on_change
        self._players: dict[str, Present] = {}  # never changed, but replaced: other threads may read it
        for type in _TYPES:
            ws.on(type, self._note)

    @property
    def players(self) -> tuple[Present, ...]:
        """All of them."""
        return tuple(self._players.values())

    def get(self, player_id: str) -> Present | None:
        """Return one of them."""
        return self._players.get(player_id)

    def close(self) -> None:
        """Listen no more."""
        for type in _TYPES:
            self._ws.off(type, self._note)

    def _note(self, message: JsonMessage) -> None:
        type, data = message["type"], message["data"]
        if type == "welcome":
            if data["resumed"] and self._players:
                return  # what was missed follows, event by event
            self._players = {
                one["player_id"]: Present(one["player_id"], one["name"], one["ready"], one["connected"])
                for one in data["game"]["players"]
                if one["status"] == "active"
            }
        elif type == "player_joined":
            self._players = self._players | {data["player_id"]: Present(data["player_id"], data["name"])}
        elif type == "player_left":
            self._players = {id: one for id, one in self._players.items() if id != data["player_id"]}
        elif data["player_id"] in self._players:
            known = self._players[data["player_id"]]
            self._players = self._players | {data["player_id"]: replace(known, **_CHANGES[type](data))}
        if self._on_change is not None:
            self._on_change(self.players)
