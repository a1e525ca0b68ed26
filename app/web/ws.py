"""``/ws/{gameId}``: the upgrade, and a plain GET that answers what the upgrade would."""

import contextlib
import time
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import msgspec
from litestar import Request, Response, get, websocket
from litestar.connection import WebSocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath

from app.eventlog import LogUnavailable
from app.protocol import SUBPROTOCOL
from app.realtime import Hub, Room, Transport
from app.realtime.transport import EXTENSION
from app.telemetry.observer import HandshakeOutcome, Observer, Opened, Refusal
from app.web.admission import Admission, Admitted, Connection, resume_outcome, unavailable
from app.web.errors import MEDIA_TYPE, Problem, ProblemError

AnyRequest = Request[Any, Any, Any]
AnySocket = WebSocket[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Gate:
    """What the endpoint needs."""

    admission: Admission
    hub: Hub
    observer: Observer


@websocket("/ws/{game_id:str}")
async def game_socket(socket: AnySocket, game_id: FromPath[str], gate: NamedDependency[Gate]) -> None:
    """Admit or refuse, then serve the connection to its end."""
    started = time.perf_counter()
    admitted: Admitted | None = None
    try:
        admitted = gate.admission.identify(socket, game_id, socket.scope["subprotocols"])
        async with gate.hub.use(admitted.game_id) as room:
            await _serve(socket, gate.admission.require_place(room, admitted), admitted, gate, started)
    except ProblemError as error:
        await _refuse(socket, error.problem, admitted, gate.observer, started)
    except LogUnavailable as error:
        await _refuse(socket, unavailable(error).problem, admitted, gate.observer, started)


async def _serve(socket: AnySocket, room: Room, admitted: Admitted, gate: Gate, started: float) -> None:
    transport = cast("Transport", cast("dict[str, Any]", socket.scope["extensions"])[EXTENSION])
    opened = Opened(
        connection_id=str(uuid.uuid4()),
        game_id=admitted.game_id,
        player_id=admitted.identity.player_id,
        client=client_address(socket),
        resume=resume_outcome(room, admitted.last_seq),
    )
    chosen = SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None
    try:
        await socket.accept(subprotocols=chosen)
    except WebSocketDisconnect:
        gate.observer.handshake(HandshakeOutcome.ABANDONED, time.perf_counter() - started)
        return
    outcome = HandshakeOutcome.ACCEPTED if transport.is_open else HandshakeOutcome.ABANDONED
    gate.observer.handshake(outcome, time.perf_counter() - started)
    if outcome is HandshakeOutcome.ACCEPTED:
        await gate.hub.serve(room, opened, admitted.identity.name, admitted.last_seq, transport)


async def _refuse(
    socket: AnySocket, problem: Problem, admitted: Admitted | None, observer: Observer, started: float
) -> None:
    """Refuse with an HTTP status (ASGI extension ``websocket.http.response``), readable by proxies and people."""
    headers = [(key.encode(), value.encode()) for key, value in problem.all_headers().items()]
    headers.append((b"content-type", MEDIA_TYPE.encode()))
    start = {"type": "websocket.http.response.start", "status": problem.status, "headers": headers}
    body = {"type": "websocket.http.response.body", "body": msgspec.json.encode(problem.body())}
    with contextlib.suppress(WebSocketDisconnect):  # whoever has gone needs no answer
        await socket.send(cast("Any", start))
        await socket.send(cast("Any", body))
    outcome = problem.outcome or HandshakeOutcome.INTERNAL_ERROR
    observer.handshake(outcome, time.perf_counter() - started)
    identity = admitted.identity if admitted else None
    observer.refused(
        Refusal(
            outcome=outcome,
            status=problem.status,
            detail=problem.detail,
            client=client_address(socket),
            game_id=admitted.game_id if admitted else None,
            player_id=identity.player_id if identity else None,
        )
    )


@get("/ws/{game_id:str}", include_in_schema=False)
async def diagnose(request: AnyRequest, game_id: FromPath[str], gate: NamedDependency[Gate]) -> Response[bytes]:
    """What the upgrade would answer, for browsers, which cannot read it: 426 where it would be accepted."""
    offered = request.headers.get("sec-websocket-protocol", "")
    try:
        admitted = gate.admission.identify(request, game_id, [part.strip() for part in offered.split(",")])
        async with gate.hub.use(admitted.game_id) as room:
            gate.admission.require_place(room, admitted)
    except LogUnavailable as error:
        raise unavailable(error) from None
    return Problem(
        HTTPStatus.UPGRADE_REQUIRED,
        "all is well: connect with a WebSocket client",
        HandshakeOutcome.ACCEPTED,
        headers={"upgrade": "websocket", "connection": "Upgrade"},
    ).response()


def client_address(connection: Connection) -> str:
    """The peer's address."""
    return connection.client.host if connection.client else "unknown"
