"""``/ws/{gameId}``: the upgrade, and a plain GET that answers what the upgrade would."""

import time
from http import HTTPStatus

from litestar import Response, get, websocket
from litestar.di import NamedDependency
from litestar.enums import ScopeType
from litestar.params import FromPath
from litestar.types import ASGIApp, Receive, Scope, Send

from app.eventlog import LogUnavailable
from app.protocol import AuthMessage, Close
from app.realtime import Room, Session
from app.realtime.identity import Identity, Unauthenticated, VerifierUnavailable
from app.refusals import REFUSALS
from app.vocabulary import HandshakeOutcome
from app.web.asked import UpgradeRequest
from app.web.auth.tickets import Ticket
from app.web.client_address import client_address
from app.web.error_answers import FAULT, ErrorAnswer, RequestRefused, no_such_path, unavailable
from app.web.handshake.attempt import AnySocket, Begun, HandshakeAttempt, HandshakeContext
from app.web.handshake.connection_limits import ConnectionSlot
from app.web.json_request import AnyRequest


class GameSockets:
    """A short way to `game_socket` for the WebSockets of an application; the rest is `app`'s.

    Litestar's way there is a tenth of a handshake, and its connection, which refers to itself, is a collection's work.
    """

    def __init__(self, app: ASGIApp, handshakes: HandshakeContext) -> None:
        self._app = app
        self._handshakes = handshakes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit or refuse; a connection that is admitted lives on by itself."""
        if scope["type"] != ScopeType.WEBSOCKET:
            await self._app(scope, receive, send)
            return
        await _meet(UpgradeRequest(scope, receive, send), self._handshakes)


@websocket("/ws/{game_id:str}")
async def game_socket(socket: AnySocket, handshakes: NamedDependency[HandshakeContext]) -> None:
    """Admit or refuse; a connection that is admitted lives on by itself."""
    await _meet(UpgradeRequest(socket.scope, socket.receive, socket.send), handshakes)


async def _meet(socket: UpgradeRequest, handshakes: HandshakeContext) -> None:
    """Answer an upgrade, whatever goes wrong."""
    attempt = HandshakeAttempt(socket, handshakes, client_address(socket), time.perf_counter())
    try:
        with handshakes.bulkhead:
            await _answer(attempt, socket.scope["path"])
        if not attempt.is_answered:
            await attempt.refuse(FAULT)
    finally:
        if attempt.slot is not None:
            attempt.slot.release()


def _game_in(path: str) -> str:
    """Return what a path names as the game. Raises RequestRefused where it is no game's."""
    match [part for part in path.split("/") if part]:
        case ["ws", game_id]:
            return game_id
    raise no_such_path()


async def _answer(attempt: HandshakeAttempt, path: str) -> None:
    """Serve an attempt, or refuse it."""
    try:
        await _serve(attempt, _game_in(path))
    except RequestRefused as error:
        await attempt.refuse(error.answer)
    except LogUnavailable as error:
        await attempt.refuse(unavailable(error).answer)


async def _serve(attempt: HandshakeAttempt, game_id: str) -> None:
    """Find out who asks for what, and admit them. Raises RequestRefused, LogUnavailable."""
    socket, context = attempt.socket, attempt.context
    attempt.target = context.admission.require_target(socket, game_id)
    attempt.slot = slot = context.limits.acquire(attempt.client)
    identity, ticket = await context.admission.identify(socket, attempt.subprotocols)
    if identity is None:
        await _serve_unknown(attempt, slot)
    else:
        attempt.player_id = identity.player_id
        await _serve_known(attempt, slot, identity, ticket)


async def _serve_known(
    attempt: HandshakeAttempt, slot: ConnectionSlot, identity: Identity, ticket: Ticket | None
) -> None:
    """Admit a player whose token came with the request: everything is checked before the upgrade."""
    context, target = attempt.context, attempt.target
    _require_rates(attempt, slot, identity)
    async with context.hub.rooms.use(target.game_id) as found:
        room = _require_joinable(attempt, found, identity)
        await context.admission.redeem(ticket)
        slot.assign(identity.player_id)
        session = await attempt.accept(slot, room)
        if session is not None:
            with Begun(session):
                await context.hub.membership.enter(session, room, identity, target.last_seq)


