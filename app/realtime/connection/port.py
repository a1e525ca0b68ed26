"""What a connection asks of the game behind it, and its inbox of the connection."""

from typing import Protocol

from app.game import PlayerCommand
from app.protocol import CloseRow


class GameRoom(Protocol):
    """The room of the player's game."""

    async def act(self, command: PlayerCommand) -> int | None:
        """Do what a player asks for; the seq of the event it caused, if any. Raises TooFast, Rejected, LogUnavailable.

        Where the message is a repeat, that is the event it caused back then.
        """

    def show_progress(self, player_id: str, percent: float | None, lines: int | None) -> None:
        """Show the others how far a player is, while the race runs."""


class CloseConnection(Protocol):
    """Ends a connection."""

    def __call__(self, row: CloseRow, message: str = "", retry_after_ms: int = 0) -> None:
        """End it by a row of the close table; `message` says more to the peer than the row does."""
