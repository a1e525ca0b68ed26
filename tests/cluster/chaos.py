"""Chaos: bots race while replicas, servers of the log and the network between them fail, as a seed has it.

``python -m tests.cluster.chaos --seed 1 --seconds 120`` runs it, dumps what the log holds and what every bot saw, has
the checker look at it, and exits with its verdict. It stops by itself and stays on loopback.
"""

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.client import ClientError, GameWebSocket
from app.client.bot import PROBLEM, SOLUTION, Api, Bot
from app.eventlog.nats import NatsEventLog
from app.eventlog.port import LogUnavailable
from tests.cluster import checker
from tools.harness.nats import Nats, Node, log_settings
from tools.harness.player import WRONG
from tools.harness.proxy import FaultProxy, TcpProxy
from tools.harness.server import UNLIMITED, ServerProcess, free_port
from tools.harness.tokens import token

REPLICAS: Final = 3
NODES: Final = 3
GAMES: Final = 20
PLAYERS: Final = 3
SETTLE_S: Final = 180.0
"""Within this after the last fault every race has ended, or the run has failed."""
SETTINGS: Final[dict[str, Any]] = {
    "nats_replicas": 3,
    "replica_ttl_s": 5,
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

    def history(self) -> dict[str, Any]:
        """What the checker reads."""
        return {
            "bot": self.name, "player": self.name, "game": self.ws.game_id, "events": self.events, "acks": self.acks,
        }  # fmt: skip


@dataclass
class Stage:
    """All that can fail, and what of it has."""

    folder: Path
    nats: Nats
    links: list[list[TcpProxy]]
    replicas: list[ServerProcess]
    door: FaultProxy
    dice: random.Random
    done: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Say what is done."""
        self.done.append(text)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    # ---------------------------------------------------------------- faults; each mends what it broke

    async def kill_replica(self) -> None:
        """Kill -9, and start it again."""
        one = self.dice.choice(self.replicas)
        self.note(f"kill {one.settings['REPLICA']}")
        await asyncio.to_thread(one.kill)
        await asyncio.sleep(self.dice.uniform(0, 8))
        await asyncio.to_thread(one.start)

    async def kill_leader(self) -> None:
        """Kill -9 the server that leads the stream of the games' logs."""
        node = await self._leader()
        self.note(f"kill leader n{node.number}")
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(self.dice.uniform(0, 6))
        await asyncio.to_thread(node.start)

    async def freeze_node(self) -> None:
        """Stop a server of the log, and let it go on."""
        node = self.dice.choice(self.nats.nodes)
        self.note(f"freeze n{node.number}")
        node.freeze()
        await asyncio.sleep(self.dice.uniform(1, 10))
        node.signal(signal.SIGCONT)

    async def partition(self) -> None:
        """Cut a replica off from the log, without anybody being told."""
        number = self.dice.randrange(REPLICAS)
        self.note(f"partition {self.replicas[number].settings['REPLICA']}")
        for link in self.links[number]:
            link.partition()
        await asyncio.sleep(self.dice.uniform(1, 12))
        for link in self.links[number]:
            link.heal()

    async def cut_players(self) -> None:
        """Reset all players' connections."""
        self.note("cut players")
        self.door.cut()

    async def roll(self) -> None:
        """Restart everything, one after the other, as a deploy does."""
        self.note("rolling restart")
        for one in self.replicas:
            await asyncio.to_thread(one.stop)
            await asyncio.to_thread(one.start)
        for node in self.nats.nodes:
            await asyncio.to_thread(node.stop)
            await asyncio.to_thread(node.start)
            await asyncio.sleep(1)  # as an operator does: not the next before this one is back

    async def _leader(self) -> Node:
        import nats

        client = await nats.connect(self.nats.url.split(","))
        try:
            info = await client.jetstream().stream_info("CODE_RACER")
            leader = info.cluster.leader if info.cluster else None
        except (nats.errors.Error, TimeoutError):
            leader = None
        finally:
            await client.close()
        named = [node for node in self.nats.nodes if f"n{node.number}" == leader]
        return named[0] if named else self.dice.choice(self.nats.nodes)


@contextlib.contextmanager
def stage(folder: Path, seed: int) -> Iterator[Stage]:
    """Three servers of the log, three replicas, a proxy on each way between them, and one before the replicas."""
    with ExitStack() as stack:
        nats = stack.enter_context(Nats(folder / "nats", NODES))
        links, replicas = [], []
        for number in range(REPLICAS):
            ways = [stack.enter_context(TcpProxy(node.port)) for node in nats.nodes]
            url = ",".join(f"nats://127.0.0.1:{way.port}" for way in ways)
            one = ServerProcess(
                folder / f"r{number}",
                event_log_url=url,
                replica=f"r{number}",
                port=free_port(),
                **SETTINGS,
                **UNLIMITED,
            )
            stack.callback(one.kill)
            links.append(ways)
            replicas.append(one.start())
        door = stack.enter_context(FaultProxy(*(int(one.settings["PORT"]) for one in replicas)))
        yield Stage(folder, nats, links, replicas, door, random.Random(seed))  # noqa: S311 - a seed is meant


async def enter(place: Stage, seconds: float) -> list[Racer]:
    """The bots, in their games."""
    racers = []
    api = Api(f"http://127.0.0.1:{place.door.port}")
    for game in range(GAMES):
        game_id = await patiently(
            lambda: api.new_game(token("host"), problem=PROBLEM, min_players=PLAYERS, max_players=PLAYERS)
        )
        for player in range(PLAYERS):
            name = f"bot-{game}-{player}"
            ws = GameWebSocket(game_id, token(name), place.door.ws_url, max_reconnect_attempts=1_000)
            racers.append(Racer(name, ws, seconds))
    return racers


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


async def rage(place: Stage, seconds: float) -> None:
    """One fault after the other, in random order, until the time is over; every kind comes at least once."""
    faults = [place.kill_replica, place.kill_leader, place.freeze_node, place.partition, place.cut_players, place.roll]
    until = time.monotonic() + seconds
    order: list[Callable[[], Awaitable[None]]] = []
    while time.monotonic() < until or len(place.done) < len(faults):
        if not order:
            order = place.dice.sample(faults, len(faults))
        await order.pop()()
        await asyncio.sleep(place.dice.uniform(0, 3))


async def run(place: Stage, seconds: float) -> None:
    """Race and rage; leave the histories in the folder."""
    racers = await enter(place, seconds)
    races = [asyncio.create_task(racer.race(), name=racer.name) for racer in racers]
    await rage(place, seconds)
    _, late = await asyncio.wait(races, timeout=SETTLE_S)
    for task in late:
        task.cancel()
    place.note(f"{len(late)} bots have not seen the end of their race")
    logs = await read_log(place.nats.url, {racer.ws.game_id for racer in racers}, NODES)
    (place.folder / checker.LOG).write_text("".join(f"{json.dumps(one)}\n" for one in logs))
    histories = [racer.history() for racer in racers]
    (place.folder / checker.BOTS).write_text("".join(f"{json.dumps(one)}\n" for one in histories))
    reconnects = sum(racer.ws.metrics.reconnect_count for racer in racers)
    place.note(f"{len(place.done) - 1} faults, {reconnects} reconnects")


async def read_log(url: str, games: set[str], nodes: int) -> list[dict[str, Any]]:
    """What the log holds of the games, past all proxies and replicas."""
    log = NatsEventLog(log_settings(url, nats_replicas=nodes), "checker")
    deadline = time.monotonic() + 60
    while True:
        try:
            await log.open()
            break
        except LogUnavailable:
            if time.monotonic() > deadline:
                raise
    try:
        return [
            {
                "game": game,
                "events": [
                    json.loads(json.dumps(_plain(event))) for commit in await log.read(game) for event in commit.events
                ],
            }
            for game in sorted(games)
        ]
    finally:
        await log.close()


def _plain(event: object) -> object:
    import msgspec

    return msgspec.to_builtins(event)


def main(arguments: list[str] | None = None) -> int:
    """Run one seed, or several; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--folder", type=Path, help="where the histories stay; else they are gone")
    options = parser.parse_args(arguments)
    failed = 0
    for seed in options.seed:
        sys.stdout.write(f"seed {seed}\n")
        with tempfile.TemporaryDirectory() as temporary:
            folder = (options.folder or Path(temporary)) / f"seed{seed}"
            with stage(folder, seed) as place:
                asyncio.run(run(place, options.seconds))
            failed += checker.main([str(folder)])
    return int(failed > 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    sys.exit(main())
