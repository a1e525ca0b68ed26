"""``/ws/{gameId}``: the upgrade, and a plain GET that answers what the upgrade would."""

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

import msgspec
from litestar import Request, Response, get, websocket
from litestar.connection import WebSocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath

from app.eventlog import LogUnavailable
from app.protocol import SUBPROTOCOL, AuthMessage, Close
from app.realtime import Hub, Room, Session, Transport
from app.realtime.identity import Identity, TokenRefused, VerifierUnavailable
from app.realtime.refusals import REFUSED
from app.telemetry.observer import Observer, Opened, Refusal
from app.telemetry.tracer import Handshake, Link
from app.transport import EXTENSION
from app.vocabulary import HandshakeOutcome
from app.web.admission import Admission, Wanted, client_address, unavailable
from app.web.errors import MEDIA_TYPE, Problem, ProblemError
from app.web.limits import Door, Place
from app.web.tickets import Ticket

AnyRequest = Request[Any, Any, Any]
AnySocket = WebSocket[Any, Any, Any]

GONE: Final = (WebSocketDisconnect, OSError)
"""What sending to a peer that has gone raises: Litestar's, or the server's own (ASGI 2.4: an OSError)."""
_LATE_CLOSES: Final = {refused.outcome: refused.close for refused in REFUSED.values()} | {
    HandshakeOutcome.NO_SUCH_GAME: Close.NO_SUCH_GAME,
    HandshakeOutcome.RATE_LIMITED: Close.RATE_LIMITED,
    HandshakeOutcome.UNAVAILABLE: Close.OVERLOADED,
}
"""How a refusal is told that is found only after first-message authentication."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What the endpoint needs."""

    admission: Admission
    door: Door
    hub: Hub
    observer: Observer
    auth_timeout_s: float


@dataclass(slots=True)
class _Attempt:
    """One attempt to connect, and what is known of it so far."""

    socket: AnySocket
    gate: Gate
    client: str
    started: float
    wanted: Wanted | None = None
    player_id: str | None = None
    place: Place | None = None

    @property
    def aim(self) -> Wanted:
        """What is wanted, once that is known."""
        return cast("Wanted", self.wanted)

    def opened(self, room: Room | None = None) -> Opened:
        """The record of the connection it becomes."""
        resume = room.resume_point(self.aim.last_seq)[1] if room else None
        return Opened(self.gate.hub.replicas.new_connection_id(), self.aim.game_id, self.player_id, self.client, resume)


@websocket("/ws/{game_id:str}")
async def game_socket(socket: AnySocket, game_id: FromPath[str], gate: NamedDependency[Gate]) -> None:
    """Admit or refuse; a connection that is admitted lives on by itself."""
    attempt = _Attempt(socket, gate, client_address(socket), time.perf_counter())
    try:
        attempt.wanted = gate.admission.require_wanted(socket, game_id)
        attempt.place = place = gate.door.enter(attempt.client)
        identity, ticket = await gate.admission.identify(socket, socket.scope["subprotocols"])
        if identity is None:
            await _serve_unknown(attempt, place)
        else:
            attempt.player_id = identity.player_id
            await _serve_known(attempt, place, identity, ticket)
    except ProblemError as error:
        await _refuse(attempt, error.problem)
    except LogUnavailable as error:
        await _refuse(attempt, unavailable(error).problem)
    finally:
        if attempt.place is not None:
            attempt.place.leave()


async def _serve_known(attempt: _Attempt, place: Place, identity: Identity, ticket: Ticket | None) -> None:
    """The token came with the request: everything is checked before the upgrade."""
    gate, wanted = attempt.gate, attempt.aim
    place.seat(identity.player_id)
    gate.admission.require_pace(wanted.game_id, identity.player_id, attempt.client)
    async with gate.hub.rooms.use(wanted.game_id) as found:
        room = gate.admission.require_place(found, identity, wanted.last_seq, attempt.client)
        gate.admission.require_deliveries(room, identity.player_id, wanted.last_seq, attempt.client)
        await gate.admission.redeem(ticket)
        opened = attempt.opened(room)
        async with _connection(attempt, opened, place) as session:
            if session is not None:
                await gate.hub.membership.enter(session, room, identity, wanted.last_seq)


async def _serve_unknown(attempt: _Attempt, place: Place) -> None:
    """The first message brings the token: what would have been a refusal becomes a close code."""
    opened = attempt.opened()
    async with _connection(attempt, opened, place) as session:
        if session is None:
            return
        session.start()
        try:
            identity = await _log_in(attempt, session)
            if identity is not None:
                await _seat(attempt, place, session, identity)
        except ProblemError as error:
            problem = error.problem
            row = _LATE_CLOSES.get(problem.outcome or HandshakeOutcome.INTERNAL_ERROR, Close.INTERNAL)
            session.close(row, problem.detail, problem.retry_after_ms or 0)
        except LogUnavailable as error:
            session.close(Close.OVERLOADED, unavailable(error).problem.detail, 1_000)


async def _log_in(attempt: _Attempt, session: Session) -> Identity | None:
    """The player that the first message names; None where the connection ends without."""
    try:
        message = await session.inbox.first_message(attempt.gate.auth_timeout_s)
    except TimeoutError:
        session.close(Close.AUTH_TIMEOUT)
        return None
    if message is None:
        return None
    if not isinstance(message, AuthMessage):
        session.close(Close.AUTH_FAILED, "the first message must be auth, as the request had no token")
        return None
    try:
        return await attempt.gate.admission.authenticator.verify(message.data.token)
    except TokenRefused as error:
        session.close(Close.AUTH_FAILED, str(error))
    except VerifierUnavailable as error:
        session.close(Close.OVERLOADED, str(error), 1_000)
    return None


