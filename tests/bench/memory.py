"""Start-up time, idle memory, and memory per idle joined connection of a real server; prints a table.

Run with ``make bench-memory``. Bounded: one server, CONNECTIONS connections in games of 50 on loopback.
"""

import asyncio
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tools.harness.server import ServerProcess

CONNECTIONS = int(os.environ.get("CONNECTIONS", "2000"))
STARTS = 5
AT_ONCE = 50


def resident_kib(pid: int) -> int:
    """Resident memory of a process, KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def start_up_s() -> float:
    """From spawning the process to taking connections, median."""
    times = []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            with ServerProcess(Path(folder)):
                times.append(time.monotonic() - began)
    return statistics.median(times)


async def join(server: ServerProcess, client: httpx.AsyncClient, game_id: str, name: str) -> ClientConnection:
    """One joined player."""
    guest = (await client.post("/api/guests", json={"name": name})).json()
    headers = {"Authorization": f"Bearer {guest['token']}"}
    ws = await connect(
        f"{server.ws_url}/ws/{game_id}", additional_headers=headers, compression=None, proxy=None, ping_interval=None
    )
    await ws.recv()
    return ws


async def fill(server: ServerProcess, count: int) -> list[ClientConnection]:
    """`count` players in games of 50."""
    open_connections: list[ClientConnection] = []
    async with httpx.AsyncClient(base_url=server.http_url, timeout=60) as client:
        host = (await client.post("/api/guests", json={"name": "host"})).json()
        headers = {"authorization": f"Bearer {host['token']}"}
        for first in range(0, count, AT_ONCE):
            body = {"max_players": AT_ONCE, "min_players": AT_ONCE}
            game = (await client.post("/api/games", json=body, headers=headers)).json()["game_id"]
            names = [f"p{first + number}" for number in range(min(AT_ONCE, count - first))]
            open_connections += await asyncio.gather(*(join(server, client, game, name) for name in names))
    return open_connections


async def measure() -> None:
    """Print the table."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, CONNECTIONS * 2 + 500)), hard))
    started = await asyncio.to_thread(start_up_s)
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder), max_message_bytes=65536)
        await asyncio.to_thread(server.start)
        idle = resident_kib(server.pid)
        connections = await fill(server, CONNECTIONS)
        full = resident_kib(server.pid)
        print("| what | measured |\n| --- | --- |")
        print(f"| start-up, median of {STARTS} | {started:.2f} s |")
        print(f"| idle memory | {idle / 1024:.1f} MiB |")
        per_connection = (full - idle) / CONNECTIONS
        print(f"| memory per joined idle connection, {CONNECTIONS} of them | {per_connection:.1f} KiB |")
        await asyncio.gather(*(connection.close() for connection in connections))
        await asyncio.to_thread(server.stop)


if __name__ == "__main__":
    asyncio.run(measure())
