"""Our own connection on uvicorn: a callback a message, a write a frame, and next to nothing while it is idle.

The common frame (one whole, final, masked, small text frame in one read) goes from the socket to the listener in one
function. Everything else goes through `wire.FrameReader`, which lives only while there is part of something. Pings
share one timing wheel.
"""

import asyncio
import random
import struct
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from uvicorn import Config
from uvicorn.server import ServerState
from websockets.frames import apply_mask  # type: ignore[attr-defined] # in C where that was built, else in Python

from app.aio.timing_wheel import TimingWheel
from app.protocol import Close, CloseRow, client_close, encode, problem
from app.telemetry.observer import Observer
from app.transport.connection import FRAME_COST, Connection, nowhere
from app.transport.deflate import Deflate, inflate
from app.transport.framing import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameReader,
    Received,
    Violation,
    close_bytes,
    close_code,
    frame_bytes,
)
from app.transport.port import VIOLATIONS
from app.transport.upgrade import (
    PROBLEM_HEADERS,
    BadHandshake,
    Headers,
    Upgrade,
    accept_key,
    http_answer,
    websocket_scope,
)
from app.vocabulary import HandshakeOutcome, Initiator, PingOutcome

_FINAL_TEXT: Final = 0x81
_MASKED_LESS_HEADER: Final = 0x80 - 6
_SMALL: Final = range(6, 6 + 126)
_MOST_CORKED: Final = 16_384
_NOBODY: Final = asyncio.Protocol()


@dataclass(frozen=True, slots=True)
class LeanConfig:
    """What all connections of a server share."""

    uvicorn: Config
    wheel: TimingWheel
    observer: Observer
    max_message_bytes: int
    ping_interval_s: float
    ping_timeout_s: float
    close_timeout_s: float
    deflate: Deflate | None = None


