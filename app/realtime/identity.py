"""Who is behind a connection, as far as the realtime layer cares."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified player; the token that proved it ends at `expires_at` (epoch seconds)."""

    player_id: str
    name: str
    expires_at: float
    is_operator: bool = False


class Unauthenticated(Exception):  # noqa: N818 - an answer
    """No usable token; the message says which kind of unusable and never quotes it.

    `player_id` is whose it was, where the signature is right: it ended, or is not yet good.
    """

    def __init__(self, text: str, player_id: str | None = None) -> None:
        super().__init__(text)
        self.player_id = player_id


class VerifierUnavailable(Exception):  # noqa: N818 - a state
    """Tokens cannot be verified now: the signing keys have not been fetched yet."""


Verify = Callable[[str], Awaitable[Identity]]
"""From a token to its player; raises `Unauthenticated` or `VerifierUnavailable`."""
