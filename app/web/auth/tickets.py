"""Connection tickets: what a browser puts into a URL instead of a long-lived token.

A ticket is signed, lives for seconds and is redeemed once: by an atomic create in the event log's engine, so on
whichever replica it comes in. It carries the player and the end of the token it was made from, so the connection
ends when that token does.
"""

import hashlib
import hmac
import math
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import jwt
import msgspec

from app.realtime.identity import Identity, Unauthenticated
from app.web.auth.signature import ALGORITHM, read_signed

TYPE: Final = "ticket+jwt"
CLAIM_MARGIN_S: Final = 60.0
"""A used ticket is remembered longer than it is good for, by the most that clocks of replicas differ."""
Claim = Callable[[str, float], Awaitable[bool]]
"""Claims a key in the event log, for so many seconds, and tells whether it was the first to."""


def derived_key(secret: str) -> str:
    """Derive a key for tickets from the one for tokens (HMAC as a PRF): neither passes for the other."""
    return hmac.new(secret.encode(), b"code-racer connection ticket", hashlib.sha256).hexdigest()


class Claims(msgspec.Struct):
    """Holds what a ticket says, signed."""

    sub: str
    name: str
    jti: str
    exp: float
    token_exp: float


@dataclass(frozen=True, slots=True)
class Ticket:
    """A verified ticket, not redeemed yet."""

    identity: Identity
    id: str
    expires_at: float


@dataclass(slots=True)
class TicketIssuer:
    """Makes, verifies and redeems tickets; `keys` are the current one and those before it, none where tickets are off.

    Raises:
        Unauthenticated: by `verify` and `redeem`, the ticket is no good.
    """

    keys: tuple[str, ...]
    ttl_s: float
    claim: Claim

    def issue(self, identity: Identity) -> tuple[str, float]:
        """Make a ticket for a player; return it and when it ends (epoch seconds)."""
        now = time.time()
        expires_at = min(math.ceil(now + self.ttl_s), identity.expires_at)
        claims = Claims(identity.player_id, identity.name, uuid.uuid4().hex, expires_at, identity.expires_at)
        ticket = jwt.encode(msgspec.to_builtins(claims), self.keys[0], algorithm=ALGORITHM, headers={"typ": TYPE})
        return ticket, expires_at

    def verify(self, ticket: str) -> Ticket:
        """Verify a ticket and return what it says; it is not used up yet."""
        try:
            claims = msgspec.convert(read_signed(ticket, self.keys, (ALGORITHM,), what="ticket"), Claims)
        except msgspec.ValidationError:
            raise Unauthenticated("this is no ticket; make one with POST /api/tickets") from None
        if claims.exp <= time.time():
            raise Unauthenticated("the ticket has expired; get a new one", claims.sub)
        return Ticket(Identity(claims.sub, claims.name, claims.token_exp), claims.jti, claims.exp)

    async def redeem(self, ticket: Ticket) -> None:
        """Use the ticket up. Raises Unauthenticated where it is already, LogUnavailable where that cannot be told."""
        ttl_s = max(0.0, ticket.expires_at - time.time()) + CLAIM_MARGIN_S
        if not await self.claim(f"ticket {ticket.id}", ttl_s):
            raise Unauthenticated("the ticket was used already; get a new one")
