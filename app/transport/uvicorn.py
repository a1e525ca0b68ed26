"""uvicorn's own WebSocket protocol as a transport (``WS_TRANSPORT=uvicorn``): the reference, and the way back.

A thin subclass of uvicorn's sans-I/O protocol (its documented hook is ``Config(ws=...)``) on `websockets`' parser. It
adds what uvicorn keeps to itself: ping round trips, 1006 for a vanished peer, and who closed.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from uvicorn import Config
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import BytesLike

from app.protocol import Close, CloseRow, client_close
from app.telemetry.observer import Observer
from app.transport.connection import FRAME_COST, Connection, nowhere
from app.transport.deflate import Deflate
from app.transport.port import EXTENSION, VIOLATIONS
from app.transport.upgrade import refusal_without_reason
from app.vocabulary import HandshakeOutcome, Initiator, PingOutcome

_PIECE: Final = 256
"""So many bytes are parsed at once, at most 42 frames of a client: the parser does not stop by itself."""


class _Parser(ServerProtocol):
    """websockets' parser, closing with the reasons of our table instead of its own sentences.

    While `is_blocked` (the socket takes no more) pings are not answered: the last one is kept in `unanswered`.
    """

    is_blocked = False
    unanswered: BytesLike | None = None

    def fail(self, code: int, reason: str = "") -> None:
        row = VIOLATIONS.get(code)
        super().fail(code, row.reason if row is not None else reason)

    def recv_frame(self, frame: Frame) -> None:
        """A close frame may come amid a fragmented message (RFC 6455 section 5.4), which is then of no use."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        if frame.opcode is Opcode.PING and self.is_blocked:
            self.unanswered = frame.data
            self.events.append(frame)
        else:
            super().recv_frame(frame)


