"""What an operator has traced for a time, and what was found of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from app.realtime import Session

ID_OF: Final[Mapping[str, Callable[[Session], str]]] = {
    "player.id": lambda session: session.player_id,
    "game.id": lambda session: session.opened.game_id,
    "connection.id": lambda session: session.connection_id,
}
"""By the attributes that may be traced: whose a connection is."""


class TraceBegun(Struct, frozen=True):
    """Until when it is traced (epoch seconds), and how many `connections` it has: where none, `note` says what then.

    `missing` are replicas that did not do it.
    """

    until: float
    connections: int
    note: str
    missing: list[str] = []

    def with_others(self, others: Sequence["TraceBegun"], missing: list[str]) -> "TraceBegun":
        """Add what other replicas have of it."""
        connections = sum(one.connections for one in (self, *others))
        return replace(self, connections=connections, note="" if connections else self.note, missing=missing)


def traced(attribute: str, until: float, connections: int) -> TraceBegun:
    """Say what was found."""
    kind = attribute.partition(".")[0]
    return TraceBegun(
        until, connections, "" if connections else f"no connection of this {kind} now; the next is traced"
    )
