"""Who is there: JSON Web Tokens (RFC 7519), with the algorithms pinned by us, never by the token."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import jwt
from jwt import PyJWK
from jwt.types import Options
from litestar.datastructures import Headers

from app.protocol import MAX_TOKEN_LENGTH, SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX
from app.realtime.identity import Identity, TokenRefused

ALGORITHM: Final = "HS256"
MAX_PLAYER_ID: Final = 128
PLAYER_IDS: Final = f"1 to {MAX_PLAYER_ID} printable characters"
MAX_NAME: Final = 40
YEAR_10000: Final = 253_402_300_800
"""Seconds since 1970: no date lies behind it; milliseconds do, which would make a token that never ends."""
SIGNATURE_ONLY: Final[Options] = {
    "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_sub": False, "verify_jti": False,
}  # fmt: skip
"""What `_require_time` and `_identity` look at they look at alone: PyJWT takes text for a number, and says less."""


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
        """The keys a token may be signed with, likeliest first: named `key_id`, if it names one, and for `algorithm`.

        None where the id is unknown.

        Raises:
            VerifierUnavailable: there are no keys yet.
        """


@dataclass(frozen=True, slots=True)
class SharedSecrets:
    """HS256 keys: the current one, and while it is being rotated the previous one."""

    current: str
    previous: str = ""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """See `Keys.algorithms`."""
        return (ALGORITHM,)

    @property
    def have_ids(self) -> bool:
        """See `Keys.have_ids`."""
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
        """See `Keys.candidates`."""
        return (self.current, self.previous) if self.previous else (self.current,)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Verifies tokens."""

    keys: Keys
    issuer: str
    audience: str
    leeway_s: float

    async def verify(self, token: str) -> Identity:
        """The player a token stands for. Raises TokenRefused, VerifierUnavailable."""
        _require_text(token, "token")
        key_id, algorithm = _header(token) if self.keys.have_ids else (None, self.keys.algorithms[0])
        if algorithm not in self.keys.algorithms:
            raise _other_algorithm(self.keys.algorithms)
        candidates = await self.keys.candidates(key_id, algorithm)
        if not candidates:
            raise TokenRefused("the token's signing key is not known here")
        claims = read_signed(token, candidates, self.keys.algorithms, issuer=self.issuer, audience=self.audience)
        return _identity(claims, _require_time(claims, self.leeway_s))


