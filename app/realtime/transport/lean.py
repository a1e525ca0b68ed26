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

from app.protocol import Close, CloseRow, Initiator, client_close
from app.realtime.transport.deflate import Deflate, inflate
from app.realtime.transport.port import VIOLATIONS, Listener
from app.realtime.transport.upgrade import BadHandshake, Headers, Upgrade, accept_key, http_answer, websocket_scope
from app.realtime.transport.wire import (
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
from app.realtime.wheel import Wheel
from app.telemetry.observer import HandshakeOutcome, Observer, PingOutcome

_FINAL_TEXT: Final = 0x81
_MASKED_LESS_HEADER: Final = 0x80 - 6
_SMALL: Final = range(6, 6 + 126)
_MOST_CORKED: Final = 16_384
_NOBODY: Final = asyncio.Protocol()


@dataclass(frozen=True, slots=True)
class LeanConfig:
    """What all connections of a server share."""

    uvicorn: Config
    wheel: Wheel
    observer: Observer
    max_message_bytes: int
    ping_interval_s: float
    ping_timeout_s: float
    close_timeout_s: float
    deflate: Deflate | None = None


class LeanTransport(asyncio.Protocol):
    """A `Transport`; see the module."""

    __slots__ = (
        "_close_timer", "_config", "_corked", "_ended", "_held", "_is_live", "_is_lost", "_is_paused", "_listener",
        "_ping", "_ping_slot", "_pinged_at", "_reader", "_server", "_socket", "_upgrade", "deflate", "is_writable",
        "write",
    )  # fmt: skip

    def __init__(self, config: LeanConfig, server: ServerState, socket: asyncio.Transport) -> None:
        self._config = config
        self._server = server
        self._socket = socket
        self.write: Callable[[bytes], object] = socket.write
        self.is_writable = True
        self.deflate: Deflate | None = None
        self._listener: Listener | None = None
        self._upgrade: Upgrade | None = None
        self._reader: FrameReader | None = None
        self._held = b""
        self._corked: bytearray | None = None
        self._is_live = False
        self._is_paused = False
        self._is_lost = False
        self._ended: tuple[CloseRow, Initiator, int] | None = None
        self._ping: bytes | None = None
        self._ping_slot = 0
        self._pinged_at = 0.0
        self._close_timer: asyncio.TimerHandle | None = None

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
            headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"sec-websocket-version", b"13")]
            self.refused(
                http_answer(HTTPStatus.BAD_REQUEST, headers, f"this is no WebSocket handshake: {error}".encode())
            )
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
        self.cork()  # the welcome follows at once
        self.write(answer)
        self._schedule_ping(self._config.ping_interval_s)

    def refused(self, answer: bytes) -> None:
        """See `Opening.refused`."""
        self._ended = (Close.LOST, Initiator.SERVER, 0)
        self.write(answer)
        self._socket.close()

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

    def attach(self, listener: Listener) -> None:
        """See `Transport.attach`."""
        self._listener = listener
        if self._ended is not None:
            listener.on_closed(*self._ended)

    def start(self) -> None:
        """See `Transport.start`."""
        if self._ended is not None or self._is_live:
            return
        self._is_live = True
        held, self._held = self._held, b""
        self.resume_reading()
        if held:
            self._receive(held)

    def cork(self) -> None:
        """See `Transport.cork`."""
        if self._corked is None and self.is_open:
            self._corked = bytearray()
            self.write = self._write_corked
            asyncio.get_running_loop().call_soon(self._uncork)

    def _write_corked(self, data: bytes) -> None:
        corked = self._corked
        if corked is None:  # whoever looked `write` up before
            self._socket.write(data)
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

    def close(self, row: CloseRow) -> None:
        """See `Transport.close`."""
        if not self.is_open:
            return
        self._end(row, Initiator.SERVER)
        self.write(close_bytes(row.code, row.reason))
        self.resume_reading()
        # A socket closed with unread bytes resets the connection, and the peer would never see the close code.
        loop = asyncio.get_running_loop()
        self._close_timer = loop.call_later(self._config.close_timeout_s, self._socket.abort)

    def pause_reading(self) -> None:
        """See `Transport.pause_reading`."""
        if not self._is_paused and not self._socket.is_closing():
            self._is_paused = True
            self._socket.pause_reading()

    def resume_reading(self) -> None:
        """See `Transport.resume_reading`."""
        if not self._is_paused:
            return
        self._is_paused = False
        if self._reader is not None:
            self._read(self._reader)
        if not self._is_paused and not self._socket.is_closing():
            self._socket.resume_reading()

    def abort(self) -> None:
        """See `Transport.abort`."""
        self._socket.abort()

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
                self._listener.on_text(payload)  # type: ignore[union-attr] # there is one: `_is_live`
                return
        self._receive(data)

    def _receive(self, data: bytes) -> None:
        if self._listener is None or not (self._is_live or self._ended):
            self._held += data
            self.pause_reading()
            return
        if self._reader is None:
            self._reader = FrameReader(self._config.max_message_bytes, inflate if self.deflate else None)
        self._reader.feed(data)
        self._read(self._reader)

    def _read(self, reader: FrameReader) -> None:
        """Handle what is whole; what comes after a pause waits for its end."""
        try:
            while self._reader is reader and not self._is_paused and (one := reader.next()) is not None:
                self._handle(one)
        except Violation as violation:
            self._fail(VIOLATIONS[violation.code])
            return
        if self._reader is reader and reader.is_between:
            self._reader = None

    def _handle(self, one: Received) -> None:
        if one.opcode == CLOSE:
            self._answer_close(one.payload)
        elif self._ended is not None or self._listener is None:
            return  # the closing handshake has begun: only its end counts
        elif one.opcode == TEXT:
            if not _is_utf8(one.payload):
                self._fail(Close.INVALID_UTF8)
                return
            self._listener.on_text(one.payload)
        elif one.opcode == BINARY:
            self._listener.on_binary(one.payload)
        elif one.opcode == PING:
            if self.is_writable:  # who reads nothing needs no answers: they would pile up
                self.write(frame_bytes(PONG, one.payload))
        elif one.payload == self._ping:
            self._on_pong()

    def _answer_close(self, payload: bytes) -> None:
        """The peer's close frame: its own wish, or the answer to ours. Raises Violation."""
        if self._ended is None:
            code = close_code(payload)
            self._end(client_close(code), Initiator.CLIENT, code)
            self.write(frame_bytes(CLOSE, payload[:2]))
        self._is_live = False
        self._socket.close()

    def _fail(self, row: CloseRow) -> None:
        """The peer broke the protocol: nothing it sends can be understood any more (section 7.1.7).

        The way out is shut after the close frame and the way in drained, so that the peer gets to see it.
        """
        if self._ended is not None:
            self._socket.close()
            return
        self.close(row)
        self._reader = _Deaf(0)
        if self._socket.can_write_eof():
            self._socket.write_eof()
        else:
            self._socket.close()

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
            self._listener.on_ping(outcome, rtt_s)

    # ---------------------------------------------------------------- what the event loop and uvicorn call

    def pause_writing(self) -> None:
        """The socket's buffer is over its high-water mark."""
        self.is_writable = False
        if self._listener is not None:
            self._listener.on_blocked()

    def resume_writing(self) -> None:
        """It has drained."""
        self.is_writable = True
        if self._listener is not None and self._ended is None:
            self._listener.on_writable()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The socket is gone; 1006 if nobody had said goodbye."""
        self._is_lost = True
        self._corked = None
        self._server.connections.discard(self)
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._config.wheel.cancel(self, self._ping_slot)
        if self._ping is not None:
            self._tell_ping(PingOutcome.ABANDONED)
        self._end(Close.LOST, Initiator.NETWORK)
        if self._upgrade is not None:
            self._upgrade.lost()
        self._listener = None
        self._reader = None
        self._socket.set_protocol(_NOBODY)  # uvloop keeps it: the two would hold each other until a collection

    def shutdown(self) -> None:
        """Uvicorn is going down and this connection is still there."""
        if self.is_open:
            self._end(Close.DRAINING, Initiator.SERVER)
            self.write(close_bytes(Close.DRAINING.code, Close.DRAINING.reason))
        self._socket.close()

    def _end(self, row: CloseRow, initiator: Initiator, received_code: int = 0) -> None:
        if self._ended is not None:
            return
        self._ended = (row, initiator, received_code)
        self._is_live = False
        self._uncork()
        if self._listener is not None:
            self._listener.on_closed(row, initiator, received_code)


class _Deaf(FrameReader):
    """Reads to the end and understands nothing."""

    __slots__ = ()

    def feed(self, data: bytes) -> None:
        """Forget it."""

    def next(self) -> None:
        """Nothing."""


def _is_utf8(payload: bytes) -> bool:
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
