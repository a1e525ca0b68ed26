"""Signatures of JSON Web Tokens, with the algorithms pinned by us, never by the token."""

from collections.abc import Sequence
from typing import Any, Final

import jwt
from jwt import PyJWK
from jwt.types import Options

from app.protocol import MAX_TOKEN_LENGTH
from app.realtime.identity import Unauthenticated

ALGORITHM: Final = "HS256"
SIGNATURE_ONLY: Final[Options] = {
    "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_sub": False, "verify_jti": False,
}  # fmt: skip
"""The authenticator verifies these claims by itself: PyJWT takes text for a number, and says less."""


def read_signed(
    text: str,
    keys: Sequence[str | PyJWK],
    algorithms: Sequence[str],
    *,
    issuer: str = "",
    audience: str = "",
    what: str = "token",
) -> dict[str, Any]:
    """Verify the signature of a token (or `what` it is) with `keys` and return its claims; times are not looked at.

    Raises:
        Unauthenticated: it is not signed with any of them, or is from or for somebody else.
    """
    require_text(text, what)
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
            raise _refused(error, algorithms, what) from None
    raise Unauthenticated(f"the {what}'s signature does not match")


def _refused(error: jwt.PyJWTError, algorithms: Sequence[str], what: str) -> Unauthenticated:
    """Say what is wrong in words of ours: PyJWT's quote the token."""
    if isinstance(error, jwt.MissingRequiredClaimError):
        return Unauthenticated(f"the {what} has no {error.claim} claim")
    if isinstance(error, jwt.InvalidAlgorithmError):
        return other_algorithm(algorithms)
    words = next(words for kind, words in _WORDS.items() if isinstance(error, kind))
    return Unauthenticated(f"the {what} {words}")


_WORDS: Final[dict[type[jwt.PyJWTError], str]] = {
    jwt.InvalidAudienceError: "is for another audience",
    jwt.InvalidIssuerError: "is from another issuer",
    jwt.InvalidKeyError: "names a signing key that cannot be used here",
    jwt.DecodeError: "is malformed: it must be a JSON Web Token, three parts of base64url with a dot between",
    jwt.InvalidTokenError: "has a header (kid, crit or b64) that cannot be used here",
    jwt.PyJWTError: "cannot be verified here",
}
"""The first that fits counts: the last two are the others' bases."""


def require_text(text: str, what: str) -> None:
    """Refuse what cannot be a token before any of it is decoded. Raises Unauthenticated."""
    if len(text) > MAX_TOKEN_LENGTH:
        raise Unauthenticated(f"the {what} is malformed: it is longer than {MAX_TOKEN_LENGTH} characters")
    if not text.isascii():
        raise Unauthenticated(f"the {what} is malformed: it has letters that no JSON Web Token has")


def read_header(token: str) -> tuple[str | None, str]:
    """Read the key id and the algorithm that a token claims: which key to try, not whom to believe."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise _refused(error, (), "token") from None
    return header.get("kid"), str(header.get("alg"))


def other_algorithm(algorithms: Sequence[str]) -> Unauthenticated:
    """Refuse a token that is signed with none of `algorithms`."""
    return Unauthenticated(f"the token's algorithm is not {' or '.join(algorithms)}")
