"""Many players who read all they are sent as fast as it comes, and understand next to nothing of it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from tools.harness.server import ServerProcess
from tools.harness.tokens import token
from tools.harness.wire import TEXT, frame, upgrade

_HEARD_WITHIN_S = 240  # on a busy machine; pytest's own limit is 300 s


class Voice(asyncio.Protocol):
    """One of them. `heard` is set once what was waited for has come."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._tail = b""
        self.wanted: tuple[bytes, ...] = ()
        self._transport: asyncio.Transport | None = None
        self.heard = asyncio.Event()
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._tail += data
        if any(one in self._tail for one in self.wanted):
            self.heard.set()
        self._tail = self._tail[-200:]

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True
        self.heard.set()

    def say(self, *messages: str | dict[str, Any]) -> None:
        """Send messages, or what is none."""
        texts = (one if isinstance(one, str) else json.dumps(one) for one in messages)
        assert self._transport is not None
        self._transport.write(b"".join(frame(TEXT, text.encode()) for text in texts))

    async def until(self, text: str, do: Callable[[], None] = lambda: None) -> None:
        """Wait until `text` comes, after doing something."""
        self.wanted = (text.encode(),)
        self.heard.clear()
        if self.wanted[0] in self._tail:
            return
        do()
        await self.told()

    async def told(self) -> None:
        """Wait for what is `wanted`."""
        async with asyncio.timeout(_HEARD_WITHIN_S):
            await self.heard.wait()
        if self.lost:
            raise ConnectionError("refused, or ended")

    async def answered(self, number: int) -> None:
        """Wait until all that was said before is answered."""
        ping = {"type": "ping", "data": {"timestamp": number}}
        await self.until(f'"timestamp":{number},', lambda: self.say(ping))

    def close(self) -> None:
        """Go."""
        if self._transport is not None:
            self._transport.abort()


async def come(server: ServerProcess, game_id: str, player: str, query: str = "") -> Voice:
    """A player has come into a game."""
    request = upgrade(f"/ws/{game_id}{query}", f"Authorization: Bearer {token(player, name=player)}")
    voice = Voice(request)
    joined = (f'"type":"{type}","data":{{"player_id":"{player}"' for type in ("player_joined", "player_reconnected"))
    voice.wanted = tuple(map(str.encode, joined))
    await asyncio.get_running_loop().create_connection(lambda: voice, "127.0.0.1", int(server.settings["PORT"]))
    await voice.told()
    return voice


@contextlib.asynccontextmanager
async def crowd(server: ServerProcess, game_id: str, size: int) -> AsyncIterator[list[Voice]]:
    """So many in a game."""
    voices: list[Voice] = []
    try:
        for number in range(size):
            voices += [await come(server, game_id, f"p{number}")]
        yield voices
    finally:
        for voice in voices:
            voice.close()
