"""Chaos: bots race while replicas, servers of the log and the network between them fail, as a seed has it.

``python -m tests.cluster.chaos --seed 1 --seconds 120`` runs it, dumps what the log holds and what every bot saw, has
the checker look at it, and exits with its verdict. It stops by itself and stays on loopback.
"""

import asyncio
import contextlib
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.eventlog.nats import NatsEventLog
from app.eventlog.port import LogUnavailable
from tests.cluster.racing import SETTINGS, Noted, enter, keep, race, rage, read_game, reconnects, run_seeds
from tools.harness.nats import Nats, Node, log_settings
from tools.harness.proxy import FaultProxy, TcpProxy
from tools.harness.server import ServerProcess, free_port

REPLICAS: Final = 3
NODES: Final = 3
CLUSTER: Final[dict[str, Any]] = {"nats_replicas": 3, "replica_ttl_s": 5}


@dataclass
class Stage(Noted):
    """All that can fail, and what of it has."""

    folder: Path
    nats: Nats
    links: list[list[TcpProxy]]
    replicas: list[ServerProcess]
    door: FaultProxy
    dice: random.Random

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
                **CLUSTER,
                **SETTINGS,
            )
            stack.callback(one.kill)
            links.append(ways)
            replicas.append(one.start())
        door = stack.enter_context(FaultProxy(*(int(one.settings["PORT"]) for one in replicas)))
        yield Stage(folder, nats, links, replicas, door, random.Random(seed))  # noqa: S311 - a seed is meant


async def run(place: Stage, seconds: float) -> None:
    """Race and rage; leave the histories in the folder."""
    racers = await enter(f"http://127.0.0.1:{place.door.port}", seconds)
    faults = [place.kill_replica, place.kill_leader, place.freeze_node, place.partition, place.cut_players, place.roll]
    place.note(await race(racers, rage(place.dice, faults, seconds)))
    logs = await read_log(place.nats.url, {racer.ws.game_id for racer in racers}, NODES)
    keep(place.folder, logs, racers)
    place.note(f"{len(place.done) - 1} faults, {reconnects(racers)} reconnects")


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
        return [await read_game(log, game) for game in sorted(games)]
    finally:
        await log.close()


def main(arguments: list[str] | None = None) -> int:
    """Run one seed, or several; 1 where a promise was broken."""

    def one(folder: Path, seed: int, seconds: float) -> None:
        with stage(folder, seed) as place:
            asyncio.run(run(place, seconds))

    return run_seeds(one, arguments, prog="python -m tests.cluster.chaos", description=__doc__)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    sys.exit(main())
