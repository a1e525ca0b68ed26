"""Our own connection on uvicorn: a callback a message, a write a frame, and next to nothing while it is idle.

`app.transport.common` says how a connection works; this is how its frames are read and written here.

- The handshake. `BoundedHttp` has read the head and calls `begin`; an `Upgrade` asks the application in a task, which
  attaches a listener and calls `start`. What comes before that is kept, at most one read, and the socket is paused.
- The way in. The common frame (one whole, final, masked, small text frame in one read) goes from the socket to the
  listener in one function, `data_received`. Everything else goes through a `FrameReader`, which lives only while there
  is part of something.
- The way out. `write` is the socket's own. After `cork` it is a `Cork`'s until the turn of the event loop ends.
- Pings. All connections share one timing wheel, which calls `on_due` when a ping is to be sent or its answer is
  overdue; one of the two is set from the handshake to the end.

A connection is one object: what asyncio calls, what the listener calls and what they share. A second object would cost
each connection memory and each message a call.
"""

import asyncio
import random
import struct
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from uvicorn import Config
from uvicorn.server import ServerState
from websockets.frames import apply_mask  # type: ignore[attr-defined] # in C where that was built, else in Python

from app.aio.timing_wheel import TimingWheel
from app.protocol import Close, CloseRow, client_close
from app.settings import ConnectionSettings
from app.telemetry.observer import Observer
from app.transport.common import FRAME_COST, CommonTransport
from app.transport.cork import Cork
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
from app.transport.http_answer import http_answer
from app.transport.port import VIOLATIONS
from app.transport.upgrade import BadHandshake, Upgrade, accept_key, accepted_extensions, bad_handshake, websocket_scope
from app.vocabulary import Initiator, PingOutcome

_FINAL_TEXT: Final = 0x81
_MASKED_LESS_HEADER: Final = 0x80 - 6
_LEAST_SMALL: Final = 6
_MOST_SMALL: Final = 6 + 125
_NOBODY: Final = asyncio.Protocol()


@dataclass(frozen=True, slots=True)
class LeanContext:
    """What all connections of a server share."""

    uvicorn: Config
    wheel: TimingWheel
    observer: Observer
    settings: ConnectionSettings
    max_message_bytes: int
    deflate: Deflate | None = None


