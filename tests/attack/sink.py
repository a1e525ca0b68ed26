"""A server that takes everything and does nothing with it: what the generator alone costs the others on this machine.

Answers a request with 200, an upgrade with 101, the bystander's pings with a pong; the rest is read and forgotten.
Prints its port.
"""

import asyncio
import re
from typing import Final, cast

import uvloop
from websockets.utils import accept_key

from tests.attack.bystander import MARK

_KEY: Final = re.compile(rb"sec-websocket-key: *([^\r\n]+)", re.IGNORECASE)
_END: Final = b"\r\n\r\n"
_OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
_PONG: Final = b'{"type":"pong"}'
_METHODS: Final = (b"GET", b"POST")
_MOST_HELD: Final = 65_536


class Sink(asyncio.Protocol):
    """See the module."""

    def __init__(self) -> None:
        self._head = b""
        self._is_socket = False
        self._answers = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take it."""
        if self._is_socket:
            if self._answers:
                self._transport.write(bytes((0x81, len(_PONG))) + _PONG)
            return
        if not (self._head or data.startswith(_METHODS)):
            return
        heads = data.count(_END) or (self._head[-3:] + data[:3]).count(_END)
        self._head = (self._head + data)[:_MOST_HELD] if len(self._head) < _MOST_HELD else data[-3:]
        if not heads:
            return
        key = _KEY.search(self._head)
        if key is not None:
            self._upgrade(key[1])
        elif self._transport.get_write_buffer_size() < _MOST_HELD:
            self._transport.write(_OK * heads)
        self._head = b""

    def _upgrade(self, key: bytes) -> None:
        self._is_socket, self._answers = True, MARK.encode() in self._head
        accept = accept_key(key.strip().decode("latin-1")).encode()
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: " + accept + b"\r\n\r\n"
        )


async def main() -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, backlog=4_096)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - how its starter gets to know
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