class UvicornTransport(Connection, WebSocketsSansIOProtocol):
    """See the module; `close_timeout_s` bounds the wait for the peer's close frame."""

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
        Connection.__init__(self, observer)
        WebSocketsSansIOProtocol.__init__(self, config, server_state, app_state, _loop)
        offered = [deflate.factory] if deflate is not None else None
        self.conn = self._parser = _Parser(extensions=offered, max_size=config.ws_max_size, logger=self.logger)
        self._deflate = deflate
        self.close_timeout = close_timeout_s
        self._held = bytearray()
        self._parsed: deque[Frame] = deque()
        self._handled = 0
        self._is_started = False
        self._over = asyncio.Event()
        self._application = self.app
        self.app = self._serve

    @property
    def _close_timeout_s(self) -> float:
        return self.close_timeout

    # ---------------------------------------------------------------- Transport

    @property
    def is_writable(self) -> bool:
        """See `Transport.is_writable`."""
        return self.writable.is_set()

    @property
    def is_open(self) -> bool:
        """See `Transport.is_open`.

        The parser runs ahead: when a close frame came in one chunk with messages, it knows of the close while
        the messages are still being delivered. They are handled; their answers have nowhere to go.
        """
        return self._ended is None and self.handshake_complete and self.conn.state is State.OPEN

    @property
    def deflate(self) -> Deflate | None:
        """See `Transport.deflate`."""
        return self._deflate if self.conn.extensions else None

    @property
    def write(self) -> Callable[[bytes], object]:
        """See `Transport.write`."""
        return nowhere if self._ended is not None else self.transport.write

    def cork(self) -> None:
        """See `Transport.cork`; here everything leaves at once."""

    def start(self) -> None:
        """See `Transport.start`."""
        if not self._is_started:
            self._is_started = True
            self._read()

    def _close_frame(self, row: CloseRow) -> bytes:
        if self.conn.state is State.OPEN:
            self.conn.send_close(row.code, row.reason)
        return self._to_send()

    def _shut_up(self, last: bytes) -> None:
        self.close_sent = self._parser.is_blocked = True
        self.stop_keepalive()
        if last and not self._is_lost:
            self.transport.write(last)

    def _to_send(self) -> bytes:
        return b"".join(self.conn.data_to_send())

    # ---------------------------------------------------------------- the handshake

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The HTTP protocol has read an upgrade request."""
        self._socket = cast("asyncio.Transport", transport)
        super().connection_made(transport)

    def handle_connect(self, event: Request) -> None:
        """Put the transport into the scope, before the ASGI task takes its first step."""
        super().handle_connect(event)
        if self.close_sent:
            self._observer.handshake(HandshakeOutcome.BAD_REQUEST, 0.0)
            self._cut_later()
        else:
            cast("dict[str, Any]", self.scope["extensions"])[EXTENSION] = self

    async def send(self, message: ASGISendEvent) -> None:
        """A refusal before the upgrade completes the handshake too; uvicorn forgets to say so."""
        if message["type"] == "websocket.close" and not self.handshake_complete:
            await self._refuse()
            return
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True
            self._cut_later()

    def _cut_later(self) -> None:
        """The refusal must be taken in time: a socket that is closed waits for that as long as it takes."""
        if not self._is_lost:
            self._cut_timer = self.loop.call_later(self._close_timeout_s, self.transport.abort)

    async def _refuse(self) -> None:
        refused = refusal_without_reason(self.scope["path"], self._observer)
        headers = list(refused.headers)
        await self.send({"type": "websocket.http.response.start", "status": refused.status, "headers": headers})
        await self.send({"type": "websocket.http.response.body", "body": refused.body, "more_body": False})

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI has them
        """Uvicorn ends the connection when the application returns, which it does once the session lives by itself."""
        await self._application(scope, receive, send)
        if self._listener is not None:
            await self._over.wait()

    # ---------------------------------------------------------------- what comes in

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer: first the head, as one; what comes before `start` waits for it."""
        if self._is_deaf:
            self._discard(len(data))
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
        if self.conn.parser_exc is not None and not self._is_deaf:
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
        """A message, or a part of one."""
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
            self.close(Close.INVALID_UTF8)
            self._deafen()
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
        """The peer's close frame: its own wish, or the answer to ours."""
        del event
        if self.conn.close_rcvd is not None:
            code = self.conn.close_rcvd.code
            self._end(client_close(code), Initiator.CLIENT, code, self._to_send())
        self._forget()
        self.transport.close()

    def handle_parser_exception(self) -> None:
        """RFC 6455 was broken; websockets has chosen the close code."""
        code = self.conn.close_sent.code if self.conn.close_sent is not None else 0
        self._end(VIOLATIONS.get(code, Close.WIRE_ERROR), Initiator.SERVER, last=self._to_send())
        self._deafen()

    # ---------------------------------------------------------------- what the event loop and uvicorn call

    def keepalive_timeout(self) -> None:
        """The peer is gone or frozen: say so, and do not wait for a buffer nobody reads."""
        self.pong_timer = None
        self.pending_ping_payload = None
        if self._listener is not None:
            self._tell(self._listener.on_ping, PingOutcome.TIMEOUT, 0.0)
        self.close(Close.PING_TIMEOUT)

    def pause_writing(self) -> None:
        """The buffer is over its high-water mark."""
        super().pause_writing()
        self._parser.is_blocked = True
        if self._listener is not None:
            self._tell(self._listener.on_blocked)

    def resume_writing(self) -> None:
        """The buffer has drained."""
        super().resume_writing()
        if self._ended is not None:
            return
        self._parser.is_blocked = False
        pong, self._parser.unanswered = self._parser.unanswered, None
        if pong is not None:
            self.conn.send_pong(pong)
            self.transport.write(self._to_send())
        if self._listener is not None:
            self._tell(self._listener.on_writable)

    def eof_received(self) -> None:
        """The peer will say no more; the event loop closes the socket, once it has sent what is to be sent."""
        self._end(Close.LOST, Initiator.NETWORK)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        if self._listener is not None and self.pending_ping_payload is not None:
            self._tell(self._listener.on_ping, PingOutcome.ABANDONED, 0.0)
        self._lost()
        self._over.set()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Uvicorn is going down and this connection is still there."""
        if self.handshake_complete:
            self.close(Close.DRAINING)
        super().shutdown()
