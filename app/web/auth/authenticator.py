"""Verification of JSON Web Tokens (RFC 7519): from a token to the player it stands for."""

import time
from dataclasses import dataclass, field
from typing import Any, Final

from app.realtime.identity import Identity, Unauthenticated
from app.web.auth.keys import Keys
from app.web.auth.operators import Operators
from app.web.auth.player import PLAYER_IDS, clean_name, is_player_id
from app.web.auth.signature import other_algorithm, read_header, read_signed, require_text
from app.web.auth.verified_tokens import VerifiedToken, VerifiedTokens, digest_of

YEAR_10000: Final = 253_402_300_800
"""Seconds since 1970: no date lies behind it; milliseconds do, which would make a token that never ends."""
TIMES: Final = ("nbf", "iat", "exp")
"""The claims that are looked at each time a token comes."""


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Verifies tokens: the signature, from and for whom they are, when they are good, whom they name."""

    keys: Keys
    issuer: str
    audience: str
    leeway_s: float
    verified: VerifiedTokens = field(default_factory=VerifiedTokens)
    operators: Operators = field(default_factory=Operators)

    async def verify(self, token: str, *, grace_s: float = 0.0) -> Identity:
        """Verify a token and return the player it stands for; one that ended within `grace_s` is good too.

        Raises Unauthenticated, VerifierUnavailable.
        """
        require_text(token, "token")
        digest = digest_of(token)
        known = self.verified.find(digest)
        key_id, algorithm = self._named_key(token) if known is None else (known.key_id, known.algorithm)
        candidates = await self.keys.candidates(key_id, algorithm)
        if known is not None and known.keys == candidates:
            times = dict(zip(TIMES, known.times, strict=True))
            _require_time(times, self.leeway_s, grace_s, known.identity.player_id)
            return known.identity
        if not candidates:
            raise Unauthenticated("the token's signing key is not known here")
        claims = read_signed(token, candidates, self.keys.algorithms, issuer=self.issuer, audience=self.audience)
        player_id = _require_player_id(claims)
        expires_at = _require_time(claims, self.leeway_s, grace_s, player_id)
        identity = Identity(
            player_id, _shown_name(claims, player_id), expires_at, self.operators.include(player_id, claims)
        )
        seen = tuple(claims.get(claim) for claim in TIMES)
        self.verified.remember(digest, VerifiedToken(key_id, algorithm, candidates, seen, identity))
        return identity

    def _named_key(self, token: str) -> tuple[str | None, str]:
        """Read which key a token names, and its algorithm. Raises Unauthenticated where that is not ours."""
        key_id, algorithm = read_header(token) if self.keys.have_ids else (None, self.keys.algorithms[0])
        if algorithm not in self.keys.algorithms:
            raise other_algorithm(self.keys.algorithms)
        return key_id, algorithm


def _require_time(claims: dict[str, Any], leeway_s: float, grace_s: float, player_id: str) -> float:
    """Require the time to lie between `nbf` or `iat` and `exp` (RFC 7519 4.1.4 to 4.1.6); return when the token ends.

    A token made later than now is refused although the RFC does not ask for it: one of two clocks is wrong then,
    and by that clock the token would end at another time than was meant.
    """
    now = time.time()
    for claim in ("nbf", "iat"):
        if claims.get(claim) is not None and _seconds(claims, claim) > now + leeway_s:
            raise Unauthenticated(
                f"the token is not valid yet: its {claim} is ahead of the clock here; is one of the clocks off?",
                player_id,
            )
    if claims.get("exp") is None:
        raise Unauthenticated("the token has no exp claim")
    expires_at = _seconds(claims, "exp")
    if expires_at <= now - leeway_s - grace_s:
        raise Unauthenticated("the token has expired; get a new one", player_id)
    return expires_at


def _seconds(claims: dict[str, Any], claim: str) -> float:
    """Read a date (RFC 7519 section 2, NumericDate)."""
    value = claims[claim]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < YEAR_10000:
        raise Unauthenticated(f"the token's {claim} must be a number, seconds since 1970")
    return float(value)


def _require_player_id(claims: dict[str, Any]) -> str:
    player_id = claims.get("sub")
    if player_id is None:
        raise Unauthenticated("the token has no sub claim")
    if not isinstance(player_id, str) or not is_player_id(player_id):
        raise Unauthenticated(f"the token's sub must be a string of {PLAYER_IDS}")
    return player_id


def _shown_name(claims: dict[str, Any], player_id: str) -> str:
    name = claims.get("name")
    return clean_name(name if isinstance(name, str) else player_id)
