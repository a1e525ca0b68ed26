"""The places of a request where its token may be."""

from collections.abc import Sequence

from app.protocol import SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX
from app.realtime.identity import Unauthenticated
from app.web.asked import RequestHeaders


def find_token(headers: RequestHeaders, query: str | None, subprotocols: Sequence[str]) -> str | None:
    """Find the token of a request, first match wins: header, subprotocol, query. Cookies are never read.

    None where there is none.

    Raises:
        Unauthenticated: the header is there twice, or of another scheme.
    """
    given = headers.getall("authorization", [])
    if len(given) > 1:
        raise Unauthenticated("there must be one Authorization header")
    if given:
        scheme, _, token = given[0].strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("the Authorization header must be: Bearer <token>")
        return token.strip()
    if SUBPROTOCOL in subprotocols:
        for offered in subprotocols:
            if offered.startswith(TOKEN_SUBPROTOCOL_PREFIX):
                return offered.removeprefix(TOKEN_SUBPROTOCOL_PREFIX)
    return query or None
