"""Who is there: JSON Web Tokens (RFC 7519), with the algorithms pinned by us, never by the token."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import jwt
from jwt import PyJWK
from litestar.datastructures import Headers

from app.protocol import MAX_TOKEN_LENGTH, SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX
from app.realtime.identity import Identity, TokenRefused

ALGORITHM: Final = "HS256"
MAX_PLAYER_ID: Final = 128
MAX_NAME: Final = 40


class Keys(Protocol):
    """Where the keys come from that tokens are verified with."""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The only algorithms that are accepted."""

    @property
    def have_ids(self) -> bool:
        """Whether a token's header says which of them it was signed with."""

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
        if len(token) > MAX_TOKEN_LENGTH:
            raise TokenRefused("the token is malformed")
        key_id, algorithm = _header(token) if self.keys.have_ids else (None, self.keys.algorithms[0])
        if algorithm not in self.keys.algorithms:
            raise self._other_algorithm
        candidates = await self.keys.candidates(key_id, algorithm)
        if not candidates:
            raise TokenRefused("the token's signing key is not known here")
        for key in candidates[:-1]:
            try:
                return self._verify(token, key)
            except _OtherKey:
                continue
        return self._verify(token, candidates[-1])

    @property
    def _other_algorithm(self) -> TokenRefused:
        return TokenRefused(f"the token's algorithm is not {' or '.join(self.keys.algorithms)}")

    def _verify(self, token: str, key: str | PyJWK) -> Identity:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=list(self.keys.algorithms),
                issuer=self.issuer or None,
                audience=self.audience or None,
                leeway=self.leeway_s,
                options={"require": ["sub", "exp"], "verify_aud": bool(self.audience)},
            )
        except jwt.ExpiredSignatureError:
            raise TokenRefused("the token has expired; get a new one") from None
        except jwt.InvalidSignatureError:
            raise _OtherKey("the token's signature does not match") from None
        except jwt.MissingRequiredClaimError as error:
            raise TokenRefused(f"the token has no {error.claim} claim") from None
        except jwt.InvalidAlgorithmError:
            raise self._other_algorithm from None
        except jwt.InvalidAudienceError:
            raise TokenRefused("the token is for another audience") from None
        except jwt.InvalidIssuerError:
            raise TokenRefused("the token is from another issuer") from None
        except jwt.PyJWTError:
            raise TokenRefused("the token is malformed") from None
        return _identity(claims)


class _OtherKey(TokenRefused):
    """The signature is not of this key."""


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
    except jwt.PyJWTError:
        raise TokenRefused("the token is malformed") from None
    key_id = header.get("kid")
    return (key_id if isinstance(key_id, str) else None), str(header.get("alg"))


def _identity(claims: dict[str, Any]) -> Identity:
    player_id = claims["sub"]
    if not isinstance(player_id, str) or not 0 < len(player_id) <= MAX_PLAYER_ID or not player_id.isprintable():
        raise TokenRefused(f"the token's sub must be 1 to {MAX_PLAYER_ID} printable characters")
    name = claims.get("name")
    return Identity(player_id, clean_name(name if isinstance(name, str) else player_id), float(claims["exp"]))


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
