"""The transport: frames in and out of one WebSocket, and an exact account of how it ended.

`UvicornTransport` is a thin subclass of uvicorn's sans-I/O protocol (uvicorn's documented hook is
``Config(ws=...)``). Litestar keeps routing, handshake and accept; after `attach` the listener gets messages
by a callback, and frames are written straight to the socket. It adds what uvicorn keeps to itself: ping
round trips, 1006 for a vanished peer, and who closed.
"""

import asyncio
import re
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

from uvicorn import Config
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from app.protocol import Close, CloseRow, Initiator, client_close, encode
from app.telemetry.observer import HandshakeOutcome, HttpRejection, Observer, PingOutcome

EXTENSION: Final = "code_racer.transport"
"""Where the ASGI scope holds the transport, in `extensions`."""

_GAME_PATH: Final = re.compile(r"/ws/[^/]+")
_REFUSALS: Final = {
    HTTPStatus.NOT_FOUND: "there is no WebSocket here; games are at /ws/{gameId}",
    HTTPStatus.INTERNAL_SERVER_ERROR: "a fault of the server; it has been logged",
}
_PARSER_ROWS: Final = {1002: Close.WIRE_ERROR, 1007: Close.INVALID_UTF8, 1009: Close.TOO_BIG}


class Listener(Protocol):
    """What a transport calls, all on the event loop."""

    def on_text(self, text: str) -> None:
        """A whole text message."""

    def on_binary(self, size: int) -> None:
        """A whole binary message, which this protocol does not take."""

    def on_writable(self) -> None:
        """The socket takes frames again."""

    def on_ping(self, outcome: PingOutcome, rtt_s: float) -> None:
        """A protocol ping ended."""

    def on_closed(self, row: CloseRow, initiator: Initiator, received_code: int) -> None:
        """The connection has ended; called exactly once. `received_code` is the wire's, 0 where there was none."""


class Transport(Protocol):
    """What a session needs of a connection."""

    @property
    def is_writable(self) -> bool:
        """Whether the socket's buffer is below its high-water mark."""

    @property
    def is_open(self) -> bool:
        """Whether frames can still be sent."""

    def attach(self, listener: Listener) -> None:
        """Deliver to `listener` from now on, what is already waiting first."""

    def send_frame(self, payload: bytes) -> None:
        """Write one text frame; never blocks. Sent after the end, it is dropped."""

    def close(self, row: CloseRow) -> None:
        """Begin the closing handshake; the socket is cut if the peer does not answer in time."""

    def pause_reading(self) -> None:
        """Take no more messages from the peer."""

    def resume_reading(self) -> None:
        """Take messages again."""

    def abort(self) -> None:
        """Cut the socket now."""


class _Parser(ServerProtocol):
    """websockets' parser, closing with the reasons of our table instead of its own sentences."""

    def fail(self, code: int, reason: str = "") -> None:
        row = _PARSER_ROWS.get(code)
        super().fail(code, row.reason if row is not None else reason)


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
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = _Parser(max_size=config.ws_max_size, logger=self.logger)
        self.close_timeout = close_timeout_s
        self._observer = observer
        self._early: list[bytes] = []
        self._listener: Listener | None = None
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

    def attach(self, listener: Listener) -> None:
        """See `Transport.attach`."""
        if self._listener is listener:
            return
        self._listener = listener
        while not self.queue.empty():
            event = cast("dict[str, Any]", self.queue.get_nowait())
            if event["type"] == "websocket.receive":
                self._deliver(event.get("text"), event.get("bytes"))
        self.resume_reading()
        if self._ended is not None:
            listener.on_closed(*self._ended)

    def send_frame(self, payload: bytes) -> None:
        """See `Transport.send_frame`."""
        if self.is_open and not self.transport.is_closing():
            self.conn.send_text(payload)
            self._flush()

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
        """What Litestar refuses by itself comes as a close and would leave as a bare 403, counted by nobody."""
        known = _GAME_PATH.fullmatch(self.scope["path"]) is not None
        status = HTTPStatus.INTERNAL_SERVER_ERROR if known else HTTPStatus.NOT_FOUND
        outcome = HandshakeOutcome.INTERNAL_ERROR if known else HandshakeOutcome.NO_SUCH_PATH
        self._observer.handshake(outcome, 0.0)
        detail = _REFUSALS[status]
        problem = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail, "reason": outcome}
        headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
        await self.send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await self.send({"type": "websocket.http.response.body", "body": encode(problem), "more_body": False})

    def data_received(self, data: bytes) -> None:
        """What came before a violation still counts: uvicorn drops it. What came before the 101 waits for it."""
        if self.handshake_initiated and not self.handshake_complete:
            self._early.append(data)
            self.pause_reading()
            return
        self.conn.receive_data(data)
        self.handle_events()
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._reject_head()
            return
        if self.conn.parser_exc is not None and not self.close_sent:
            self.handle_parser_exception()

    def send_receive_event_to_app(self) -> None:
        """Deliver one whole message to the listener, or queue it until there is one."""
        if self._listener is None:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "bytes":
            self._listener.on_binary(len(data))
            return
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError:
            self.close(Close.INVALID_UTF8)
            return
        self._listener.on_text(text)

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
        """RFC 6455 was broken; websockets has chosen the close code."""
        code = self.conn.close_sent.code if self.conn.close_sent is not None else 0
        self._end(_PARSER_ROWS.get(code, Close.WIRE_ERROR), Initiator.SERVER)
        super().handle_parser_exception()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone; 1006 if nobody had said goodbye."""
        if self._listener is not None and self.pending_ping_payload is not None:
            self._listener.on_ping(PingOutcome.ABANDONED, 0.0)
        self._end(Close.LOST, Initiator.NETWORK)
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """The buffer has drained."""
        super().resume_writing()
        if self._listener is not None:
            self._listener.on_writable()

    def shutdown(self) -> None:
        """Uvicorn is going down and this connection is still there."""
        self._end(Close.DRAINING, Initiator.SERVER)
        super().shutdown()

    # ---------------------------------------------------------------- own

    def _reject_head(self) -> None:
        """Websockets will not read such a request (a line over 8 KiB, over 128 headers), and uvicorn tells nobody."""
        self._observer.http_rejected(HttpRejection.TOO_LARGE)
        text = "a line of the request's head is longer than 8192 bytes, or it has more than 128 headers"
        head = f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\nconnection: close\r\n\r\n"
        status = STATUS_LINE[HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE]
        self.transport.write(status + head.encode() + text.encode())
        self.transport.close()

    def _flush(self) -> None:
        self.transport.write(b"".join(self.conn.data_to_send()))

    def _deliver(self, text: str | None, data: bytes | None) -> None:
        if self._listener is None:
            return
        if text is not None:
            self._listener.on_text(text)
        elif data is not None:
            self._listener.on_binary(len(data))

    def _end(self, row: CloseRow, initiator: Initiator, received_code: int = 0) -> None:
        if self._ended is not None:
            return
        self._ended = (row, initiator, received_code)
        if self._listener is not None:
            self._listener.on_closed(row, initiator, received_code)
