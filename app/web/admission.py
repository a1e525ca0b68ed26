"""Admission: everything that is checked before a connection is taken.

The WebSocket handshake and a plain GET of the same URL ask the same questions and get the same answers.
"""

import ipaddress
import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from litestar.connection import ASGIConnection

from app.eventlog import LogUnavailable
from app.game import misses_end
from app.limits import TooFast
from app.protocol import SUBPROTOCOL
from app.realtime import Hub, Room
from app.realtime.identity import Identity, TokenRefused, VerifierUnavailable
from app.realtime.refusals import REFUSED
from app.vocabulary import HandshakeOutcome, LimitScope
from app.web.auth import Authenticator, find_token
from app.web.errors import ProblemError, refusal
from app.web.limits import ApiRates
from app.web.origins import OriginPolicy
from app.web.tickets import Ticket, TicketOffice

Connection = ASGIConnection[Any, Any, Any, Any]

UNAVAILABLE_RETRY_MS: Final = 1_000
OVERLOAD_RETRY_MS: Final = 5_000
MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which game is asked for, and from where the connection resumes."""

    game_id: str
    last_seq: int | None


@dataclass(frozen=True, slots=True)
class Admission:
    """The checks; `retry_after_ms` is told while the service is going down. All raise ProblemError."""

    authenticator: Authenticator
    tickets: TicketOffice
    origins: OriginPolicy
    hub: Hub
    retry_after_ms: Callable[[], int]
    max_replacements_per_minute: int
    rates: ApiRates

    def require_wanted(self, connection: Connection, game_id: str) -> Wanted:
        """The request must make sense and come from an allowed origin, and the service must take connections."""
        wanted = Wanted(_game_id(game_id), _last_seq(connection.query_params.get("last_seq")))
        self.require_origin(connection)
        self.require_open()
        return wanted

    def require_open(self) -> None:
        """The service must take connections."""
        if not self.hub.accepting:
            raise refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the service is restarting; come back in a moment",
                HandshakeOutcome.DRAINING,
                self.retry_after_ms(),
            )
        if not self.hub.log_health.reachable:
            raise unavailable(LogUnavailable())
        if self.hub.load.causes:
            raise refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the service is overloaded; come back in a moment",
                HandshakeOutcome.OVERLOADED,
                OVERLOAD_RETRY_MS,
            )

    def require_origin(self, connection: Connection) -> None:
        """Refuse foreign origins."""
        headers = connection.headers
        if not self.origins.allows(
            headers.get("origin"), scheme=str(connection.scope["scheme"]), host=headers.get("host")
        ):
            raise refusal(
                HTTPStatus.FORBIDDEN,
                "this origin is not allowed; add it to CORS_ALLOWED_ORIGINS",
                HandshakeOutcome.ORIGIN_REFUSED,
            )

    async def identify(
        self, connection: Connection, subprotocols: Sequence[str]
    ) -> tuple[Identity | None, Ticket | None]:
        """The player behind an upgrade, and the ticket that has to be redeemed; no player: the first message tells."""
        query = connection.query_params
        try:
            token = find_token(connection.headers, query.get("token"), subprotocols)
            if token is not None:
                return await self.authenticator.verify(token), None
            if query.get("ticket"):
                ticket = self.tickets.verify(query["ticket"])
                return ticket.identity, ticket
        except TokenRefused as error:
            raise unauthorized(error) from None
        except VerifierUnavailable as error:
            raise cannot_verify(error) from None
        if SUBPROTOCOL in subprotocols:
            return None, None
        raise unauthorized(TokenRefused("no token: send Authorization: Bearer, the bearer. subprotocol, or ?token="))

    async def redeem(self, ticket: Ticket | None) -> None:
        """Use a ticket up, once everything else is well."""
        if ticket is None:
            return
        try:
            await self.tickets.redeem(ticket)
        except TokenRefused as error:
            raise unauthorized(error) from None

    async def authenticate(self, connection: Connection) -> Identity:
        """The player behind an HTTP request."""
        try:
            token = find_token(connection.headers, None, ())
            if token is not None:
                return self._counted(connection, await self.authenticator.verify(token))
        except TokenRefused as error:
            raise unauthorized(error) from None
        except VerifierUnavailable as error:
            raise cannot_verify(error) from None
        raise unauthorized(TokenRefused("no token: send Authorization: Bearer <token>"))

    def _counted(self, connection: Connection, identity: Identity) -> Identity:
        self.rates.player(client_address(connection), identity.player_id)
        return identity

    def require_place(self, room: Room | None, identity: Identity, last_seq: int | None, client: str) -> Room:
        """The game must exist and take this player."""
        if room is None:
            raise refusal(
                HTTPStatus.NOT_FOUND,
                "no such game; it may have ended and been removed",
                HandshakeOutcome.NO_SUCH_GAME,
            )
        state, player_id = room.known, identity.player_id
        if misses_end(state, player_id, last_seq):
            return room
        rejected = room.joining_refused(player_id)
        if rejected is not None:
            refused = REFUSED[rejected.code]
            raise refusal(refused.status, rejected.message, refused.outcome, refused.retry_after_ms or None)
        self._require_patience(room, player_id, client)
        return room

    def require_pace(self, game_id: str, player_id: str, client: str, *, look: bool = False) -> None:
        """The player must not come to the game all the time; `look`: the question is only what the answer would be."""
        pace = self.hub.pace
        try:
            (pace.look if look else pace.take_entry)(game_id, player_id, client)
        except TooFast as too_fast:
            raise _comes_too_fast(too_fast) from None

    def require_deliveries(self, room: Room, player_id: str, last_seq: int | None, client: str) -> None:
        """The game must not be told too much already of those who come and go."""
        missed = room.known.seq - room.resume_point(last_seq)[0]
        try:
            self.hub.pace.take_deliveries(room.game_id, player_id, len(room.members), missed, client)
        except TooFast as too_fast:
            raise _comes_too_fast(too_fast) from None

    def _require_patience(self, room: Room, player_id: str, client: str) -> None:
        """Two windows that take the place from each other again and again would do so for ever."""
        now = self.hub.now()
        since = now - MINUTE_MS
        recent = [moment for moment in room.replacements(player_id, now) if moment > since]
        if len(recent) < self.max_replacements_per_minute:
            return
        wait_ms = max(1, recent[-self.max_replacements_per_minute] - since)
        if self.hub.policy.refuses(LimitScope.REPLACEMENTS, wait_ms, client=client, player_id=player_id):
            raise refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "this player's connection was replaced too often; is the game open in two windows?",
                HandshakeOutcome.RATE_LIMITED,
                wait_ms,
            )


def _comes_too_fast(too_fast: TooFast) -> ProblemError:
    wait_ms = math.ceil(too_fast.wait_s * 1000)
    text = "too many connections to this game, one after the other; come back later"
    return refusal(HTTPStatus.TOO_MANY_REQUESTS, text, HandshakeOutcome.RATE_LIMITED, wait_ms)


def client_address(connection: Connection) -> str:
    """The client's address: the peer's, or behind a trusted proxy what that says, if it is one."""
    host = connection.client.host if connection.client else ""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return "unknown"


def unauthorized(error: TokenRefused) -> ProblemError:
    """The answer to a missing or bad token."""
    return refusal(HTTPStatus.UNAUTHORIZED, f"Authentication required: {error}", HandshakeOutcome.UNAUTHORIZED)


def cannot_verify(error: VerifierUnavailable) -> ProblemError:
    """The answer while tokens cannot be verified."""
    return refusal(
        HTTPStatus.SERVICE_UNAVAILABLE, f"{error}; try again", HandshakeOutcome.UNAVAILABLE, UNAVAILABLE_RETRY_MS
    )


def unavailable(error: LogUnavailable) -> ProblemError:
    """The answer while the event log cannot be reached."""
    return refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"the event log is unavailable ({type(error).__name__}); try again",
        HandshakeOutcome.UNAVAILABLE,
        UNAVAILABLE_RETRY_MS,
    )


def _game_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise refusal(
            HTTPStatus.BAD_REQUEST, "the game id in the path is no UUID", HandshakeOutcome.INVALID_GAME_ID
        ) from None


def _last_seq(text: str | None) -> int | None:
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > len(str(2**63)):
        raise refusal(
            HTTPStatus.BAD_REQUEST, "last_seq must be a whole number, 0 or more", HandshakeOutcome.INVALID_GAME_ID
        )
    return int(text)
