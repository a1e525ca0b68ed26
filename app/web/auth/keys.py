"""The keys that tokens are verified with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jwt import PyJWK

from app.web.auth.signature import ALGORITHM


class Keys(Protocol):
    """Where the keys come from that tokens are verified with."""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The only algorithms that are accepted."""

    @property
    def have_ids(self) -> bool:
        """Whether a token's header says which of them it was signed with."""

    @property
    def count(self) -> int:
        """How many keys are believed now; with none, no token can be verified."""

    @property
    def age_s(self) -> float:
        """How long ago the keys were fetched, in seconds; 0 where they are not fetched."""

    async def candidates(self, key_id: str | None, algorithm: str) -> Sequence[str | PyJWK]:
        """Return the keys a token may be signed with, likeliest first; none where the id is unknown.

        They are named `key_id`, where the token names one, and are for `algorithm`.

        Raises:
            VerifierUnavailable: there are no keys yet.
        """


@dataclass(slots=True)
class SharedSecrets:
    """HS256 keys: the current one, and while it is being rotated the previous one; others may take their place."""

    current: str
    previous: str = ""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Only HMAC with SHA-256 is accepted."""
        return (ALGORITHM,)

    @property
    def have_ids(self) -> bool:
        """Tokens that we sign name no key."""
        return False

    @property
    def count(self) -> int:
        """There is always the one key that signs."""
        return 1

    @property
    def age_s(self) -> float:
        """A shared secret is configured, never fetched."""
        return 0.0

    async def candidates(self, key_id: str | None, algorithm: str) -> Sequence[str | PyJWK]:  # noqa: ARG002 - shared secrets have no ids
        """Return the current key, then the previous one where there is one."""
        return (self.current, self.previous) if self.previous else (self.current,)
