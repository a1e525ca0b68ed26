"""How 5,000 idle connections leave: told when, and to come back when. `make bench-drain` prints a histogram.

Nothing here passes or fails; the figures depend on the machine.
"""

import asyncio
import contextlib
import datetime as dt
import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tools.harness.server import ServerProcess
from tools.harness.tokens import token

CONNECTIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
SPREAD_S = 10.0
SLICES = 10
ROOM = 50
AT_ONCE = 100


async def stay(ws: ClientConnection) -> tuple[float, int]:
    """Until the server closes: when it said so (epoch s), and when to come back (ms)."""
    told = (0.0, 0)
    with contextlib.suppress(ConnectionClosed):
        while True:
            text = str(await ws.recv())
            if text.startswith('{"type":"disconnect"'):
                told = (time.time(), int(json.loads(text)["data"]["retry_after_ms"]))
    return told


async def main() -> None:
    """Connect, drain, print."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder = Path(tempfile.mkdtemp(prefix="code-racer-"))
    free = {"max_games_per_player": 1_000_000, "api_requests_per_player_per_second": 0, "handshakes_per_second": 0}
    server = ServerProcess(folder, drain_spread_s=SPREAD_S, restart_hint_s=2, ping_interval_s=3600, **free)
    await asyncio.to_thread(server.start)
    gate = asyncio.Semaphore(AT_ONCE)

    async def come(number: int, game_id: str) -> ClientConnection:
        async with gate:
            headers = {"Authorization": f"Bearer {token(f'p{number}')}"}
            url = f"{server.ws_url}/ws/{game_id}"
            options = {"proxy": None, "compression": None, "ping_interval": None}
            return await connect(url, additional_headers=headers, open_timeout=60, **options)  # type: ignore[arg-type] # of many types

    begin = time.monotonic()
    sockets: list[ClientConnection] = []
    for start in range(0, CONNECTIONS, ROOM):
        game_id = await asyncio.to_thread(server.new_game, token("host"), min_players=100, max_players=100)
        sockets += await asyncio.gather(*(come(number, game_id) for number in range(start, start + ROOM)))
    print(f"{len(sockets)} connected in {time.monotonic() - begin:.1f} s")
    stays = [asyncio.create_task(stay(ws)) for ws in sockets]
    await asyncio.sleep(3)  # what is on its way arrives
    began = time.monotonic()
    os.kill(server.pid, signal.SIGTERM)
    told = await asyncio.gather(*stays)
    code = await asyncio.to_thread(server.wait)
    print(f"exit code {code}, {time.monotonic() - began:.1f} s after SIGTERM")
    show(server, [moment for moment, _ in told], [wait for _, wait in told])


def show(server: ServerProcess, moments: list[float], waits: list[int]) -> None:
    """Histograms of both."""
    closing = server.wait_for_log("app.drain_progressed", phase="closing")
    begin = dt.datetime.fromisoformat(closing["timestamp"]).timestamp()
    offsets = [moment - begin for moment in moments if moment]
    expected = len(offsets) / SLICES
    counts = [sum(int(offset / SPREAD_S * SLICES) == part for offset in offsets) for part in range(SLICES)]
    print(f"told to leave: {len(offsets)} of {len(moments)}, by tenth of the {SPREAD_S:g} s: {counts}")
    print(f"largest departure from even: {max(abs(count - expected) for count in counts) / expected:.1%}")
    milliseconds = [round(offset * 1000) for offset in offsets]
    print(f"most in one millisecond: {max(milliseconds.count(one) for one in set(milliseconds))}")
    back = [offset + wait / 1000 for offset, wait in zip(offsets, waits, strict=False)]
    low, high = min(back), max(back)
    parts = [
        sum(low + (high - low) * part / SLICES <= one < low + (high - low) * (part + 1) / SLICES for one in back)
        for part in range(SLICES)
    ]
    print(f"told to be back {low:.1f} to {high:.1f} s after the first, by tenth: {parts}")


if __name__ == "__main__":
    asyncio.run(main())
