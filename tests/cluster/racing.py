"""Bots that race while things fail, and what is kept of it for the checker."""

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from app.client.bot import PROBLEM, SOLUTION, Bot
from app.eventlog import EventLog
from code_racer_client import Api, ClientError, GameWebSocket
from tests.cluster import checker
from tools.harness.player import WRONG
from tools.harness.server import UNLIMITED
from tools.harness.tokens import token

GAMES: Final = 20
PLAYERS: Final = 3
SETTLE_S: Final = 180.0
"""Within this after the last fault every race has ended, or the run has failed."""
SETTINGS: Final[dict[str, Any]] = {
    "sweep_interval_s": 1,
    "reconnect_grace_s": 600,
    "waiting_game_ttl_s": 3600,
    "finished_linger_s": 600,
    "countdown_s": 0.2,
    "judge_processes": 1,
    "max_games_per_player": 1_000,
    "api_requests_per_player_per_second": 0,
    "max_replacements_per_minute": 20,
    "drain_spread_s": 1,
    "log_level": "info",
    **UNLIMITED,
}


class Racer(Bot):
    """A bot that hands in wrong code for `seconds`, then the right one, and keeps what it was told."""

    def __init__(self, name: str, ws: GameWebSocket, seconds: float) -> None:
        super().__init__(name, ws, SOLUTION, lambda _: None)
        self.events: list[tuple[int, str]] = []
        self.acks: list[tuple[str, int | None]] = []
        self._seconds = seconds
        ws.last_seq = 0
        ws.on("*", self._keep)

    def _keep(self, message: dict[str, Any]) -> None:
        if "seq" in message:
            self.events.append((message["seq"], message["type"]))
        elif message["type"] == "ack":
            self.acks.append((message["data"]["id"], message["data"].get("seq")))

    async def _submit(self) -> None:
        until = time.monotonic() + self._seconds * random.uniform(0.6, 1.0)  # noqa: S311 - thinks
        while time.monotonic() < until:
            await asyncio.sleep(random.uniform(1.0, 5.0))  # noqa: S311 - thinks
            await self._hand_in(WRONG)
        while not self._finished.done():
            await self._hand_in(SOLUTION)
            await asyncio.sleep(0.5)  # thinks

    async def _hand_in(self, code: str) -> None:
        with contextlib.suppress(ClientError):  # the last one is still being judged, or the race is over
            await self.ws.request("submit_code", {"code": code})

    @property
    def is_over(self) -> bool:
        """Whether it has seen the end of its race."""
        return self._finished.done()

    def history(self) -> dict[str, Any]:
        """What the checker reads."""
        return {
            "bot": self.name, "player": self.name, "game": self.ws.game_id, "events": self.events, "acks": self.acks,
        }  # fmt: skip


async def enter(
    url: str, seconds: float, games: int = GAMES, wanted: Callable[[str], bool] = lambda _: True
) -> list[Racer]:
    """The bots, three in each of so many games that are `wanted` by their ids."""
    racers = []
    api = Api(url, token("host"))
    for game in range(games):
        game_id = await patiently(lambda: new_game(api, wanted))
        for player in range(PLAYERS):
            name = f"bot-{game}-{player}"
            ws = GameWebSocket(game_id, token(name), api.ws_url, max_reconnect_attempts=1_000)
            racers.append(Racer(name, ws, seconds))
    return racers


async def new_game(api: Api, wanted: Callable[[str], bool]) -> str:
    """A game's id."""
    while True:
        game = await api.create_game(problem=PROBLEM, min_players=PLAYERS, max_players=PLAYERS)
        game_id = str(game["game_id"])
        if wanted(game_id):
            return game_id


async def patiently(ask: Callable[[], Awaitable[str]]) -> str:
    """What a person does whom a service that is just starting refuses."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return await ask()
        except ClientError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)  # the service said to come back in a moment


async def rage(dice: random.Random, faults: Sequence[Callable[[], Awaitable[None]]], seconds: float) -> None:
    """One fault after the other, in random order, until the time is over; every kind comes at least once."""
    until = time.monotonic() + seconds
    order: list[Callable[[], Awaitable[None]]] = []
    done = 0
    while time.monotonic() < until or done < len(faults):
        order = order or dice.sample(faults, len(faults))
        await order.pop()()
        done += 1
        await asyncio.sleep(dice.uniform(0, 3))


async def race(racers: list[Racer], meanwhile: Awaitable[None]) -> str:
    """Have all race while something happens; what became of them, in words."""
    races = [asyncio.create_task(racer.race(), name=racer.name) for racer in racers]
    await meanwhile
    _, late = await asyncio.wait(races, timeout=SETTLE_S)
    for task in late:
        task.cancel()
    return f"{len(late)} bots have not seen the end of their race"


def reconnects(racers: list[Racer]) -> int:
    """How often they had to come again."""
    return sum(racer.ws.metrics.reconnect_count for racer in racers)


async def read_game(log: EventLog, game_id: str) -> dict[str, Any]:
    """What the log holds of a game."""
    events = [event for commit in await log.read(game_id) for event in commit.events]
    return {"game": game_id, "events": json.loads(msgspec.json.encode(events))}


def keep(folder: Path, logs: list[dict[str, Any]], racers: list[Racer]) -> None:
    """Leave what the checker reads."""
    folder.mkdir(parents=True, exist_ok=True)
    histories = [racer.history() for racer in racers]
    for name, lines in ((checker.LOG, logs), (checker.BOTS, histories)):
        (folder / name).write_text("".join(f"{json.dumps(one)}\n" for one in lines))


@dataclass(kw_only=True)
class Noted:
    """What was done to it is noted, and printed."""

    done: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Say what is done."""
        self.done.append(text)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def run_seeds(
    run: Callable[[Path, int, float], None], arguments: list[str] | None, prog: str, description: str | None
) -> int:
    """Run one seed, or several, and check each; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--folder", type=Path, help="where the histories stay; else they are gone")
    options = parser.parse_args(arguments)
    failed = 0
    for seed in options.seed:
        sys.stdout.write(f"seed {seed}\n")
        with tempfile.TemporaryDirectory() as temporary:
            folder = (options.folder or Path(temporary)) / f"seed{seed}"
            run(folder, seed, options.seconds)
            failed += checker.main([str(folder)])
    return int(failed > 0)
