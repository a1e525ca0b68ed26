"""One attempt to connect: the upgrade is completed, or it is refused; both are measured here."""

import contextlib
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

import msgspec
from litestar import WebSocket
from litestar.types import WebSocketScope

from app.protocol import SUBPROTOCOL, Close
from app.realtime import Hub, Room, Session, Transport
from app.telemetry.bulkhead import Bulkhead
from app.telemetry.observer import Observer, Opened
from app.telemetry.tracer import Handshake, Link
from app.transport import EXTENSION, UnsteadyTransport
from app.vocabulary import HandshakeOutcome
from app.web.asked import UpgradeRequest
from app.web.error_answers import MEDIA_TYPE, ErrorAnswer
from app.web.handshake.admission import NOWHERE, Admission, HandshakeTarget
from app.web.handshake.connection_limits import ConnectionLimits, ConnectionSlot
from app.web.handshake.releases import Releases
from app.web.headers import with_usual
from app.web.rates import ApiRates

AnySocket = WebSocket[Any, Any, Any]
GONE: Final = OSError
"""What sending to a peer that has gone raises (ASGI 2.4)."""


class Begun:
    """A block in which a session enters its game; after it the connection lives by itself."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> None:
        """Do nothing: the connection is open."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # a cancelled handshake too: the peer is told, the cause goes on up
            self._session.close(Close.INTERNAL)
        self._session.begin()


@dataclass(frozen=True, slots=True)
class HandshakeContext:
    """What every handshake needs of the service."""

    admission: Admission
    limits: ConnectionLimits
    rates: ApiRates
    hub: Hub
    observer: Observer
    releases: Releases
    auth_timeout_s: float
    bulkhead: Bulkhead


@dataclass(slots=True)
class HandshakeAttempt:
    """An attempt, and what is known of it so far; `is_answered` once a whole answer has been given, whichever."""

    socket: UpgradeRequest
    context: HandshakeContext
    client: str
    started: float
    target: HandshakeTarget = NOWHERE
    player_id: str | None = None
    slot: ConnectionSlot | None = None
    is_answered: bool = False

    @property
    def subprotocols(self) -> list[str]:
        """What the client offers to speak."""
        return cast("WebSocketScope", self.socket.scope)["subprotocols"]

    async def accept(self, slot: ConnectionSlot, room: Room | None = None) -> Session | None:
        """Complete the upgrade and open the connection, which is to be `Begun`; None where the peer has gone."""
        opened = self._opened(room)
        accepted = await self._accept(opened)
        if accepted is None:
            return None
        self.slot = None  # the connection's from now on
        return self.context.hub.connections.open(*accepted, slot)

    async def refuse(self, answer: ErrorAnswer) -> None:
        """Refuse with an HTTP status (ASGI extension ``websocket.http.response``), readable by proxies and people."""
        headers = [(key.encode(), value.encode()) for key, value in answer.all_headers().items()]
        headers = with_usual([*headers, (b"content-type", MEDIA_TYPE.encode())])
        start = {"type": "websocket.http.response.start", "status": answer.status, "headers": headers}
        body = {"type": "websocket.http.response.body", "body": answer.body()}
        self.is_answered = True
        with contextlib.suppress(GONE):  # whoever has gone needs no answer
            await self.socket.send(cast("Any", start))
            await self.socket.send(cast("Any", body))
        outcome = answer.outcome or HandshakeOutcome.INTERNAL_ERROR
        self.player_id = self.player_id or answer.player_id
        self._measure(outcome, answer.status, refusal=answer.detail)

    def _opened(self, room: Room | None) -> Opened:
        """Make the record of the connection that the attempt becomes."""
        target, connection_id = self.target, self.context.hub.replicas.new_connection_id()
        resume = room.resume_point(target.last_seq)[1] if room else None
        release = self.context.releases.name(self.socket)
        return Opened(connection_id, target.game_id, self.player_id, self.client, resume, release)

    async def _accept(self, opened: Opened) -> tuple[Opened, Transport] | None:
        """Complete the upgrade; None where the peer has gone meanwhile."""
        socket = self.socket
        transport = cast("Transport", cast("dict[str, Any]", socket.scope["extensions"])[EXTENSION])
        chaos = self.target.chaos
        if chaos is not None:
            transport = UnsteadyTransport(transport, chaos)
        chosen = SUBPROTOCOL if SUBPROTOCOL in self.subprotocols else None
        self.is_answered = True
        try:
            await socket.receive()  # websocket.connect
            await socket.send({"type": "websocket.accept", "subprotocol": chosen, "headers": []})
            is_open = transport.is_open
        except GONE:
            is_open = False
        outcome = HandshakeOutcome.ACCEPTED if is_open else HandshakeOutcome.ABANDONED
        link = self._measure(outcome, HTTPStatus.SWITCHING_PROTOCOLS, opened.connection_id)
        return (msgspec.structs.replace(opened, link=link), transport) if is_open else None

    def _measure(
        self, outcome: HandshakeOutcome, status: int, connection_id: str | None = None, refusal: str | None = None
    ) -> Link | None:
        """Measure an answered attempt; return what its messages' traces will point at."""
        return self.context.observer.handshake(
            Handshake(
                started=self.started,
                ended=time.perf_counter(),
                outcome=outcome,
                status=status,
                client=self.client,
                refusal=refusal,
                game_id=self.target.game_id or None,
                connection_id=connection_id,
                player_id=self.player_id,
                traceparent=self.socket.headers.get("traceparent"),
            )
        )
