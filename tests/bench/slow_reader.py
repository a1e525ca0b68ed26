"""What one member that stops reading costs the other 48 of a game of 50. `make bench-slow-reader` prints ratios.

Rounds with and without the slow reader alternate in one run: a member says to be ready, a round ends when all have
been told. Nothing here passes or fails; the figures depend on the machine.
"""

import asyncio
import contextlib
import json
import socket
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tools.harness.server import UNLIMITED, ServerProcess
from tools.harness.tokens import token

MEMBERS = 49
ROUNDS = 200
BLOCKS = 4
CHATTER = json.dumps({"type": "ping", "data": {"timestamp": 1}, "id": "x" * 64})


async def member(server: ServerProcess, game_id: str, name: str, **options: object) -> ClientConnection:
    headers = {"Authorization": f"Bearer {token(name)}"}
    url = f"{server.ws_url}/ws/{game_id}"
    quiet = {"proxy": None, "compression": None, "max_queue": None, "ping_interval": None}
    return await connect(url, additional_headers=headers, **quiet, **options)  # type: ignore[arg-type] # of many types


async def until(ws: ClientConnection, part: str) -> None:
    while part not in str(await ws.recv()):
        pass


async def fill(ws: ClientConnection) -> None:
    """Ask without reading until the kernel takes no more and the outbox holds the rest."""
    ws.transport.pause_reading()
    with contextlib.suppress(ConnectionClosed):
        for _ in range(60_000):
            await ws.send(CHATTER)


async def rounds(members: list[ClientConnection]) -> list[float]:
    """Seconds that each round took."""
    took = []
    for number in range(ROUNDS):
        status = "ready" if number % 2 == 0 else "not_ready"
        begin = time.perf_counter()
        await members[0].send(json.dumps({"type": "ready", "data": {"status": status}}))
        await asyncio.gather(*(until(ws, f'"{status}"') for ws in members))
        took.append(time.perf_counter() - begin)
    return took


async def main() -> None:
    """Alternate, print."""
    limits = {**UNLIMITED, "outbox_max_bytes": 2**34, "outbox_max_age_s": 3600}
    server = ServerProcess(Path(tempfile.mkdtemp()), ping_interval_s=3600, **limits)
    await asyncio.to_thread(server.start)
    took: dict[bool, list[float]] = {False: [], True: []}
    for block in range(2 * BLOCKS):
        with_slow = block % 2 == 1
        game_id = await asyncio.to_thread(server.new_game, token("host"), min_players=100, max_players=100)
        slow = None
        if with_slow:
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", int(server.settings["PORT"])))
            slow = await member(server, game_id, "slow", sock=one)
            await fill(slow)
        members = [await member(server, game_id, f"m{number}") for number in range(MEMBERS)]
        for ws in members:
            await until(ws, f'"player_id":"m{MEMBERS - 1}"')
        took[with_slow] += await rounds(members)
        for ws in members:
            await ws.close()
        if slow is not None:
            slow.transport.abort()
    await asyncio.to_thread(server.stop)
    for name, figure in (("p50", median), ("p99", lambda values: quantiles(values, n=100)[98])):
        without, with_one = figure(took[False]) * 1000, figure(took[True]) * 1000
        ratio = with_one / without
        print(f"{name} of a round: {without:.2f} ms without, {with_one:.2f} ms with a slow reader, {ratio:.2f} x")


if __name__ == "__main__":
    asyncio.run(main())
