"""What a scrape costs with 5 and with 5,000 connections. `make bench-scrape` prints the ratio.

Two servers run side by side and are scraped in turns. Nothing here passes or fails; the figures depend on the machine.
"""

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tools.harness.server import ServerProcess
from tools.harness.tokens import token

FEW, MANY = 5, int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
ROOM = 50
SCRAPES = 200


async def come(server: ServerProcess, game_id: str, number: int) -> ClientConnection:
    headers = {"Authorization": f"Bearer {token(f'p{number}')}"}
    return await connect(
        f"{server.ws_url}/ws/{game_id}",
        additional_headers=headers,
        proxy=None,
        compression=None,
        ping_interval=None,
        open_timeout=60,
    )


async def fill(server: ServerProcess, count: int) -> list[ClientConnection]:
    """So many connections, in games of fifty."""
    sockets: list[ClientConnection] = []
    for start in range(0, count, ROOM):
        game_id = await asyncio.to_thread(server.new_game, token("host"), min_players=100, max_players=100)
        numbers = range(start, min(start + ROOM, count))
        sockets += await asyncio.gather(*(come(server, game_id, number) for number in numbers))
    return sockets


def scrape(servers: dict[int, ServerProcess]) -> dict[int, list[float]]:
    """Seconds that scrapes took, in turns."""
    took: dict[int, list[float]] = {count: [] for count in servers}
    with httpx.Client() as client:
        for _ in range(SCRAPES):
            for count, server in servers.items():
                begin = time.perf_counter()
                client.get(f"{server.http_url}/metrics")
                took[count].append(time.perf_counter() - begin)
    return took


async def main() -> None:
    """Fill both, scrape in turns, print."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    free = {
        "max_games_per_player": 1_000_000,
        "api_requests_per_player_per_second": 0,
        "handshakes_per_second": 0,
        "ping_interval_s": 3600,
    }
    servers = {count: ServerProcess(Path(tempfile.mkdtemp()), **free) for count in (FEW, MANY)}
    for server in servers.values():
        await asyncio.to_thread(server.start)
    sockets = [one for count, server in servers.items() for one in await fill(server, count)]
    series = {count: len(server.metrics()) for count, server in servers.items()}
    took = await asyncio.to_thread(scrape, servers)
    few, many = (median(took[count]) * 1000 for count in (FEW, MANY))
    print(f"{FEW} connections: {few:.2f} ms and {series[FEW]} series; {MANY}: {many:.2f} ms and {series[MANY]} series")
    print(f"ratio of the medians of {SCRAPES} scrapes each, in turns: {many / few:.2f}")
    for one in sockets:
        one.transport.abort()
    for server in servers.values():
        await asyncio.to_thread(server.stop)


if __name__ == "__main__":
    asyncio.run(main())
