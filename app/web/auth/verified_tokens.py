"""Tokens that were verified before: a client that comes back brings the same one, and its signature costs most.

What is remembered is what does not change: that these keys have signed it, whom it names and when it is good. The
caller asks for the keys and looks at the clock each time, so a token ends with its keys and with its time as ever.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from jwt import PyJWK

from app.realtime.identity import Identity

MAX_REMEMBERED: Final = 2_048
"""So many tokens are remembered, some 1 MiB at most; of more the one verified longest ago is forgotten."""


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """Holds what was found out of a token: signed with one of `keys`, the claims of time, the player it names."""

    key_id: str | None
    algorithm: str
    keys: Sequence[str | PyJWK]
    times: tuple[Any, ...]
    identity: Identity


class VerifiedTokens:
    """Remembers tokens by their digests, never themselves, and a bounded number of them."""

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._tokens: dict[bytes, VerifiedToken] = {}

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, digest: bytes) -> VerifiedToken | None:
        """Return what is known of a token; nothing of it is checked here."""
        return self._tokens.get(digest)

    def remember(self, digest: bytes, verified: VerifiedToken) -> None:
        """Remember a token that has passed every check."""
        if len(self._tokens) >= self._most and digest not in self._tokens:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[digest] = verified


def digest_of(token: str) -> bytes:
    """Return what a token is remembered by: SHA-256, so that no other can be made to pass for it."""
    return hashlib.sha256(token.encode()).digest()
