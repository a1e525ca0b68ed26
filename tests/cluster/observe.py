"""What players notice of each failure: ``python -m tests.cluster.observe`` prints the table of docs/replicas.md.

Two players on each of three replicas get ready and not all the time, with ids, as the clients do it; one thing fails at
a time, and is mended. Nothing here passes or fails.
"""

import asyncio
import contextlib
import io
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.client.bot import PROBLEM
from code_racer_client import ClientError, GameWebSocket
from tests.cluster.chaos import Stage, stage
from tools.harness.tokens import token

BROKEN_S = 8.0
AFTER_S = 12.0


@dataclass
class Noticed:
    """What one player noticed."""

    ws: GameWebSocket
    longest_s: float = 0.0
    unavailable: int = 0
    reconnects_before: int = 0

    async def play(self) -> None:
        """Get ready and not, for ever."""
        for status in itertools.cycle(("ready", "not_ready")):
            began = time.monotonic()
            with contextlib.suppress(ClientError):
                await self.ws.request("ready", {"status": status})
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            await asyncio.sleep(0.05)  # thinks

    def count(self, message: dict[str, Any]) -> None:
        """An error has come."""
        self.unavailable += message["data"].get("code") == "unavailable"


@contextlib.asynccontextmanager
async def players(place: Stage) -> AsyncIterator[list[Noticed]]:
    """Two on each replica, all in one game."""
    game = await asyncio.to_thread(
        place.replicas[0].new_game, token("host"), problem=PROBLEM, min_players=100, max_players=100
    )
    found = []
    for number, server in enumerate((*place.replicas, *place.replicas)):
        noticed = Noticed(GameWebSocket(game, token(f"p{number}"), server.ws_url, max_reconnect_attempts=1_000))
        await noticed.ws.connect()
        noticed.ws.on("error", noticed.count)
        found.append(noticed)
    tasks = [asyncio.create_task(one.play()) for one in found]
    await asyncio.sleep(2)  # all is well
    for one in found:
        one.longest_s, one.unavailable, one.reconnects_before = 0.0, 0, one.ws.metrics.reconnect_count
    yield found
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for one in found:
        await one.ws.disconnect()


async def observe(place: Stage, name: str, fail: Callable[[], Awaitable[None]]) -> None:
    """One failure; a row of the table."""
    async with players(place) as found:
        with contextlib.redirect_stdout(io.StringIO()):  # what the stage says of it
            await fail()
        await asyncio.sleep(AFTER_S)
        longest = sorted(one.longest_s for one in found)
        reconnects = sum(one.ws.metrics.reconnect_count - one.reconnects_before for one in found)
        unavailable = sum(one.unavailable > 0 for one in found)
        print(  # noqa: T201 - a measurement
            f"| {name} | {longest[len(longest) // 2]:.1f} s, {longest[-1]:.1f} s | {unavailable} | {reconnects} |",
            flush=True,
        )


async def main(place: Stage) -> None:
    """All failures."""
    print("| fails | longest wait: median, most | told unavailable, of 6 | reconnects |\n|---|---|---|---|")  # noqa: T201 - as above

    async def nodes(*numbers: int) -> None:
        for number in numbers:
            await asyncio.to_thread(place.nats.nodes[number].kill)
        await asyncio.sleep(BROKEN_S)
        for number in numbers:
            await asyncio.to_thread(place.nats.nodes[number].start)

    async def cut_off() -> None:
        for link in place.links[0]:
            link.partition()
        await asyncio.sleep(BROKEN_S)
        for link in place.links[0]:
            link.heal()

    async def nothing() -> None:
        await asyncio.sleep(BROKEN_S)

    failures: dict[str, Callable[[], Awaitable[None]]] = {
        "nothing": nothing,
        "a replica is killed, and back after up to 8 s": place.kill_replica,
        "the leader of the log is killed": place.kill_leader,
        "a server of the log freezes for up to 10 s": place.freeze_node,
        "one replica is cut off from the log for 8 s": cut_off,
        "two of three servers of the log are down for 8 s": lambda: nodes(0, 1),
        "all servers of the log are down for 8 s": lambda: nodes(0, 1, 2),
        "rolling restart of everything": place.roll,
    }
    for name, fail in failures.items():
        await observe(place, name, fail)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder), 1) as one:
        asyncio.run(main(one))
