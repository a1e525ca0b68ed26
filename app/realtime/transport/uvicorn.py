"""uvicorn's own WebSocket protocol as a transport (``WS_TRANSPORT=uvicorn``): the reference, and the way back.

A thin subclass of uvicorn's sans-I/O protocol (its documented hook is ``Config(ws=...)``) on `websockets`' parser. It
adds what uvicorn keeps to itself: ping round trips, 1006 for a vanished peer, and who closed.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn import Config
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from app.protocol import Close, CloseRow, Initiator, client_close
from app.realtime.transport.deflate import Deflate
from app.realtime.transport.port import EXTENSION, VIOLATIONS, Listener
from app.realtime.transport.upgrade import refusal_without_reason
from app.telemetry.observer import HandshakeOutcome, Observer, PingOutcome


class _Parser(ServerProtocol):
    """websockets' parser, closing with the reasons of our table instead of its own sentences."""

    def fail(self, code: int, reason: str = "") -> None:
        row = VIOLATIONS.get(code)
        super().fail(code, row.reason if row is not None else reason)

    def recv_frame(self, frame: Frame) -> None:
        """A close frame may come amid a fragmented message (RFC 6455 section 5.4), which is then of no use."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)


class UvicornTransport(WebSocketsSansIOProtocol):
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
        super().__init__(config, server_state, app_state, _loop)
        offered = [deflate.factory] if deflate is not None else None
        self.conn = _Parser(extensions=offered, max_size=config.ws_max_size, logger=self.logger)
        self._deflate = deflate
        self.close_timeout = close_timeout_s
        self._observer = observer
        self._early: list[bytes] = []
        self._listener: Listener | None = None
        self._is_started = False
        self._is_deaf = False
        self._over = asyncio.Event()
        self._application = self.app
        self.app = self._serve
        self._ended: tuple[CloseRow, Initiator, int] | None = None

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
        return self.conn.state is State.OPEN and self.handshake_complete and not self.close_sent

    @property
    def deflate(self) -> Deflate | None:
        """See `Transport.deflate`."""
        return self._deflate if self.conn.extensions else None

    @property
    def write(self) -> Callable[[bytes], object]:
        """See `Transport.write`."""
        return self.transport.write

    def cork(self) -> None:
        """See `Transport.cork`; here everything leaves at once."""

    def attach(self, listener: Listener) -> None:
        """See `Transport.attach`."""
        self._listener = listener
        if self._ended is not None:
            listener.on_closed(*self._ended)

    def start(self) -> None:
        """See `Transport.start`."""
        if self._is_started:
            return
        self._is_started = True
        while not self.queue.empty():
            event = cast("dict[str, Any]", self.queue.get_nowait())
            if event["type"] == "websocket.receive":
                self._deliver(event.get("text"), event.get("bytes"))
        self.resume_reading()

    def close(self, row: CloseRow) -> None:
        """See `Transport.close`."""
        if not self.is_open:
            return
        self._end(row, Initiator.SERVER)
        self.stop_keepalive()
        if not self.transport.is_closing():
            self.conn.send_close(row.code, row.reason)
            self._flush()
        self.close_sent = True
        self.resume_reading()
        # uvicorn keeps the socket while this timer runs: a socket closed with unread bytes resets the connection,
        # and the peer would never see the close code.
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def pause_reading(self) -> None:
        """See `Transport.pause_reading`."""
        if not self.read_paused and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """See `Transport.resume_reading`."""
        if self.read_paused:
            self.read_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    def abort(self) -> None:
        """See `Transport.abort`."""
        self.transport.abort()

    # ---------------------------------------------------------------- what uvicorn calls

    def handle_connect(self, event: Request) -> None:
        """Put the transport into the scope, before the ASGI task takes its first step."""
        super().handle_connect(event)
        if self.close_sent:
            self._observer.handshake(HandshakeOutcome.BAD_REQUEST, 0.0)
        else:
            cast("dict[str, Any]", self.scope["extensions"])[EXTENSION] = self

    async def send(self, message: ASGISendEvent) -> None:
        """A refusal before the upgrade completes the handshake too; uvicorn forgets to say so."""
        if message["type"] == "websocket.close" and not self.handshake_complete:
            await self._refuse()
            return
        await super().send(message)
        if message["type"] == "websocket.accept" and self._early:
            early, self._early = self._early, []
            self.resume_reading()
            self.data_received(b"".join(early))
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True

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

    def data_received(self, data: bytes) -> None:
        """What came before a violation still counts: uvicorn drops it. What came before the 101 waits for it."""
        if self._is_deaf:
            return
        if self.handshake_initiated and not self.handshake_complete:
            self._early.append(data)
            self.pause_reading()
            return
        self.conn.receive_data(data)
        self.handle_events()
        if self.conn.parser_exc is not None and not self.close_sent:
            self.handle_parser_exception()

    def send_receive_event_to_app(self) -> None:
        """Deliver one whole message to the listener, or queue it until there is one."""
        if self._listener is None or not self._is_started:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "bytes":
            self._listener.on_binary(bytes(data))
            return
        try:
            data.decode()
        except UnicodeDecodeError:
            self.close(Close.INVALID_UTF8)
            return
        self._listener.on_text(bytes(data))

    def handle_pong(self, event: Frame) -> None:
        """Report the round trip of the ping this pong answers."""
        waiting = self.pending_ping_payload
        super().handle_pong(event)
        if waiting is not None and self.pending_ping_payload is None and self._listener is not None:
            self._listener.on_ping(PingOutcome.ANSWERED, self.last_ping_rtt)

    def keepalive_timeout(self) -> None:
        """The peer is gone or frozen: say so, and do not wait for a buffer nobody reads."""
        self.pong_timer = None
        self.pending_ping_payload = None
        if self._listener is not None:
            self._listener.on_ping(PingOutcome.TIMEOUT, 0.0)
        self.close(Close.PING_TIMEOUT)

    def handle_close(self, event: Frame) -> None:
        """The peer's close frame: its own wish, or the answer to ours."""
        if not self.close_sent and self.conn.close_rcvd is not None:
            code = self.conn.close_rcvd.code
            self._end(client_close(code), Initiator.CLIENT, code)
        super().handle_close(event)

    def handle_parser_exception(self) -> None:
        """RFC 6455 was broken; websockets has chosen the close code.

        uvicorn closes the socket at once: with bytes unread that is a reset, and the peer may never see the code.
        So the way out is shut and the way in drained.
        """
        code = self.conn.close_sent.code if self.conn.close_sent is not None else 0
        self._end(VIOLATIONS.get(code, Close.WIRE_ERROR), Initiator.SERVER)
        self._is_deaf = self.close_sent = True
        self.stop_keepalive()
        self._flush()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone; 1006 if nobody had said goodbye."""
        if self._listener is not None and self.pending_ping_payload is not None:
            self._listener.on_ping(PingOutcome.ABANDONED, 0.0)
        self._end(Close.LOST, Initiator.NETWORK)
        self._over.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The buffer is over its high-water mark."""
        super().pause_writing()
        if self._listener is not None:
            self._listener.on_blocked()

    def resume_writing(self) -> None:
        """The buffer has drained."""
        super().resume_writing()
        if self._listener is not None and self._ended is None:
            self._listener.on_writable()

    def shutdown(self) -> None:
        """Uvicorn is going down and this connection is still there."""
        self._end(Close.DRAINING, Initiator.SERVER)
        super().shutdown()

    # ---------------------------------------------------------------- own

    def _flush(self) -> None:
        self.transport.write(b"".join(self.conn.data_to_send()))

    def _deliver(self, text: str | None, data: bytes | None) -> None:
        if self._listener is None:
            return
        if text is not None:
            self._listener.on_text(text.encode())
        elif data is not None:
            self._listener.on_binary(data)

    def _end(self, row: CloseRow, initiator: Initiator, received_code: int = 0) -> None:
        if self._ended is not None:
            return
        self._ended = (row, initiator, received_code)
        if self._listener is not None:
            self._listener.on_closed(row, initiator, received_code)