class LeanTransport(CommonTransport, asyncio.Protocol):
    """A `Transport`, and the `Opening` of its handshake."""

    __slots__ = (
        "_context", "_cork", "_is_live", "_ping", "_ping_slot", "_pinged_at", "_reader", "_server", "_upgrade",
    )  # fmt: skip

    def __init__(self, context: LeanContext, server: ServerState, socket: asyncio.Transport) -> None:
        super().__init__(context.observer, context.settings.close_timeout_s)
        self._context = context
        self._server = server
        self._socket = socket
        self.write = socket.write
        self._upgrade: Upgrade | None = None
        self._reader: FrameReader | None = None
        self._cork: Cork | None = None
        self._is_live = False
        self._ping: bytes | None = None
        self._ping_slot = 0
        self._pinged_at = 0.0

    # ---------------------------------------------------------------- the handshake

    def begin(self, http: MutableMapping[str, Any], url: bytes) -> None:
        """Answer the upgrade request that the HTTP protocol has read: ask the application, unless it is none."""
        context, headers = self._context, self._server.default_headers
        self._server.connections.add(self)  # type: ignore[arg-type] # uvicorn calls no more of it than `shutdown`
        try:
            key = accept_key(http["method"], http["headers"])
            extensions = accepted_extensions(http["headers"], context.deflate)
        except BadHandshake as error:
            refused = bad_handshake(error, http, context.observer)
            self.refused(http_answer(refused.status, [*headers, *refused.headers], refused.body))
            return
        if extensions is not None:
            self.deflate = context.deflate
        scope, app = websocket_scope(http, url, self), context.uvicorn.loaded_app
        self._upgrade = Upgrade(self, scope, key, app, headers, context.observer, extensions)
        task = asyncio.get_running_loop().create_task(self._upgrade.run())
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    def opened(self, answer: bytes) -> None:
        """Answer 101: frames follow."""
        self.write(answer)  # apart from what follows: some clients drop what they read with it
        self.cork()
        self._schedule_ping(self._context.settings.ping_interval_s)

    def refused(self, answer: bytes) -> None:
        """Answer otherwise, and end."""
        self._end(Close.LOST, Initiator.SERVER, last=answer)
        if self._reader is None:
            self._socket.close()
        else:  # frames came before they were asked for: unread they would cost the peer the answer
            self._stop_reading()

    def finished(self) -> None:
        """Go on without the handshake, unless the application has returned and nobody has attached."""
        self._upgrade = None
        if self._listener is None and self._ended is None:
            self.close(Close.INTERNAL)

    # ---------------------------------------------------------------- Transport

    @property
    def is_open(self) -> bool:
        """Whether frames can still be sent."""
        return self._ended is None and not self._socket.is_closing()

    def start(self) -> None:
        """Deliver messages, those first that have come already."""
        if self._ended is not None or self._is_live:
            return
        self._is_live = True
        self._read()

    def cork(self) -> None:
        """Let what is written until this turn of the event loop ends leave in one write."""
        if self._cork is None and self.is_open:
            self._cork = Cork(self._socket.write)
            self.write = self._cork.write
            asyncio.get_running_loop().call_soon(self._uncork)

    def _uncork(self) -> None:
        cork, self._cork = self._cork, None
        if cork is not None:
            self.write = self._socket.write
            cork.flush()

    def _close_frame(self, row: CloseRow) -> bytes:
        return close_bytes(row.code, row.reason)

    def _write_last(self, last: bytes) -> None:
        self._is_live = False
        if self.is_lost:
            self._cork = None
            return
        self._uncork()
        if last:
            self._socket.write(last)

    # ---------------------------------------------------------------- what comes in

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer: usually one small text frame."""
        size = len(data)
        if (
            _LEAST_SMALL <= size <= _MOST_SMALL
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
        if self._draining is not None:
            self._discard(self._draining, len(data))
            return
        reader = self._reader
        if reader is None:
            reader = FrameReader(self._context.max_message_bytes, inflate if self.deflate else None)
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
        """Answer at once, or as soon as the socket takes it; then only the last one counts (section 5.5.3)."""
        if self.is_writable:
            self.write(frame_bytes(PONG, payload))
        else:
            self._unanswered_ping = payload

    def _answer_close(self, payload: bytes) -> None:
        """Handle the peer's close frame: its own wish, or the answer to ours. Raises Violation."""
        if self._ended is None:
            code = close_code(payload)
            self._end(client_close(code), Initiator.CLIENT, code, frame_bytes(CLOSE, payload[:2]))
        self._reader = None
        self._socket.close()

    def _fail(self, row: CloseRow) -> None:
        """Fail the connection (section 7.1.7): the peer broke the protocol, what it sends is no longer understood."""
        self.close(row, is_asked=False)
        self._stop_reading()

    # ---------------------------------------------------------------- pings

    def on_due(self) -> None:
        """Send a ping, or close where its answer is overdue."""
        if self._ended is not None:
            return
        if self._ping is not None:
            self._ping = None
            self._notify_ping(PingOutcome.TIMEOUT)
            self.close(Close.PING_TIMEOUT, is_asked=False)
            return
        self._ping = struct.pack("!I", random.getrandbits(32))
        self._pinged_at = time.perf_counter()  # the loop's own clock stands still while it works, in whole milliseconds
        self._schedule_ping(self._context.settings.ping_timeout_s)
        self.write(frame_bytes(PING, self._ping))

    def _on_pong(self) -> None:
        self._ping = None
        rtt_s = time.perf_counter() - self._pinged_at
        self._context.wheel.cancel(self, self._ping_slot)
        self._schedule_ping(self._context.settings.ping_interval_s - rtt_s)
        self._notify_ping(PingOutcome.ANSWERED, rtt_s)

    def _schedule_ping(self, delay_s: float) -> None:
        self._ping_slot = self._context.wheel.set(self, delay_s)

    # ---------------------------------------------------------------- what the event loop and uvicorn call

    def connection_lost(self, _exc: Exception | None) -> None:
        """End without a socket."""
        self._server.connections.discard(self)
        self._context.wheel.cancel(self, self._ping_slot)
        if self._ping is not None:
            self._notify_ping(PingOutcome.ABANDONED)
        self._lost()
        if self._upgrade is not None:
            self._upgrade.lost()
        self._reader = None
        self._socket.set_protocol(_NOBODY)  # uvloop keeps it: the two would hold each other until a collection

    def shutdown(self) -> None:
        """End, as uvicorn is going down."""
        self.close(Close.DRAINING, is_asked=False)
        self._socket.close()


def _is_utf8(payload: bytes) -> bool:
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
