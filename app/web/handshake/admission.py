"""Admission: everything that is checked before a connection is taken, but how many there are.

The WebSocket handshake and a plain GET of the same URL ask the same questions and get the same answers.
"""

import math
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.game import misses_end
from app.protocol import SUBPROTOCOL
from app.rate_limits import TooFast
from app.realtime import Hub, Room
from app.realtime.identity import Identity, Unauthenticated, VerifierUnavailable
from app.refusals import REJECTIONS
from app.transport import Chaos
from app.vocabulary import HandshakeOutcome, LimitScope
from app.web.asked import Asked
from app.web.auth.authenticator import Authenticator
from app.web.auth.credentials import find_token
from app.web.auth.tickets import Ticket, TicketIssuer
from app.web.availability import Availability
from app.web.error_answers import RequestRefused, cannot_verify, refused, unauthorized
from app.web.origins import OriginPolicy

MINUTE_MS: Final = 60_000
_CANONICAL_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class HandshakeTarget:
    """Which game is asked for, after which event the connection resumes, and what is to become of it."""

    game_id: str
    last_seq: int | None
    chaos: Chaos | None = None


NOWHERE: Final = HandshakeTarget("", None)
"""What is asked for as long as that is not known."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The checks of an attempt to connect; every one raises RequestRefused if it refuses."""

    authenticator: Authenticator
    tickets: TicketIssuer
    origins: OriginPolicy
    availability: Availability
    hub: Hub
    max_replacements_per_minute: int
    allows_chaos: bool

    def require_target(self, connection: Asked, game_id: str) -> HandshakeTarget:
        """Require a request that makes sense, from an allowed origin, to a service that takes connections."""
        query = connection.query_params
        target = HandshakeTarget(_game_id(game_id), _last_seq(query.get("last_seq")), self._chaos(query.get("chaos")))
        self.origins.require(connection)
        self.availability.require()
        return target

    def _chaos(self, text: str | None) -> Chaos | None:
        """Read what a developer of a client wants to become of the connection; nobody else can have it."""
        if text is None:
            return None
        if not self.allows_chaos:
            raise refused(
                HandshakeOutcome.BAD_REQUEST, "chaos is for ENVIRONMENT=development, which this service is not"
            )
        try:
            return Chaos.parse(text)
        except ValueError as error:
            raise refused(HandshakeOutcome.BAD_REQUEST, str(error)) from None

    async def identify(self, connection: Asked, subprotocols: Sequence[str]) -> tuple[Identity | None, Ticket | None]:
        """Identify the player, and return the ticket that has to be redeemed; no player: the first message tells."""
        query = connection.query_params
        try:
            token = find_token(connection.headers, query.get("token"), subprotocols)
            if token is not None:
                return await self.authenticator.verify(token), None
            if query.get("ticket"):
                ticket = self.tickets.verify(query["ticket"])
                return ticket.identity, ticket
        except Unauthenticated as error:
            raise unauthorized(error) from None
        except VerifierUnavailable as error:
            raise cannot_verify(error) from None
        if SUBPROTOCOL in subprotocols:
            return None, None
        raise unauthorized(Unauthenticated("no token: send Authorization: Bearer, the bearer. subprotocol, or ?token="))

    def require_player(self, player_id: str) -> None:
        """Refuse a player who is banned, whatever their token is worth otherwise."""
        ban = self.hub.bans.find(player_id)
        if ban is not None:
            raise refused(HandshakeOutcome.FORBIDDEN, ban.text)

    async def redeem(self, ticket: Ticket | None) -> None:
        """Use a ticket up, once everything else is well."""
        if ticket is None:
            return
        try:
            await self.tickets.redeem(ticket)
        except Unauthenticated as error:
            raise unauthorized(error) from None

    def require_joinable(self, room: Room | None, identity: Identity, last_seq: int | None, client: str) -> Room:
        """Require a game that exists and takes this player; return its room."""
        if room is None:
            raise refused(HandshakeOutcome.NO_SUCH_GAME, "no such game; it may have ended and been removed")
        state, player_id = room.known, identity.player_id
        if misses_end(state, player_id, last_seq):
            return room
        rejected = room.joining_refused(player_id)
        if rejected is not None:
            raise refused(REJECTIONS[rejected.code].outcome, rejected.message)
        self._require_few_replacements(room, player_id, client)
        return room

    def require_entry_rate(self, game_id: str, player_id: str, client: str, *, look: bool = False) -> None:
        """Refuse a player who connects to the game all the time; `look`: only see what the answer would be."""
        pace = self.hub.pace
        try:
            (pace.look if look else pace.take_entry)(game_id, player_id, client)
        except TooFast as too_fast:
            raise _connects_too_often(too_fast) from None

    def require_delivery_rate(self, room: Room, player_id: str, last_seq: int | None, client: str) -> None:
        """Refuse while the game is told too much already of those who come and go."""
        missed = room.known.seq - room.resume_point(last_seq)[0]
        try:
            self.hub.pace.take_deliveries(room.game_id, player_id, len(room.members), missed, client)
        except TooFast as too_fast:
            raise _connects_too_often(too_fast) from None

    def _require_few_replacements(self, room: Room, player_id: str, client: str) -> None:
        """Refuse two windows that replace each other's connection again and again: they would do so for ever."""
        now = self.hub.now()
        since = now - MINUTE_MS
        recent = [moment for moment in room.replacements(player_id, now) if moment > since]
        if len(recent) < self.max_replacements_per_minute:
            return
        wait_ms = max(1, recent[-self.max_replacements_per_minute] - since)
        if self.hub.policy.refuses(LimitScope.REPLACEMENTS, wait_ms, client=client, player_id=player_id):
            text = "this player's connection was replaced too often; is the game open in two windows?"
            raise refused(HandshakeOutcome.RATE_LIMITED, text, wait_ms)


def _connects_too_often(too_fast: TooFast) -> RequestRefused:
    wait_ms = math.ceil(too_fast.wait_s * 1000)
    text = "too many connections to this game, one after the other; come back later"
    return refused(HandshakeOutcome.RATE_LIMITED, text, wait_ms)


def _game_id(text: str) -> str:
    if _CANONICAL_UUID.fullmatch(text):  # as every client of ours writes it
        return text
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise refused(HandshakeOutcome.INVALID_GAME_ID, "the game id in the path is no UUID") from None


def _last_seq(text: str | None) -> int | None:
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > len(str(2**63)):
        raise refused(HandshakeOutcome.BAD_REQUEST, "last_seq must be a whole number, 0 or more")
    return int(text)