class LeanTransport(Connection, asyncio.Protocol):
    """A `Transport`; see the module."""

    __slots__ = (
        "_config", "_corked", "_is_live", "_ping", "_ping_slot", "_pinged_at", "_pong", "_reader", "_server",
        "_upgrade", "deflate", "is_writable", "write",
    )  # fmt: skip

    def __init__(self, config: LeanConfig, server: ServerState, socket: asyncio.Transport) -> None:
        super().__init__(config.observer)
        self._config = config
        self._server = server
        self._socket = socket
        self.write: Callable[[bytes], object] = socket.write
        self.is_writable = True
        self.deflate: Deflate | None = None
        self._upgrade: Upgrade | None = None
        self._reader: FrameReader | None = None
        self._corked: bytearray | None = None
        self._is_live = False
        self._ping: bytes | None = None
        self._ping_slot = 0
        self._pinged_at = 0.0
        self._pong: bytes | None = None

    @property
    def _close_timeout_s(self) -> float:
        return self._config.close_timeout_s

    # ---------------------------------------------------------------- the handshake

    def begin(self, http: MutableMapping[str, Any], url: bytes) -> None:
        """Answer the upgrade request that the HTTP protocol has read: ask the application, unless it is none."""
        self._server.connections.add(self)  # type: ignore[arg-type] # uvicorn calls no more of it than `shutdown`
        headers = list(self._server.default_headers)
        try:
            key = accept_key(http["method"], http["headers"])
            extensions = self._negotiate(http["headers"])
        except BadHandshake as error:
            self._config.observer.handshake(HandshakeOutcome.BAD_REQUEST, 0.0)
            headers += [*PROBLEM_HEADERS, (b"sec-websocket-version", b"13")]
            text = f"this is no WebSocket handshake: {error}"
            body = encode(problem(HTTPStatus.BAD_REQUEST, text, HandshakeOutcome.BAD_REQUEST))
            self.refused(http_answer(HTTPStatus.BAD_REQUEST, headers, body))
            return
        scope = websocket_scope(http, url, self)
        app = self._config.uvicorn.loaded_app
        self._upgrade = Upgrade(self, scope, key, app, headers, self._config.observer, extensions)
        task = asyncio.get_running_loop().create_task(self._upgrade.run())
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    def _negotiate(self, headers: Headers) -> bytes | None:
        """What is answered to the extensions that are offered. Raises BadHandshake."""
        deflate = self._config.deflate
        if deflate is None:
            return None
        try:
            answer = deflate.negotiate(value for name, value in headers if name == b"sec-websocket-extensions")
        except ValueError as error:
            raise BadHandshake(f"Sec-WebSocket-Extensions: {error}") from None
        if answer is not None:
            self.deflate = deflate
        return answer

    @property
    def is_lost(self) -> bool:
        """See `Opening.is_lost`."""
        return self._is_lost

    def opened(self, answer: bytes) -> None:
        """See `Opening.opened`."""
        self.write(answer)  # apart from what follows: some clients drop what they read with it
        self.cork()
        self._schedule_ping(self._config.ping_interval_s)

    def refused(self, answer: bytes) -> None:
        """See `Opening.refused`."""
        self._end(Close.LOST, Initiator.SERVER, last=answer)
        if self._reader is None:
            self._socket.close()
        else:  # frames came before they were asked for: unread they would cost the peer the answer
            self._deafen()

    def finished(self) -> None:
        """See `Opening.finished`."""
        self._upgrade = None
        if self._listener is None and self._ended is None:
            self.close(Close.INTERNAL)

    # ---------------------------------------------------------------- Transport

    @property
    def is_open(self) -> bool:
        """See `Transport.is_open`."""
        return self._ended is None and not self._socket.is_closing()

    def start(self) -> None:
        """See `Transport.start`."""
        if self._ended is not None or self._is_live:
            return
        self._is_live = True
        self._read()

    def cork(self) -> None:
        """See `Transport.cork`."""
        if self._corked is None and self.is_open:
            self._corked = bytearray()
            self.write = self._write_corked
            asyncio.get_running_loop().call_soon(self._uncork)

    def _write_corked(self, data: bytes) -> None:
        corked = self._corked
        if corked is None:  # whoever looked `write` up before
            self.write(data)
            return
        corked += data
        if len(corked) > _MOST_CORKED:  # let the socket say that it is full
            self._uncork()

    def _uncork(self) -> None:
        corked, self._corked = self._corked, None
        if corked is not None:
            self.write = self._socket.write
            if corked:
                self._socket.write(corked)

    def _close_frame(self, row: CloseRow) -> bytes:
        return close_bytes(row.code, row.reason)

    def _shut_up(self, last: bytes) -> None:
        self._is_live = False
        if self._is_lost:
            self._corked = None
        else:
            self._uncork()
            if last:
                self._socket.write(last)
        self.write = nowhere

    # ---------------------------------------------------------------- what comes in

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer: usually one small text frame."""
        size = len(data)
        if (
            size in _SMALL
            and data[0] == _FINAL_TEXT
            and data[1] == size + _MASKED_LESS_HEADER
            and self._is_live
            and self._reader is None
        ):
            payload = apply_mask(data[6:], data[2:6])
            if payload.isascii():
                try:
                    self._listener.on_text(payload)  # type: ignore[union-attr] # there is one: `_is_live`
                except Exception as fault:  # noqa: BLE001 - a fault in one message ends one connection
                    self._failed(fault)
                return
        self._receive(data)

    def _receive(self, data: bytes) -> None:
        if self._is_deaf:
            self._discard(len(data))
            return
        reader = self._reader
        if reader is None:
            reader = FrameReader(self._config.max_message_bytes, inflate if self.deflate else None)
            self._reader = reader
        reader.feed(data)
        if not (self._is_live or self._ended):
            self._socket.pause_reading()  # until `start`
            return
        self._read()
        if self._later is None and not self._is_paused and self._reader is not None and self._reader.is_within:
            self._spend()  # a long frame in tiny pieces costs as much as many frames

    def _forget(self) -> None:
        self._reader = None

    def _step(self) -> int:
        reader = self._reader
        if reader is None:
            return 0
        try:
            one = reader.next()
            if one is None:
                if reader.is_between:
                    self._reader = None
                return 0
            self._handle(one)
        except Violation as violation:
            self._fail(VIOLATIONS[violation.code])
            return 0
        return FRAME_COST + len(one.payload)

    def _handle(self, one: Received) -> None:
        listener = self._listener
        if one.opcode == CLOSE:
            self._answer_close(one.payload)
        elif self._ended is not None or listener is None:
            self._spend()  # the closing handshake has begun: only its end counts
        elif one.opcode == TEXT:
            if not _is_utf8(one.payload):
                self._fail(Close.INVALID_UTF8)
                return
            listener.on_text(one.payload)
        elif one.opcode == BINARY:
            listener.on_binary(one.payload)
        elif one.opcode == PONG and one.payload == self._ping:
            self._on_pong()
        else:
            if one.opcode == PING:
                self._answer_ping(one.payload)
            self._spend()

    def _answer_ping(self, payload: bytes) -> None:
        """At once, or as soon as the socket takes it; then only the last one counts (section 5.5.3)."""
        if self.is_writable:
            self.write(frame_bytes(PONG, payload))
        else:
            self._pong = payload

    def _answer_close(self, payload: bytes) -> None:
        """The peer's close frame: its own wish, or the answer to ours. Raises Violation."""
        if self._ended is None:
            code = close_code(payload)
            self._end(client_close(code), Initiator.CLIENT, code, frame_bytes(CLOSE, payload[:2]))
        self._reader = None
        self._socket.close()

    def _fail(self, row: CloseRow) -> None:
        """The peer broke the protocol: nothing it sends can be understood any more (section 7.1.7)."""
        self.close(row)
        self._deafen()

    # ---------------------------------------------------------------- pings

    def on_due(self) -> None:
        """It is time for a ping, or for its answer."""
        if self._ended is not None:
            return
        if self._ping is not None:
            self._ping = None
            self._tell_ping(PingOutcome.TIMEOUT)
            self.close(Close.PING_TIMEOUT)
            return
        self._ping = struct.pack("!I", random.getrandbits(32))
        self._pinged_at = asyncio.get_running_loop().time()
        self._schedule_ping(self._config.ping_timeout_s)
        self.write(frame_bytes(PING, self._ping))

    def _on_pong(self) -> None:
        self._ping = None
        rtt_s = asyncio.get_running_loop().time() - self._pinged_at
        self._config.wheel.cancel(self, self._ping_slot)
        self._schedule_ping(self._config.ping_interval_s - rtt_s)
        self._tell_ping(PingOutcome.ANSWERED, rtt_s)

    def _schedule_ping(self, delay_s: float) -> None:
        self._ping_slot = self._config.wheel.set(self, delay_s)

    def _tell_ping(self, outcome: PingOutcome, rtt_s: float = 0.0) -> None:
        if self._listener is not None:
            self._tell(self._listener.on_ping, outcome, rtt_s)

    # ---------------------------------------------------------------- what the event loop and uvicorn call

    def pause_writing(self) -> None:
        """The socket's buffer is over its high-water mark."""
        self.is_writable = False
        if self._listener is not None:
            self._tell(self._listener.on_blocked)

    def resume_writing(self) -> None:
        """It has drained."""
        self.is_writable = True
        pong, self._pong = self._pong, None
        if pong is not None:
            self.write(frame_bytes(PONG, pong))
        if self._listener is not None and self._ended is None:
            self._tell(self._listener.on_writable)

    def eof_received(self) -> None:
        """The peer will say no more; the event loop closes the socket, once it has sent what is to be sent."""
        self._end(Close.LOST, Initiator.NETWORK)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The socket is gone."""
        self._server.connections.discard(self)
        self._config.wheel.cancel(self, self._ping_slot)
        if self._ping is not None:
            self._tell_ping(PingOutcome.ABANDONED)
        self._lost()
        if self._upgrade is not None:
            self._upgrade.lost()
        self._reader = None
        self._socket.set_protocol(_NOBODY)  # uvloop keeps it: the two would hold each other until a collection

    def shutdown(self) -> None:
        """Uvicorn is going down and this connection is still there."""
        self.close(Close.DRAINING)
        self._socket.close()


def _is_utf8(payload: bytes) -> bool:
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
