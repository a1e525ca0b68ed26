"""What the parts of a connection ask of each other, and of the game behind it."""

from typing import Any, Protocol

from app.game import PlayerCommand
from app.protocol import CloseRow
from app.realtime.connection.stats import ConnectionStats
from app.telemetry.tracer import Link
from app.transport import Transport


class GameRoom(Protocol):
    """The room of the player's game."""

    async def act(self, command: PlayerCommand) -> int | None:
        """Do what a player asks for; the seq of the event it caused, if any. Raises TooFast, Rejected, LogUnavailable.

        Where the message is a repeat, that is the event it caused back then.
        """

    def show_progress(self, player_id: str, percent: float | None, lines: int | None) -> None:
        """Show the others how far a player is, while the race runs."""


class Renewable(Protocol):
    """When time ends a connection."""

    last_message: float

    def renew(self, expires_at: float) -> None:
        """Note that the token of the connection ends at `expires_at` (epoch seconds)."""


class InboxConnection(Protocol):
    """A connection, as its inbox sees it."""

    connection_id: str
    player_id: str
    stats: ConnectionStats
    link: Link | None
    ended: Any

    @property
    def expiry(self) -> Renewable:
        """When time ends it."""

    @property
    def transport(self) -> Transport:
        """What brings its messages."""

    def close(self, row: CloseRow, message: str = "", retry_after_ms: int = 0) -> None:
        """End the connection."""

    def fail(self, error: Exception, where: str = "connection") -> None:
        """End the connection for a fault of ours."""

    def handled_all(self) -> None:
        """Note that no message waits any more."""
