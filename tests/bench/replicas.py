"""What several replicas cost, on three NATS servers that sync every write. `make bench-replicas` prints the figures.

Latency: a durable event from its sender to a member on another replica, beside bare nats-py on the same servers, in
turns: a publish that JetStream stores on all three and tells live, which is the least that a durable event can cost,
and one that nobody stores. Capacity: the processor time that one replica takes for a load, alone, and as one of three
of which each has the same. Games: what 5,000 loaded games cost a replica. Nothing here passes or fails; the figures
depend on the machine.
"""

import asyncio
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles

import nats as nats_client
from nats.aio.client import Client
from nats.aio.msg import Msg
from websockets.asyncio.client import ClientConnection, connect

from tests.bench.contestants import Service
from tests.bench.generator import Generator, compiled
from tests.bench.on_nats import OnNats
from tools.harness.nats import Nats
from tools.harness.server import ServerProcess
from tools.harness.tokens import token

BLOCKS, ROUNDS = 10, 200
OURS = "an event, from its sender to a member on another replica"
STORED = "a publish that is stored, and its subscriber"
BARE = "a publish that is not stored, and its subscriber"
CONNECTIONS, ROOM, MESSAGES = 1_000, 10, 3_000
GAMES = 5_000
IDLE_S = 30.0
CORES = os.sched_getaffinity(0)


def replica(url: str, name: str) -> Service:
    """A replica on that log, as it is run."""
    settings: dict[str, object] = {"event_log_url": url, "nats_replicas": 3, "replica": name}
    one: Service = OnNats(name, settings=settings)
    one.start()
    os.sched_setaffinity(0, CORES)
    return one


# ---------------------------------------------------------------- latency


async def member(server: ServerProcess, game: str, name: str) -> ClientConnection:
    """A connection that hears all."""
    headers = {"Authorization": f"Bearer {token(name)}"}
    url = f"{server.ws_url}/ws/{game}"
    return await connect(url, additional_headers=headers, proxy=None, compression=None, max_queue=None)


async def until_sent(ws: ClientConnection, part: str) -> str:
    """The next message with `part` in it."""
    while part not in (text := str(await ws.recv())):
        pass
    return text


async def told(sender: ClientConnection, hearer: ClientConnection, count: int) -> tuple[list[float], int]:
    """Milliseconds from a message to its event at a member elsewhere; the event's size."""
    took, size = [], 0
    for number in range(count):
        status = ("ready", "not_ready")[number % 2]
        began = time.perf_counter()
        await sender.send(json.dumps({"type": "ready", "data": {"status": status}}))
        size = len(await until_sent(hearer, f'"status":"{status}"'))
        took.append((time.perf_counter() - began) * 1e3)
        await until_sent(sender, f'"status":"{status}"')
    return took, size


async def bare(publisher: Client, hearer: Client, size: int, *, stored: bool) -> list[float]:
    """The same for a publish and a subscription of nats-py alone."""
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    subject = "game.bench.log" if stored else "bench"
    subscription = await hearer.subscribe("live.game.bench.log" if stored else subject, cb=heard.put)
    await hearer.flush()
    await asyncio.sleep(0.2)  # the other server has to know of it
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        if stored:
            await publisher.request(subject, bytes(size))
        else:
            await publisher.publish(subject, bytes(size))
        await heard.get()
        took.append((time.perf_counter() - began) * 1e3)
    await subscription.unsubscribe()
    return took


async def latency(nats: Nats, one: ServerProcess, two: ServerProcess) -> dict[str, list[float]]:
    """Milliseconds, by what."""
    game = one.new_game(token("host"), min_players=3)
    sender, hearer = await member(one, game, "ann"), await member(two, game, "bob")
    await until_sent(sender, '"bob"')
    clients = [await nats_client.connect(nats.nodes[number].url) for number in (0, 1)]
    _, size = await told(sender, hearer, ROUNDS)
    found: dict[str, list[float]] = {OURS: [], STORED: [], BARE: []}
    for _ in range(BLOCKS):
        found[OURS] += (await told(sender, hearer, ROUNDS))[0]
        found[STORED] += await bare(clients[0], clients[1], size, stored=True)
        found[BARE] += await bare(clients[0], clients[1], size, stored=False)
    for client in clients:
        await client.close()
    await sender.close()
    await hearer.close()
    return found


