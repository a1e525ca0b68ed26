"""What the parts of a connection ask of each other, and of the game behind it."""

from typing import Any, Protocol

from app.protocol import CloseRow, ServerData
from app.realtime.connection.stats import ConnectionStats
from app.telemetry.tracer import Link
from app.transport import Transport


class Seat(Protocol):
    """The player's seat in the game, given by the room."""

    async def ready(self, ready: bool, cause: str | None) -> int | None:
        """Say to be ready or not; the seq of the event it caused, if any. Like all that waits, raises TooFast."""

    async def submit(self, code: str, language: str, cause: str | None) -> int | None:
        """Hand in code; the seq of the event it caused."""

    async def leave(self, cause: str | None) -> int | None:
        """Go for good; the seq of the event it caused."""

    def progress(self, percent: float | None, lines: int | None) -> None:
        """Show the others how far the player is."""


class Expiring(Protocol):
    """A connection that time can end."""

    def send(self, data: ServerData) -> None:
        """Send one message."""

    def close(self, row: CloseRow) -> None:
        """End the connection."""


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

    def send(self, data: ServerData) -> None:
        """Send one message."""

    def close(self, row: CloseRow, message: str = "", retry_after_ms: int = 0) -> None:
        """End the connection."""

    def fail(self, error: Exception, where: str = "connection") -> None:
        """End the connection for a fault of ours."""

    def handled_all(self) -> None:
        """Nothing waits any more."""
