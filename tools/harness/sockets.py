"""A transport on a socket that is none: what happens to it, and in which order, is decided by the test.

The socket raises where uvloop's does, which a real one can only be brought to by luck.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from app.aio.timing_wheel import TimingWheel
from app.protocol import CloseRow
from app.settings import ConnectionSettings
from app.transport import EXTENSION, LeanContext, LeanTransport, UvicornTransport
from app.vocabulary import Initiator, PingOutcome
from tools.harness.faults import Faults, unexpected
from tools.harness.wire import upgrade

HIGH_WATER = 65_536
CLOSE_TIMEOUT_S = 30.0
AnyTransport = LeanTransport | UvicornTransport


class FakeSocket(asyncio.Transport):
    """`sent` are the writes that left; `breaks` lets the next one fail, as it does when the peer has reset."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = None
        self.sent: list[bytes] = []
        self.waiting: list[bytes] = []
        self.takes = True
        self.breaks = False
        self.is_reading_now = True
        self.reads_again = asyncio.Event()
        self._is_eof = self._is_closing = self._is_lost = self._is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """As uvloop's: raise after `write_eof` and once closed, drop in silence once the connection is lost."""
        if self._is_closed:
            raise RuntimeError("unable to perform operation; the handler is closed")
        if self._is_eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data or self._is_lost:
            return
        if self.breaks:
            self.abort()
        elif self.takes:
            self.sent.append(bytes(data))
        else:
            was = self._unsent
            self.waiting.append(bytes(data))
            if was <= HIGH_WATER < self._unsent:
                self.protocol.pause_writing()

    @property
    def _unsent(self) -> int:
        return sum(map(len, self.waiting))

    def take(self) -> None:
        """The peer reads again."""
        self.takes = True
        was, self.sent, self.waiting = self._unsent, self.sent + self.waiting, []
        if was > HIGH_WATER and not self._is_lost:
            self.protocol.resume_writing()
        if self._is_closing and not self._is_lost:
            self.abort()

    def feed(self, data: bytes) -> bool:
        """The peer sends; False where the socket is not read."""
        if self.is_reading_now and not self._is_closing:
            self.protocol.data_received(data)
            return True
        return False

    def end(self) -> None:
        """The peer ends its side."""
        if self.is_reading_now and not self._is_closing:
            self.protocol.eof_received()
            self.close()

    def can_write_eof(self) -> bool:
        """As TCP."""
        return True

    def write_eof(self) -> None:
        """Shut the way out."""
        if self._is_closed:
            raise RuntimeError("unable to perform operation; the handler is closed")
        self._is_eof = True

    def pause_reading(self) -> None:
        """Read no more."""
        self.is_reading_now = False
        self.reads_again.clear()

    def resume_reading(self) -> None:
        """Read again."""
        self.is_reading_now = True
        self.reads_again.set()

    def close(self) -> None:
        """Close when all is written."""
        self._is_closing = True
        if not self.waiting:
            self.abort()

    def abort(self) -> None:
        """Close now: the protocol is told in the next turn."""
        self._is_closing = True
        if not self._is_lost:
            self._is_lost = True
            asyncio.get_running_loop().call_soon(self._lose)

    def _lose(self) -> None:
        self.protocol.connection_lost(None)
        self._is_closed = True

    def is_closing(self) -> bool:
        """Whether it will be, or is, closed."""
        return self._is_closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nothing is known."""
        del name
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Who is told."""
        self.protocol = protocol


class Ear:
    """A listener that keeps what it is told. `on` is called with each name, and may raise.

    It says `goodbye` where it may, and hears no messages after it.
    """

    def __init__(self, on: Callable[[str], None] = lambda _: None) -> None:
        self.texts: list[bytes] = []
        self.ended: list[CloseRow] = []
        self.pauses: list[float] = []
        self.control_frames = 0
        self.goodbye = b""
        self.closing: list[CloseRow] = []
        self.transport: AnyTransport | None = None
        self._on = on

    def on_text(self, payload: bytes) -> None:
        self.texts.append(payload)
        self._on("on_text")

    def on_binary(self, payload: bytes) -> None:
        del payload
        self._on("on_binary")

    def on_control_frame(self) -> float:
        self.control_frames += 1
        self._on("on_control_frame")
        return self.pauses.pop(0) if self.pauses else 0.0

    def on_blocked(self) -> None:
        self._on("on_blocked")

    def on_writable(self) -> None:
        self._on("on_writable")

    def on_ping(self, outcome: PingOutcome, rtt_s: float) -> None:
        del outcome, rtt_s
        self._on("on_ping")

    def on_closing(self, row: CloseRow) -> None:
        self.closing.append(row)
        self._on("on_closing")
        if self.goodbye and self.transport is not None:
            assert self.transport.is_open, "it can still be told"
            self.transport.write(self.goodbye)

    def on_closed(self, row: CloseRow, initiator: Initiator, received_code: int) -> None:
        del initiator, received_code
        self.ended.append(row)
        self._on("on_closed")


class Wired:
    """A transport of this kind whose handshake is over; `ear` hears once it has started."""

    def __init__(self, kind: str, ear: Ear, ping_interval_s: float = 60.0) -> None:
        self.kind = kind
        self.ear = ear
        self.faults = Faults()
        self.socket = FakeSocket()
        self.transport: AnyTransport
        self._ping_interval_s = ping_interval_s
        self._state = ServerState()
        self._accepted = asyncio.Event()
        self._started = asyncio.Event()

    async def open(self) -> None:
        """The handshake, by hand or by uvicorn."""
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            log_config=None,
            ws_max_size=1_000,
            ws_ping_interval=self._ping_interval_s,
        )
        config.load()
        if self.kind == "lean":
            settings = ConnectionSettings(
                ping_interval_s=self._ping_interval_s, ping_timeout_s=60.0, close_timeout_s=CLOSE_TIMEOUT_S
            )
            lean = LeanContext(config, TimingWheel(unexpected), self.faults, settings, 1_000)
            self.transport = LeanTransport(lean, self._state, self.socket)
            self._state.connections.add(self.transport)  # type: ignore[arg-type] # as `begin` does
            self.socket.protocol = self.transport
            self.transport.opened(b"HTTP/1.1 101 \r\n\r\n")
            await turns(1)
        else:
            self.transport = UvicornTransport(
                config, self._state, {}, close_timeout_s=CLOSE_TIMEOUT_S, observer=self.faults
            )
            self.socket.protocol = self.transport
            self.transport.connection_made(self.socket)
            self.socket.feed(upgrade("/"))
            await self._accepted.wait()
        self.socket.sent.clear()

    async def _app(self, _scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        assert _scope["extensions"][EXTENSION] is self.transport
        self._accepted.set()
        await self._started.wait()

    def start(self) -> None:
        """What the session does."""
        self._started.set()
        self.ear.transport = self.transport
        self.transport.attach(self.ear)
        self.transport.start()


async def turns(count: int) -> None:
    """So many turns of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)
