"""Who is there: JSON Web Tokens (RFC 7519), with the algorithm pinned by us, never by the token."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt
from litestar.datastructures import Headers

from app.protocol import SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX

ALGORITHM: Final = "HS256"
MAX_PLAYER_ID: Final = 128
MAX_NAME: Final = 40


class AuthError(Exception):
    """No usable token; the message says which kind of unusable and never quotes it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified player."""

    player_id: str
    name: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Verifies and makes tokens with one HS256 secret."""

    secret: str
    issuer: str
    audience: str
    leeway_s: float

    def verify(self, token: str) -> Identity:
        """The player a token stands for. Raises AuthError."""
        try:
            claims = jwt.decode(
                token,
                self.secret,
                algorithms=[ALGORITHM],
                issuer=self.issuer or None,
                audience=self.audience or None,
                leeway=self.leeway_s,
                options={"require": ["sub", "exp"], "verify_aud": bool(self.audience)},
            )
        except jwt.ExpiredSignatureError:
            raise AuthError("the token has expired; get a new one") from None
        except jwt.InvalidAlgorithmError:
            raise AuthError(f"the token's algorithm is not {ALGORITHM}") from None
        except jwt.InvalidSignatureError:
            raise AuthError("the token's signature does not match") from None
        except jwt.MissingRequiredClaimError as error:
            raise AuthError(f"the token has no {error.claim} claim") from None
        except jwt.InvalidAudienceError:
            raise AuthError("the token is for another audience") from None
        except jwt.InvalidIssuerError:
            raise AuthError("the token is from another issuer") from None
        except jwt.PyJWTError:
            raise AuthError("the token is malformed") from None
        return _identity(claims)

    def issue(self, player_id: str, name: str, ttl_s: float) -> str:
        """A signed token for a player."""
        now = time.time()
        claims: dict[str, Any] = {"sub": player_id, "name": name, "iat": int(now), "exp": int(now + ttl_s)}
        if self.issuer:
            claims["iss"] = self.issuer
        if self.audience:
            claims["aud"] = self.audience
        return jwt.encode(claims, self.secret, algorithm=ALGORITHM)


def _identity(claims: dict[str, Any]) -> Identity:
    player_id = claims["sub"]
    if not isinstance(player_id, str) or not 0 < len(player_id) <= MAX_PLAYER_ID or not player_id.isprintable():
        raise AuthError(f"the token's sub must be 1 to {MAX_PLAYER_ID} printable characters")
    name = claims.get("name")
    return Identity(player_id, clean_name(name if isinstance(name, str) else player_id), float(claims["exp"]))


def clean_name(name: str) -> str:
    """A name fit to be shown: printable, trimmed, of bounded length, never empty."""
    printable = "".join(letter for letter in name if letter.isprintable()).strip()
    return printable[:MAX_NAME] or "player"


def guest_id() -> str:
    """A fresh id for a guest."""
    return f"guest-{uuid.uuid4()}"


def find_token(headers: Headers, query: str | None, subprotocols: Sequence[str]) -> str:
    """The token of a request, first match wins: header, subprotocol, query. Cookies are never read.

    Raises:
        AuthError: there is none, or the header is of another scheme.
    """
    header = headers.get("authorization")
    if header is not None:
        scheme, _, token = header.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise AuthError("the Authorization header must be: Bearer <token>")
        return token.strip()
    if SUBPROTOCOL in subprotocols:
        for offered in subprotocols:
            if offered.startswith(TOKEN_SUBPROTOCOL_PREFIX):
                return offered.removeprefix(TOKEN_SUBPROTOCOL_PREFIX)
    if query:
        return query
    raise AuthError("no token: send Authorization: Bearer, the bearer. subprotocol, or ?token=")
