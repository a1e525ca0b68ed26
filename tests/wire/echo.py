"""An echo server behind one of the transports, for the Autobahn suite: `python -m tests.wire.echo lean|uvicorn`.

Prints its port. A game is no echo, so this is the only way to show a transport to the suite as it is.
"""

import socket
import sys
from functools import partial
from typing import Any, cast

import uvicorn

from app.aio.timing_wheel import TimingWheel
from app.protocol import CloseRow
from app.rate_limits import LimitPolicy
from app.settings import load_settings
from app.telemetry.observer import Observer
from app.transport import EXTENSION, Deflate, LeanContext, Transport, UvicornTransport, framing, text_frame
from app.transport.http import BoundedHttp
from app.transport.http_connections import HttpConnections
from app.vocabulary import Initiator, PingOutcome

MAX_MESSAGE = 16 * 2**20
"""As large as the suite's largest message."""


class Echo:
    """Says what it is told."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def on_text(self, payload: bytes) -> None:
        frame, deflate = text_frame(payload), self._transport.deflate
        self._transport.write(frame.wire if deflate is None else deflate.wire(frame))

    def on_binary(self, payload: bytes) -> None:
        self._transport.write(framing.frame_bytes(framing.BINARY, payload))

    def on_control_frame(self) -> float:
        return 0.0

    def on_blocked(self) -> None:
        self._transport.pause_reading()

    def on_writable(self) -> None:
        self._transport.resume_reading()

    def on_ping(self, outcome: PingOutcome, rtt_s: float) -> None:
        pass

    def on_closing(self, row: CloseRow) -> None:
        pass

    def on_closed(self, row: CloseRow, initiator: Initiator, received_code: int) -> None:
        pass


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Accept every connection."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    transport: Transport = scope["extensions"][EXTENSION]
    transport.attach(Echo(transport))
    transport.start()


class Server(uvicorn.Server):
    """Says its port."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)  # noqa: T201 - how its starter gets to know


def server(kind: str) -> uvicorn.Server:
    """A server of this transport on any port of the loopback."""
    observer, deflate = Observer(), Deflate(0)
    settings = load_settings(ping_interval_s=60.0, ping_timeout_s=60.0, close_timeout_s=5.0)
    ws = partial(UvicornTransport, close_timeout_s=5.0, observer=observer, deflate=deflate)
    config = uvicorn.Config(
        app, port=0, ws=cast("Any", ws), ws_max_size=MAX_MESSAGE, lifespan="off", log_config=None, access_log=False
    )
    lean = LeanContext(config, TimingWheel(observer.fault), observer, settings, MAX_MESSAGE, deflate)
    table = HttpConnections(settings, LimitPolicy(frozenset(), observer), per_address=False)
    http = partial(
        BoundedHttp, settings=settings, table=table, observer=observer, lean=lean if kind == "lean" else None
    )
    config.http = cast("Any", http)
    return Server(config)


if __name__ == "__main__":
    server(sys.argv[1]).run()