def read_signed(
    text: str,
    keys: Sequence[str | PyJWK],
    algorithms: Sequence[str],
    *,
    issuer: str = "",
    audience: str = "",
    what: str = "token",
) -> dict[str, Any]:
    """The claims of a token (or `what` it is) signed with one of `keys`; its times are not looked at.

    Raises:
        TokenRefused: it is not signed with any of them, or is from or for somebody else.
    """
    _require_text(text, what)
    for key in keys:
        try:
            return jwt.decode(
                text,
                key,
                algorithms=list(algorithms),
                issuer=issuer or None,
                audience=audience or None,
                options={**SIGNATURE_ONLY, "verify_aud": bool(audience)},
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.PyJWTError as error:
            raise _refusal(error, algorithms, what) from None
    raise TokenRefused(f"the {what}'s signature does not match")


def _refusal(error: jwt.PyJWTError, algorithms: Sequence[str], what: str) -> TokenRefused:
    """What is wrong, in words of ours: PyJWT's quote the token."""
    if isinstance(error, jwt.MissingRequiredClaimError):
        return TokenRefused(f"the {what} has no {error.claim} claim")
    if isinstance(error, jwt.InvalidAlgorithmError):
        return _other_algorithm(algorithms)
    words = next(words for kind, words in _WORDS.items() if isinstance(error, kind))
    return TokenRefused(f"the {what} {words}")


_WORDS: Final[dict[type[jwt.PyJWTError], str]] = {
    jwt.InvalidAudienceError: "is for another audience",
    jwt.InvalidIssuerError: "is from another issuer",
    jwt.InvalidKeyError: "names a signing key that cannot be used here",
    jwt.DecodeError: "is malformed: it must be a JSON Web Token, three parts of base64url with a dot between",
    jwt.InvalidTokenError: "has a header (kid, crit or b64) that cannot be used here",
    jwt.PyJWTError: "cannot be verified here",
}
"""The first that fits counts: the last two are the others' bases."""


def _require_text(text: str, what: str) -> None:
    if len(text) > MAX_TOKEN_LENGTH:
        raise TokenRefused(f"the {what} is malformed: it is longer than {MAX_TOKEN_LENGTH} characters")
    if not text.isascii():
        raise TokenRefused(f"the {what} is malformed: it has letters that no JSON Web Token has")


def _require_time(claims: dict[str, Any], leeway_s: float) -> float:
    """The time must lie between `nbf` or `iat` and `exp` (RFC 7519 4.1.4 to 4.1.6); when the token ends.

    A token made later than now is refused although the RFC does not ask for it: one of two clocks is wrong then,
    and by that clock the token would end at another time than was meant.
    """
    now = time.time()
    for claim in ("nbf", "iat"):
        if claims.get(claim) is not None and _seconds(claims, claim) > now + leeway_s:
            raise TokenRefused(
                f"the token is not valid yet: its {claim} is ahead of the clock here; is one of the clocks off?"
            )
    if claims.get("exp") is None:
        raise TokenRefused("the token has no exp claim")
    expires_at = _seconds(claims, "exp")
    if expires_at <= now - leeway_s:
        raise TokenRefused("the token has expired; get a new one")
    return expires_at


def _seconds(claims: dict[str, Any], claim: str) -> float:
    """A date of RFC 7519 (2, NumericDate)."""
    value = claims[claim]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < YEAR_10000:
        raise TokenRefused(f"the token's {claim} must be a number, seconds since 1970")
    return float(value)


def _other_algorithm(algorithms: Sequence[str]) -> TokenRefused:
    return TokenRefused(f"the token's algorithm is not {' or '.join(algorithms)}")


@dataclass(frozen=True, slots=True)
class Issuer:
    """Makes tokens with the current secret, for guests and for the command line."""

    secret: str
    issuer: str
    audience: str

    def issue(self, player_id: str, name: str, ttl_s: float) -> tuple[str, float]:
        """A signed token for a player, and when it ends (epoch seconds)."""
        now = time.time()
        expires_at = int(now + ttl_s)
        claims: dict[str, Any] = {"sub": player_id, "name": name, "iat": int(now), "exp": expires_at}
        if self.issuer:
            claims["iss"] = self.issuer
        if self.audience:
            claims["aud"] = self.audience
        return jwt.encode(claims, self.secret, algorithm=ALGORITHM), float(expires_at)


def _header(token: str) -> tuple[str | None, str]:
    """The key id and the algorithm that a token claims: which key to try, not whom to believe."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise _refusal(error, (), "token") from None
    return header.get("kid"), str(header.get("alg"))


def _identity(claims: dict[str, Any], expires_at: float) -> Identity:
    player_id, name = claims.get("sub"), claims.get("name")
    if player_id is None:
        raise TokenRefused("the token has no sub claim")
    if not isinstance(player_id, str) or not is_player_id(player_id):
        raise TokenRefused(f"the token's sub must be a string of {PLAYER_IDS}")
    return Identity(player_id, clean_name(name if isinstance(name, str) else player_id), expires_at)


def is_player_id(text: str) -> bool:
    """Whether it may name a player."""
    return 0 < len(text) <= MAX_PLAYER_ID and text.isprintable()


def clean_name(name: str) -> str:
    """A name fit to be shown: printable, trimmed, of bounded length, never empty."""
    printable = "".join(letter for letter in name if letter.isprintable()).strip()
    return printable[:MAX_NAME] or "player"


def guest_id() -> str:
    """A fresh id for a guest."""
    return f"guest-{uuid.uuid4()}"


def find_token(headers: Headers, query: str | None, subprotocols: Sequence[str]) -> str | None:
    """The token of a request, first match wins: header, subprotocol, query. Cookies are never read.

    None where there is none.

    Raises:
        TokenRefused: the header is there twice, or of another scheme.
    """
    given = headers.getall("authorization", [])
    if len(given) > 1:
        raise TokenRefused("there must be one Authorization header")
    if given:
        scheme, _, token = given[0].strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise TokenRefused("the Authorization header must be: Bearer <token>")
        return token.strip()
    if SUBPROTOCOL in subprotocols:
        for offered in subprotocols:
            if offered.startswith(TOKEN_SUBPROTOCOL_PREFIX):
                return offered.removeprefix(TOKEN_SUBPROTOCOL_PREFIX)
    return query or None
