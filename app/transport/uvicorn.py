"""uvicorn's own WebSocket protocol as a transport (``WS_TRANSPORT=uvicorn``): the reference, and the way back.

A thin subclass of uvicorn's sans-I/O protocol (its documented hook is ``Config(ws=...)``) on `websockets`' parser. It
adds what uvicorn keeps to itself: ping round trips, 1006 for a vanished peer, and who closed.

`app.transport.common` says how a connection works; this is how it holds uvicorn's protocol to that. uvicorn runs
the handshake, sends the pings and has the parser; its `handle_…` methods are called frame by frame, from `_step`,
instead of all at once. Its task lives as long as the connection (`_serve`), as it would close the socket after it.
A connection is one object, as uvicorn has it: its protocol by inheritance, and what both transports share.
"""

import asyncio
from collections import deque
from http import HTTPStatus
from typing import Any, Final, cast

from uvicorn import Config
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from app.protocol import Close, CloseRow, client_close
from app.telemetry.observer import Observer
from app.transport.common import FRAME_COST, CommonTransport
from app.transport.deflate import Deflate
from app.transport.port import EXTENSION, VIOLATIONS
from app.vocabulary import HandshakeOutcome, Initiator, PingOutcome

_PIECE: Final = 256
"""So many bytes are parsed at once, at most 42 frames of a client: the parser does not stop by itself."""


class _Parser(ServerProtocol):
    """websockets' parser, which leaves it to us to close a connection whose peer broke the protocol (`violation`).

    While `is_blocked` (the socket takes no more) pings are not answered: the last one is kept in `unanswered`.
    """

    is_blocked = False
    unanswered: bytes | None = None
    violation: CloseRow = Close.WIRE_ERROR

    def take_output(self) -> bytes:
        """Return the bytes that are to be sent."""
        return b"".join(self.data_to_send())

    def fail(self, code: int, reason: str = "") -> None:
        """Understand nothing any more, and note why; it stays open, so that the listener can say goodbye.

        As after a lost connection (1006), for which it sends no close frame of its own.
        """
        self.violation = VIOLATIONS.get(code, Close.INTERNAL)
        super().fail(Close.LOST.code, reason)

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame; a close frame may come amid a fragmented message (section 5.4), which is then of no use."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        if frame.opcode is Opcode.PING and self.is_blocked:
            self.unanswered = bytes(frame.data)
            self.events.append(frame)
        else:
            super().recv_frame(frame)