def show_latency(found: dict[str, list[float]]) -> None:
    """Medians and tails, and how they compare."""
    tails = {name: (median(values), quantiles(values, n=100)[-1]) for name, values in found.items()}
    print("| ms | p50 | p99 |\n|---|---|---|")
    for name, (middle, tail) in tails.items():
        print(f"| {name} | {middle:.2f} | {tail:.2f} |")
    for name in (STORED, BARE):
        ratios = [ours / theirs for ours, theirs in zip(tails[OURS], tails[name], strict=True)]
        print(f"| an event, as a multiple of: {name} | {ratios[0]:.1f} | {ratios[1]:.1f} |")
    print(flush=True)


# ---------------------------------------------------------------- capacity


def loaded(stack: ExitStack, program: Path, one: Service) -> Generator:
    """Its connections, in games of its own, where a load balancer that hashes by game brings them."""
    generator = stack.enter_context(Generator(program, one.port, one.requests(CONNECTIONS, ROOM)))
    generator.do("open", 50)
    generator.do("settle", 500)
    return generator


def work(one: Service, generator: Generator) -> float:
    """Seconds of the replica's processor for so many durable events, each told to the ten of a game."""
    before = one.processor_s
    variants = [one.message("ready", {"status": status}) for status in ("ready", "not_ready")]
    generator.do("fan", MESSAGES, ROOM, ROOM, one.prefix("player_ready"), *variants)
    return one.processor_s - before


def capacity(program: Path, replicas: list[Service]) -> None:
    """One alone; then three that all have the load, in turns and at once (here they share a core, and its caches)."""
    with ExitStack() as stack:
        first = loaded(stack, program, replicas[0])
        work(replicas[0], first)
        alone = [work(replicas[0], first) for _ in range(4)]
        generators = [first, *(loaded(stack, program, one) for one in replicas[1:])]
        in_turns = [work(one, generator) for _ in range(4) for one, generator in zip(replicas, generators, strict=True)]
        with ThreadPoolExecutor(len(replicas)) as pool:
            at_once = [used for _ in range(4) for used in pool.map(work, replicas, generators)]
    print("| processor seconds of a replica for the load of 1,000 connections | | carried by three |\n|---|---|---|")
    print(f"| one replica | {median(alone):.2f} | |")
    for name, used in {"one of three, in turns": in_turns, "one of three, at once": at_once}.items():
        print(f"| {name} | {median(used):.2f} | {3 * median(alone) / median(used):.1f} times as much |")
    print(flush=True)


# ---------------------------------------------------------------- games


def games(program: Path, url: str, name: str) -> None:
    """Memory and idle processor time of a replica with so many games of one player each."""
    one = replica(url, name)
    try:
        requests = one.requests(GAMES, 1)
        resident = one.resident
        with Generator(program, one.port, requests) as generator:
            generator.do("open", 50)
            generator.do("settle", 1_000)
            before = one.processor_s
            generator.do("hold", IDLE_S)
            used = (one.processor_s - before) / IDLE_S
            print(f"| {name} | {(one.resident - resident) / GAMES / 1024:.1f} | {used * 100:.1f} |", flush=True)
    finally:
        one.stop()


def main() -> None:
    """Print all figures; stops by itself."""
    program = compiled()
    with tempfile.TemporaryDirectory() as folder, Nats(Path(folder), 3) as nats, ExitStack() as stack:
        replicas = []
        for name in ("one", "two", "three"):
            one = replica(nats.url, name)
            stack.callback(one.stop)
            replicas.append(one)
        show_latency(asyncio.run(latency(nats, replicas[0].server, replicas[1].server)))
        capacity(program, replicas)
    with tempfile.TemporaryDirectory() as folder, Nats(Path(folder), 3) as nats:
        print("| 5,000 games of one player | KiB a game | % of a core, idle |\n|---|---|---|")
        games(program, nats.url, "NATS")
        games(program, "memory:", "embedded")


if __name__ == "__main__":
    main()