async def _serve_unknown(attempt: HandshakeAttempt, slot: ConnectionSlot) -> None:
    """Upgrade, as the first message brings the token: what would have been a refusal becomes a close code."""
    session = await attempt.accept(slot)
    if session is None:
        return
    with Begun(session):
        session.start()
        try:
            identity = await _log_in(attempt, session)
            if identity is not None:
                await _enter(attempt, slot, session, identity)
        except RequestRefused as error:
            _close(session, error.answer)
        except LogUnavailable as error:
            _close(session, unavailable(error).answer)


async def _log_in(attempt: HandshakeAttempt, session: Session) -> Identity | None:
    """Identify the player that the first message names; None where the connection ends without."""
    try:
        message = await session.inbox.first_message(attempt.context.auth_timeout_s)
    except TimeoutError:
        session.close(Close.AUTH_TIMEOUT)
        return None
    if message is None:
        return None
    if not isinstance(message, AuthMessage):
        session.close(Close.AUTH_FAILED, "the first message must be auth, as the request had no token")
        return None
    try:
        return await session.inbox.verify(message.data.token)
    except Unauthenticated as error:
        session.close(REFUSALS[HandshakeOutcome.UNAUTHORIZED].close, str(error))
    except VerifierUnavailable as error:
        row = REFUSALS[HandshakeOutcome.UNAVAILABLE]
        session.close(row.close, str(error), row.retry_after_ms())
    return None


async def _enter(attempt: HandshakeAttempt, slot: ConnectionSlot, session: Session, identity: Identity) -> None:
    """Make the checks that were still to be made, as the player is known, then enter. Raises RequestRefused."""
    context, target = attempt.context, attempt.target
    _require_rates(attempt, slot, identity)
    async with context.hub.rooms.use(target.game_id) as found:
        slot.assign(identity.player_id)
        room = _require_joinable(attempt, found, identity)
        await context.hub.membership.enter(session, room, identity, target.last_seq)


def _require_rates(attempt: HandshakeAttempt, slot: ConnectionSlot, identity: Identity) -> None:
    """Check what can be checked of a player before the game is read."""
    attempt.context.admission.require_player(identity.player_id)
    slot.look(identity.player_id)
    game_id = attempt.target.game_id
    attempt.context.admission.require_entry_rate(game_id, identity.player_id, attempt.client)


def _require_joinable(attempt: HandshakeAttempt, found: Room | None, identity: Identity) -> Room:
    """Check the game for a player who is about to enter it."""
    admission, last_seq = attempt.context.admission, attempt.target.last_seq
    room = admission.require_joinable(found, identity, last_seq, attempt.client)
    admission.require_delivery_rate(room, identity.player_id, last_seq, attempt.client)
    return room


def _close(session: Session, answer: ErrorAnswer) -> None:
    """Tell a refusal that is found out only after first-message authentication."""
    row = REFUSALS[answer.outcome].close if answer.outcome is not None else Close.INTERNAL
    session.close(row, answer.detail, answer.retry_after_ms or 0)


@get("/ws/{game_id:str}", include_in_schema=False)
async def diagnose(
    request: AnyRequest, game_id: FromPath[str], handshakes: NamedDependency[HandshakeContext]
) -> Response[bytes]:
    """Answer what the upgrade would, for browsers, which cannot read it: 426 where it would be accepted."""
    offered = request.headers.get("sec-websocket-protocol", "")
    client = client_address(request)
    admission = handshakes.admission
    handshakes.rates.request(client)
    target = admission.require_target(request, game_id)
    handshakes.limits.check(client)
    identity, _ = await admission.identify(request, [part.strip() for part in offered.split(",")])
    if identity is not None:
        handshakes.rates.player(client, identity.player_id)
        admission.require_player(identity.player_id)
        handshakes.limits.check_player(client, identity.player_id)
        admission.require_entry_rate(target.game_id, identity.player_id, client, look=True)
        try:
            async with handshakes.hub.rooms.use(target.game_id) as room:
                admission.require_joinable(room, identity, target.last_seq, client)
        except LogUnavailable as error:
            raise unavailable(error) from None
    return ErrorAnswer(
        HTTPStatus.UPGRADE_REQUIRED,
        "all is well: connect with a WebSocket client; where it is one, what stands between passes no Upgrade on",
        HandshakeOutcome.ACCEPTED,
        headers={"upgrade": "websocket", "connection": "Upgrade"},
    ).response()