class UvicornTransport(CommonTransport, WebSocketsSansIOProtocol):
    """A `Transport` that uvicorn's protocol does the work of."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        close_timeout_s: float,
        observer: Observer,
        deflate: Deflate | None = None,
    ) -> None:
        CommonTransport.__init__(self, observer, close_timeout_s)
        WebSocketsSansIOProtocol.__init__(self, config, server_state, app_state, _loop)
        offered = [deflate.factory] if deflate is not None else None
        self.conn = self._parser = _Parser(extensions=offered, max_size=config.ws_max_size, logger=self.logger)
        self._offered_deflate = deflate
        self.close_timeout = close_timeout_s
        self._held = bytearray()
        self._parsed: deque[Frame] = deque()
        self._handled = 0
        self._is_started = False
        self._over = asyncio.Event()
        self._application = self.app
        self.app = self._serve

    # ---------------------------------------------------------------- Transport

    @property
    def is_open(self) -> bool:
        """Whether frames can still be sent.

        The parser runs ahead: when a close frame came in one chunk with messages, it knows of the close while
        the messages are still being delivered. They are handled; their answers have nowhere to go.
        """
        return self._ended is None and self.handshake_complete and self.conn.state is State.OPEN

    def cork(self) -> None:
        """Do nothing: here everything leaves at once."""

    def start(self) -> None:
        """Deliver messages, those first that have come already."""
        if not self._is_started:
            self._is_started = True
            self._read()

    def _close_frame(self, row: CloseRow) -> bytes:
        if self.conn.state is State.OPEN:
            self.conn.send_close(row.code, row.reason)
        return self._parser.take_output()

    def _write_last(self, last: bytes) -> None:
        self.close_sent = self._parser.is_blocked = True
        self.stop_keepalive()
        if last and not self.is_lost:
            self.transport.write(last)

    # ---------------------------------------------------------------- the handshake

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket: the HTTP protocol has read an upgrade request."""
        self._socket = cast("asyncio.Transport", transport)
        self.write = self._socket.write
        super().connection_made(transport)

    def handle_connect(self, event: Request) -> None:
        """Put the transport into the scope, before the ASGI task takes its first step."""
        super().handle_connect(event)
        self.deflate = self._offered_deflate if self.conn.extensions else None
        if self.close_sent:
            client = self.client[0] if self.client else "unknown"
            detail = "this is no WebSocket handshake"
            self._observer.handshake_refused(HandshakeOutcome.BAD_REQUEST, HTTPStatus.BAD_REQUEST, detail, client)
            self._cut_later()
        else:
            cast("dict[str, Any]", self.scope["extensions"])[EXTENSION] = self

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the application says; a refusal completes the handshake too, which uvicorn forgets to note."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True
            self._cut_later()  # it must be taken in time: a closed socket waits for that as long as it takes

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI has them
        """Return when the connection has ended, not when the application does: uvicorn closes the socket then."""
        await self._application(scope, receive, send)
        if self._listener is not None:
            await self._over.wait()

    # ---------------------------------------------------------------- what comes in

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer: first the head, as one; what comes before `start` waits for it."""
        if self._draining is not None:
            self._discard(self._draining, len(data))
        elif not self.handshake_initiated:
            super().data_received(data)
        elif not self._is_started and self._ended is None:
            self._held += data
            self._socket.pause_reading()
        else:
            self._held += data
            before = self._handled
            self._read()
            if self._handled == before and self._later is None and not self._is_paused:
                self._spend()  # a long frame in tiny pieces costs as much as many frames

    def _forget(self) -> None:
        self._held.clear()
        self._parsed.clear()

    def _step(self) -> int:
        """Handle the next frame that has been parsed, or have the parser take a few bytes more."""
        if self._parsed:
            frame = self._parsed.popleft()
            self._handled += 1
            self._on_frame(frame)
            return FRAME_COST + len(frame.data)
        if self.conn.parser_exc is not None and self._draining is None:
            self.handle_parser_exception()
            return 0
        piece = self._held[:_PIECE]
        del self._held[:_PIECE]
        if piece:
            self.conn.receive_data(piece)
            self._parsed.extend(cast("list[Frame]", self.conn.events_received()))
        return len(piece)

    def _on_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.handle_close(frame)
        elif self._ended is not None:
            self._spend()  # the closing handshake has begun: only its end counts
        elif frame.opcode is Opcode.PING:
            self.handle_ping()
            self._spend()
        elif frame.opcode is Opcode.PONG:
            self.handle_pong(frame)
        else:
            self._on_part(frame)

    def _on_part(self, frame: Frame) -> None:
        """Take a message, or a part of one."""
        if frame.opcode is Opcode.TEXT:
            self.handle_text(frame)
        elif frame.opcode is Opcode.BINARY:
            self.handle_bytes(frame)
        elif frame.data or frame.fin:  # an empty part would be kept, and means nothing
            self.handle_cont(frame)
        if not frame.fin:
            self._spend()

    def send_receive_event_to_app(self) -> None:
        """Deliver one whole message to the listener."""
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self._listener is None:
            return
        if self.curr_msg_data_type == "bytes":
            self._listener.on_binary(bytes(data))
            return
        try:
            data.decode()
        except UnicodeDecodeError:
            self.close(Close.INVALID_UTF8, is_asked=False)
            self._stop_reading()
            return
        self._listener.on_text(bytes(data))

    def handle_pong(self, event: Frame) -> None:
        """Report the round trip of the ping this pong answers."""
        waiting = self.pending_ping_payload
        super().handle_pong(event)
        if waiting is None or self.pending_ping_payload is not None:
            self._spend()
        elif self._listener is not None:
            self._listener.on_ping(PingOutcome.ANSWERED, self.last_ping_rtt)

    def handle_close(self, event: Frame) -> None:
        """Take the peer's close frame: its own wish, or the answer to ours."""
        del event
        if self.conn.close_rcvd is not None:
            code = self.conn.close_rcvd.code
            self._end(client_close(code), Initiator.CLIENT, code, self._parser.take_output())
        self._forget()
        self.transport.close()

    def handle_parser_exception(self) -> None:
        """End, as RFC 6455 was broken; websockets has chosen the close code."""
        self.close(self._parser.violation, is_asked=False)
        self._stop_reading()

    # ---------------------------------------------------------------- what the event loop and uvicorn call

    def keepalive_timeout(self) -> None:
        """Close, as the peer is gone or frozen, and do not wait for a buffer nobody reads."""
        self.pong_timer = None
        self.pending_ping_payload = None
        self._notify_ping(PingOutcome.TIMEOUT)
        self.close(Close.PING_TIMEOUT, is_asked=False)

    def pause_writing(self) -> None:
        """Have the parser answer no ping, and tell uvicorn and the listener."""
        WebSocketsSansIOProtocol.pause_writing(self)
        self._parser.is_blocked = True
        CommonTransport.pause_writing(self)

    def resume_writing(self) -> None:
        """Have the parser answer pings again, and tell uvicorn and the listener."""
        WebSocketsSansIOProtocol.resume_writing(self)
        self._parser.is_blocked = self._ended is not None
        self._unanswered_ping, self._parser.unanswered = self._parser.unanswered, None
        CommonTransport.resume_writing(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End without a socket."""
        if self.pending_ping_payload is not None:
            self._notify_ping(PingOutcome.ABANDONED)
        self._lost()
        self._over.set()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End, as uvicorn is going down."""
        if self.handshake_complete:
            self.close(Close.DRAINING, is_asked=False)
        super().shutdown()
