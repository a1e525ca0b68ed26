"""Bots race over a bad network while the server is restarted again and again: every bot has every event once.

CI takes 40 bots and two restarts, `make soak` 200 and three.
"""

import asyncio
import contextlib
import os
import random
from pathlib import Path

import pytest

from app.client.bot import PROBLEM, SOLUTION, Bot
from code_racer_client import GameWebSocket, Rejected
from tools.harness.player import WRONG
from tools.harness.proxy import FaultProxy
from tools.harness.server import ServerProcess, until
from tools.harness.tokens import token

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(900)]

BOTS = int(os.environ.get("SOAK_BOTS", "40"))
RESTARTS = int(os.environ.get("SOAK_RESTARTS", "2"))
RACERS = 4
TRIES = 5
RACE_S = 2.0 + 2 * RESTARTS
"""How long a bot thinks, all in all; about as long as the restarts take."""


class Racer(Bot):
    """A bot that hands in wrong code first, and keeps the seq of every durable event it was handed."""

    def __init__(self, name: str, ws: GameWebSocket) -> None:
        super().__init__(name, ws, SOLUTION, lambda _: None)
        self.seqs: list[int] = []
        ws.on("*", lambda message: self.seqs.append(message["seq"]) if "seq" in message else None)

    async def _submit(self) -> None:
        for code in (*[WRONG] * TRIES, SOLUTION):
            await asyncio.sleep(random.uniform(0.2, 2 * RACE_S / TRIES))  # noqa: S311 - thinks
            with contextlib.suppress(Rejected):  # the last one is still being judged, or the race is over
                await self.ws.request("submit_code", {"code": code})


async def test_a_rolling_restart_loses_nothing(tmp_path: Path) -> None:
    grace = {"reconnect_grace_s": 600, "waiting_game_ttl_s": 3600, "finished_linger_s": 600}
    drain = {"drain_spread_s": 1, "restart_hint_s": 0.5}
    server = ServerProcess(
        tmp_path,
        countdown_s=0.2,
        judge_processes=2,
        max_games_per_player=1000,
        api_requests_per_player_per_second=0,
        **grace,
        **drain,
    )
    await asyncio.to_thread(server.start)
    with FaultProxy(int(server.settings["PORT"])) as proxy:
        racers = await enter(server, proxy)
        races = [asyncio.create_task(racer.race()) for racer in racers]
        await asyncio.to_thread(until, lambda: len(server.logged("game.started")) == BOTS // RACERS)
        for number in range(RESTARTS):
            await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311 - somewhere in the races
            proxy.cut()  # some come back while others are being told to go
            if number % 2:
                await asyncio.to_thread(server.kill)
            else:
                assert await asyncio.to_thread(server.stop) == 0
            await asyncio.to_thread(server.start)
        ends = await asyncio.gather(*races)
    for racer, end in zip(racers, ends, strict=True):
        assert end["type"] == "game_finished"
        assert racer.seqs == list(range(racer.seqs[0], end["seq"] + 1)), f"{racer.name} missed or repeated an event"
        assert racer.seqs[0] <= 2 + RACERS
    reconnects = sum(racer.ws.metrics.reconnect_count for racer in racers)
    print(f"{len(racers)} bots, {RESTARTS} restarts, {reconnects} reconnects")  # noqa: T201 - a measurement
    assert reconnects >= len(racers)
    assert await asyncio.to_thread(server.stop) == 0


async def enter(server: ServerProcess, proxy: FaultProxy) -> list[Racer]:
    """The bots, in games of four."""
    racers = []
    for number in range(0, BOTS, RACERS):
        game_id = await asyncio.to_thread(
            server.new_game, token("host"), problem=PROBLEM, min_players=RACERS, max_players=RACERS
        )
        for one in range(RACERS):
            name = f"bot-{number + one}"
            racers.append(Racer(name, GameWebSocket(game_id, token(name), proxy.ws_url, max_reconnect_attempts=50)))
    return racers