async def _seat(attempt: _Attempt, place: Place, session: Session, identity: Identity) -> None:
    """The player is known: the checks that were still to be made, then the game. Raises ProblemError."""
    gate, wanted = attempt.gate, attempt.aim
    gate.observer.authenticated(session.connection_id, identity.player_id, refresh=False)
    place.seat(identity.player_id)
    gate.admission.require_pace(wanted.game_id, identity.player_id, attempt.client)
    async with gate.hub.rooms.use(wanted.game_id) as found:
        room = gate.admission.require_place(found, identity, wanted.last_seq, attempt.client)
        gate.admission.require_deliveries(room, identity.player_id, wanted.last_seq, attempt.client)
        await gate.hub.membership.enter(session, room, identity, wanted.last_seq)


@contextlib.asynccontextmanager
async def _connection(attempt: _Attempt, opened: Opened, place: Place) -> AsyncIterator[Session | None]:
    """Complete the upgrade and let the connection live by itself after the block; None where the peer has gone."""
    accepted = await _accept(attempt, opened)
    if accepted is None:
        yield None
        return
    attempt.place = None  # the connection's from now on
    session = attempt.gate.hub.connections.open(opened, *accepted, place.leave)
    try:
        yield session
    except BaseException:  # a cancelled handshake too: the peer is told, the cause goes on up
        session.close(Close.INTERNAL)
        raise
    finally:
        session.begin()


async def _accept(attempt: _Attempt, opened: Opened) -> tuple[Transport, Link | None] | None:
    """Complete the upgrade; None where the peer has gone meanwhile."""
    socket = attempt.socket
    transport = cast("Transport", cast("dict[str, Any]", socket.scope["extensions"])[EXTENSION])
    chosen = SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None
    try:
        await socket.accept(subprotocols=chosen)
        is_open = transport.is_open
    except GONE:
        is_open = False
    outcome = HandshakeOutcome.ACCEPTED if is_open else HandshakeOutcome.ABANDONED
    link = _measure(attempt, outcome, HTTPStatus.SWITCHING_PROTOCOLS, opened.connection_id)
    return (transport, link) if is_open else None


def _measure(
    attempt: _Attempt, outcome: HandshakeOutcome, status: int, connection_id: str | None = None
) -> Link | None:
    """Count an answered attempt and trace it; what its messages' traces will point at."""
    ended = time.perf_counter()
    observer = attempt.gate.observer
    link, trace_id = observer.tracer.handshake(
        Handshake(
            started=attempt.started,
            ended=ended,
            outcome=outcome,
            status=status,
            game_id=attempt.wanted.game_id if attempt.wanted else None,
            connection_id=connection_id,
            player_id=attempt.player_id,
            traceparent=attempt.socket.headers.get("traceparent"),
        )
    )
    observer.handshake(outcome, ended - attempt.started, trace_id)
    return link


async def _refuse(attempt: _Attempt, problem: Problem) -> None:
    """Refuse with an HTTP status (ASGI extension ``websocket.http.response``), readable by proxies and people."""
    headers = [(key.encode(), value.encode()) for key, value in problem.all_headers().items()]
    headers.append((b"content-type", MEDIA_TYPE.encode()))
    start = {"type": "websocket.http.response.start", "status": problem.status, "headers": headers}
    body = {"type": "websocket.http.response.body", "body": msgspec.json.encode(problem.body())}
    with contextlib.suppress(*GONE):  # whoever has gone needs no answer
        await attempt.socket.send(cast("Any", start))
        await attempt.socket.send(cast("Any", body))
    outcome = problem.outcome or HandshakeOutcome.INTERNAL_ERROR
    observer = attempt.gate.observer
    _measure(attempt, outcome, problem.status)
    observer.refused(
        Refusal(
            outcome=outcome,
            status=problem.status,
            detail=problem.detail,
            client=attempt.client,
            game_id=attempt.wanted.game_id if attempt.wanted else None,
            player_id=attempt.player_id,
        )
    )


@get("/ws/{game_id:str}", include_in_schema=False)
async def diagnose(request: AnyRequest, game_id: FromPath[str], gate: NamedDependency[Gate]) -> Response[bytes]:
    """What the upgrade would answer, for browsers, which cannot read it: 426 where it would be accepted."""
    offered = request.headers.get("sec-websocket-protocol", "")
    client = client_address(request)
    gate.admission.rates.request(client)
    wanted = gate.admission.require_wanted(request, game_id)
    gate.door.look(client)
    identity, _ = await gate.admission.identify(request, [part.strip() for part in offered.split(",")])
    if identity is not None:
        gate.admission.rates.player(client, identity.player_id)
        gate.door.look_player(client, identity.player_id)
        gate.admission.require_pace(wanted.game_id, identity.player_id, client, look=True)
        try:
            async with gate.hub.rooms.use(wanted.game_id) as room:
                gate.admission.require_place(room, identity, wanted.last_seq, client)
        except LogUnavailable as error:
            raise unavailable(error) from None
    return Problem(
        HTTPStatus.UPGRADE_REQUIRED,
        "all is well: connect with a WebSocket client",
        HandshakeOutcome.ACCEPTED,
        headers={"upgrade": "websocket", "connection": "Upgrade"},
    ).response()
