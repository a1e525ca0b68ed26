"""Python's floor: the exchange of `floor.c` on a bare uvloop protocol; nothing is parsed, checked or encoded."""

import asyncio
import sys
from collections import defaultdict
from typing import cast

import uvloop

ROOMS: dict[bytes, dict["Member", None]] = defaultdict(dict)
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
LETTER, MASKED_BY = 6 + 10, 2 + 10 % 4
"""Where the letter is that tells `ping` from `progress` and `ready`, and its part of the mask."""


def frame(begin: bytes, size: int) -> bytes:
    head = bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")
    return head + begin.ljust(size)


PONG = frame(b'{"type":"pong"', 65)
PROGRESS = frame(b'{"type":"player_progress"', 200)
READY = frame(b'{"type":"player_ready"', 220)


class Member(asyncio.Protocol):
    """One connection of a room."""

    members: dict["Member", None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.write = cast("asyncio.Transport", transport).write

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio calls it
        if self.members is not None:
            self.members.pop(self, None)

    def data_received(self, data: bytes) -> None:
        if self.members is None:
            self.members = ROOMS[data.split(b" ", 2)[1]]
            self.members[self] = None
            self.write(ANSWER)
            return
        kind = data[LETTER] ^ data[MASKED_BY]
        if kind == ord("i"):
            self.write(PONG)
            return
        payload = PROGRESS if kind == ord("r") else READY
        for member in self.members:
            if member is not self or payload is READY:
                member.write(payload)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Member, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
