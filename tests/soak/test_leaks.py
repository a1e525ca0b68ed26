"""Connections of ten kinds come and go by the thousand; nothing of them stays.

CI takes 2,000 of them, `make soak` 10,000.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tools.harness.server import ServerProcess, until
from tools.harness.tokens import token
from tools.harness.wire import close_frame, frame, upgrade

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(600)]

CYCLES = int(os.environ.get("SOAK_CYCLES", "2000"))
AT_ONCE = 20
GAMES_OF = 100
"""Cycles in one game: its log grows with every one of them."""


GOOD = f"Authorization: Bearer {token('p')}"
EXPIRED = f"Authorization: Bearer {token('p', -600)}"
OFFER = "Sec-WebSocket-Protocol: code-racer.v1"
Cycle = Callable[["Link"], Awaitable[None]]


class Link:
    """One TCP connection to the server."""

    def __init__(self, game_id: str, number: int) -> None:
        self.game_id = game_id
        self.mine = f"Authorization: Bearer {token(f'p{number % AT_ONCE}')}"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def dial(self, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)

    @property
    def streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert self._reader is not None
        assert self._writer is not None
        return self._reader, self._writer

    def send(self, data: bytes) -> None:
        self.streams[1].write(data)

    async def open(self, *headers: str, path: str | None = None, status: bytes = b"101") -> None:
        """Ask for the upgrade and read the answer."""
        self.send(upgrade(path or f"/ws/{self.game_id}", *headers))
        head = await self.streams[0].readuntil(b"\r\n\r\n")
        assert head.split(b" ")[1] == status, head

    async def read(self, part: bytes) -> None:
        """Read until this has come."""
        seen = b""
        while part not in seen:
            chunk = await self.streams[0].read(65536)
            assert chunk, seen[-500:]
            seen += chunk

    async def end(self) -> None:
        """Read until the server has closed."""
        try:
            while await self.streams[0].read(65536):
                pass
        except ConnectionResetError:
            pass

    def reset(self) -> None:
        one = self.streams[1].get_extra_info("socket")
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.streams[1].transport.abort()

    def close(self) -> None:
        self.streams[1].close()


async def polite(link: Link) -> None:
    await link.open(link.mine)
    await link.read(b'"welcome"')
    link.send(close_frame(1000))
    await link.end()


async def reset(link: Link) -> None:
    await link.open(link.mine)
    await link.read(b'"welcome"')
    link.reset()


async def half_closed(link: Link) -> None:
    await link.open(link.mine)
    link.streams[1].write_eof()
    await link.end()


async def gone_before_the_answer(link: Link) -> None:
    link.send(upgrade(f"/ws/{link.game_id}", link.mine))
    link.reset()


async def half_a_request(link: Link) -> None:
    link.send(upgrade(f"/ws/{link.game_id}", link.mine)[:-10])
    await link.streams[1].drain()
    link.reset()


async def refused(link: Link) -> None:
    await link.open(EXPIRED, status=b"401")
    await link.end()


async def no_such_game(link: Link) -> None:
    await link.open(GOOD, path="/ws/7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2aff", status=b"404")
    await link.end()


async def wrong_first_message(link: Link) -> None:
    await link.open(OFFER)
    link.send(frame(1, b'{"type":"auth","data":{"token":"x"}}'))
    await link.end()


async def broken_wire(link: Link) -> None:
    await link.open(link.mine)
    link.send(frame(3, b"x") + b"\x00" * 100)
    await link.end()


async def leaving(link: Link) -> None:
    await link.open(link.mine)
    await link.read(b'"welcome"')
    link.send(frame(1, b'{"type":"leave"}'))
    await link.end()


KINDS: tuple[Cycle, ...] = (
    polite, reset, half_closed, gone_before_the_answer, half_a_request,
    refused, no_such_game, wrong_first_message, broken_wire, leaving,
)  # fmt: skip


async def cycles(server: ServerProcess, count: int, first: int) -> None:
    """So many connections, a few at once; each kind as often as any other."""
    port = int(server.settings["PORT"])
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(kind: Cycle, game_id: str, number: int) -> None:
        async with gate:
            link = Link(game_id, number)
            await link.dial(port)
            try:
                await kind(link)
            finally:
                link.close()

    for start in range(first, first + count, GAMES_OF):
        game_id = await asyncio.to_thread(server.new_game, token("host"), min_players=50, max_players=100)
        numbers = range(start, start + GAMES_OF)
        await asyncio.gather(*(one(KINDS[number % len(KINDS)], game_id, number) for number in numbers))


async def test_nothing_stays_of_thousands_of_connections(tmp_path: Path) -> None:
    assert len(KINDS) == 10
    limits = {
        "max_connections_per_player": AT_ONCE + 5,
        "max_games_per_player": 1_000_000,
        "api_requests_per_player_per_second": 0,
    }
    rates = {"handshakes_per_second": 0, "max_replacements_per_minute": 20, "limits_dry_run": "replacements"}
    rates |= {"entries_per_minute": 0, "commands_per_second": 0}
    server = ServerProcess(tmp_path, reconnect_grace_s=0, close_timeout_s=0.5, **limits, **rates)
    await asyncio.to_thread(server.start)
    try:
        await cycles(server, GAMES_OF, 0)  # whatever is made once has been made
        await asyncio.to_thread(rest, server)
        before, files = server.metrics(), server.open_files()
        await cycles(server, CYCLES, GAMES_OF)
        await asyncio.to_thread(rest, server)
        after = server.metrics()
        for name in ("ws_connections", "rooms", "background_tasks"):
            assert after[f"code_racer_{name}"] == before[f"code_racer_{name}"]
        until(lambda: server.open_files() <= files)  # the connection that asked for the metrics may end a moment later
        assert set(after) == set(before), "and no series has been added"
        closes = sum(value for key, value in after.items() if key.startswith("code_racer_ws_closes_total"))
        assert closes == after['code_racer_ws_handshakes_total{outcome="accepted"}']
        handshakes = sum(value for key, value in after.items() if key.startswith("code_racer_ws_handshakes_total"))
        begun = sum(value for key, value in before.items() if key.startswith("code_racer_ws_handshakes_total"))
        assert 8 <= (handshakes - begun) / CYCLES * 10 <= 9, "all but who never asked, or was gone with the question"
        assert after["code_racer_faults_total"] == 0, [fault["exception"] for fault in server.logged("app.fault")[-1:]]
        grown = after["code_racer_memory_bytes"] - before["code_racer_memory_bytes"]
        print(f"memory grew by {grown / 1e6:.1f} MB over {CYCLES} connections")  # noqa: T201 - a measurement
        assert not server.stderr.count("Traceback")
    finally:
        assert await asyncio.to_thread(server.stop) == 0


def rest(server: ServerProcess) -> None:
    """Wait until all connections have ended."""
    until(lambda: server.metric("ws_connections") == 0)
    until(lambda: server.metric("rooms") == 0)
