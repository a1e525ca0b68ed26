"""What is measured. All servers of a scenario run side by side and are loaded in turns, a round each.

The figure is the server's processor time per unit, in microseconds, unless a scenario says otherwise: what a saturated
core's throughput is the inverse of, and little disturbed by what else the machine does.
"""

import argparse
import asyncio
import os
import resource
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from app.client.bot import PROBLEM, SOLUTION, Bot
from code_racer_client import Api, GameWebSocket
from tests.bench.contestants import Contestant, Service, loop_s, waited_s
from tests.bench.generator import Generator
from tests.bench.turns import Turns, Watched

AT_ONCE = 50
CONNECTIONS = 50
Values = dict[str, list[float]]
"""Of each contestant, a value a round."""


@dataclass(frozen=True)
class Plan:
    """How much is measured. `scale` is 1 for the published figures."""

    program: Path
    rounds: int
    scale: float
    load: list[float] = field(default_factory=list)

    @property
    def busiest(self) -> float:
        """The largest part of its core that the load generator used in any command."""
        return max(self.load, default=0.0)

    def of(self, count: int) -> int:
        """So many, scaled."""
        return max(1, round(count * self.scale))


def asked(
    prog: str, description: str | None, names: Iterable[str], rounds: int, arguments: list[str] | None
) -> argparse.Namespace:
    """What the command line of a benchmark asks for; this process may open as many files as it is allowed to."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("scenarios", nargs="*", choices=[[], *names], help="all by default")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the messages and connections")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    return parser.parse_args(arguments)


@dataclass
class Loaded:
    """A server, the connections to it, and what was measured of it."""

    plan: Plan
    server: Contestant
    generator: Generator

    def cost(self, *command: object) -> float:
        """Microseconds of the server's processor per unit of a command of the load generator."""
        before = self.server.processor_s
        told = self.do(*command)
        self.plan.load.append(float(told["busy"]))
        return (self.server.processor_s - before) / int(told["messages"]) * 1e6

    def do(self, *command: object) -> dict[str, Any]:
        """Give a command to the load generator, and wait for its figures."""
        return self.generator.do(*command)


@contextmanager
def loaded(plan: Plan, servers: list[Contestant], count: int, room: int) -> Iterator[list[Loaded]]:
    """Start the servers; the load generators know `count` players in rooms of `room`, and have not connected yet."""
    with ExitStack() as stack:
        pairs = []
        for server in servers:
            server.start()
            stack.callback(server.stop)
            generator = Generator(plan.program, server.port, server.requests(count, room), server.hello)
            pairs.append(Loaded(plan, server, stack.enter_context(generator)))
        yield pairs


def connect(pairs: list[Loaded]) -> None:
    """Open all connections and wait until nothing more is said."""
    for one in pairs:
        one.generator.do("open", AT_ONCE)
        one.generator.do("settle", 300)


def in_turns(plan: Plan, pairs: list[Loaded], command: Callable[[Loaded], tuple[object, ...]]) -> Values:
    """A round that warms up, then those that count; who begins changes from round to round."""
    values: Values = {one.server.name: [] for one in pairs}
    for number in range(plan.rounds + 1):
        for one in pairs if number % 2 else reversed(pairs):
            cost = one.cost(*command(one))
            if number:
                values[one.server.name].append(cost)
    return values


def echo(plan: Plan, servers: list[Contestant]) -> Values:
    """A JSON ``ping`` answered with a JSON ``pong``, one at a time on each of 50 connections."""
    with loaded(plan, servers, CONNECTIONS, CONNECTIONS) as pairs:
        connect(pairs)
        return in_turns(plan, pairs, lambda one: ping_command(plan, one))


def ping_command(plan: Plan, one: Loaded) -> tuple[object, ...]:
    """See `echo`."""
    message = one.server.message("ping", {"timestamp": 1})
    return "echo", plan.of(60_000), one.server.prefix("pong"), message


def fan_out(members: int) -> Callable[[Plan, list[Contestant]], Values]:
    """A player's progress, about 200 bytes, to the others of a running game; the cost of one delivery."""

    def measure(plan: Plan, servers: list[Contestant]) -> Values:
        count = max(members, CONNECTIONS // members * members)
        messages = max(1, plan.of(60_000) // members)
        with loaded(plan, servers, count, members) as pairs:
            connect(pairs)
            start_games(pairs)
            return in_turns(plan, pairs, lambda one: progress_command(one, members, messages))

    measure.__doc__ = fan_out.__doc__
    return measure


def start_games(pairs: list[Loaded]) -> None:
    """Everybody is ready."""
    for one in pairs:
        one.generator.do("say", one.server.message("ready", {"status": "ready"}))
        one.generator.do("settle", 500)


def progress_command(one: Loaded, members: int, messages: int) -> tuple[object, ...]:
    """See `fan_out`."""
    message = one.server.message("progress", {"percent": 12.5, "lines": 10})
    return "fan", messages, members, members - 1, one.server.prefix("player_progress"), message


def durable(plan: Plan, servers: list[Contestant]) -> Values:
    """A player is ready, or not: decided, stored in the event log, then told to all 50; the cost of one delivery.

    The peers store nothing.
    """
    with loaded(plan, servers, CONNECTIONS, CONNECTIONS + 1) as pairs:
        connect(pairs)
        messages = plan.of(60_000) // CONNECTIONS
        return in_turns(plan, pairs, lambda one: ready_command(one, messages, CONNECTIONS))


GAMES = 256


def durable_in_many(plan: Plan, servers: list[Contestant]) -> Values:
    """The same in 256 games of one player each, an event under way in each of them; the cost of one event."""
    for server in servers:
        assert isinstance(server, Service)
        server.absent = 1
    with loaded(plan, servers, GAMES, 1) as pairs:
        connect(pairs)
        return in_turns(plan, pairs, lambda one: ready_command(one, plan.of(12_000), 1))


def ready_command(one: Loaded, messages: int, members: int) -> tuple[object, ...]:
    """See `durable`."""
    variants = [one.server.message("ready", {"status": status}) for status in ("ready", "not_ready")]
    return "fan", messages, members, members, one.server.prefix("player_ready"), *variants


def handshakes(plan: Plan, servers: list[Contestant]) -> Values:
    """Connect with a token that is verified, be welcomed, close; each player to a room of their own.

    The players come back with the same tokens, which the service remembers: one that is new costs a fifth more.
    """
    count = plan.of(2_000)
    with loaded(plan, servers, count, 1) as pairs:
        return in_turns(plan, pairs, lambda _: ("churn", count, 20))


def memory(plan: Plan, servers: list[Contestant]) -> Values:
    """Resident memory per idle joined connection, KiB, of 8,000 in rooms of 50: one server after the other."""
    count = plan.of(8_000)
    values: Values = {}
    for server in servers:
        with loaded(plan, [server], count, CONNECTIONS) as pairs:
            idle = server.resident
            connect(pairs)
            values[server.name] = [(server.resident - idle) / count / 1024]
    return values


def latency(plan: Plan, servers: list[Contestant]) -> Values:
    """99th percentile of the round trip, µs, at half of the rate at which each saturates its core (an open loop)."""
    with loaded(plan, servers, CONNECTIONS, CONNECTIONS) as pairs:
        connect(pairs)
        costs = in_turns(plan, pairs, lambda one: ping_command(plan, one))
        values: Values = {one.server.name: [] for one in pairs}
        for _ in range(plan.rounds):
            for one in pairs:
                rate = 0.5 * 1e6 / median(costs[one.server.name])
                count = round(rate * 2 * min(1.0, plan.scale * 2)) or 1
                message = one.server.message("ping", {"timestamp": 1})
                told = one.generator.do("rate", f"{rate:.0f}", 0, count, one.server.prefix("pong"), message)
                values[one.server.name].append(told["p99_us"])
        return values


RATE, VISITS, SCRAPE_EVERY_S, STEADY_S = 5_000, 100, 5.0, 11.0


def steady(plan: Plan, servers: list[Contestant]) -> Values:
    """99.9th percentile of the round trip, µs, at 5,000 messages a second and 100 handshakes a second beside.

    The service is scraped each 5 s. A round is 11 s. `waited` is how long, in ms of each second, the server's process
    and the load generator's were ready to run and had no core: what the machine adds.
    """
    values: Values = {}
    seconds, visitors = max(0.2, STEADY_S * plan.scale), 4 * VISITS
    with loaded(plan, servers, CONNECTIONS + visitors, CONNECTIONS) as pairs:
        for one in pairs:
            one.do("visitors", visitors)
        connect(pairs)
        for number in range(plan.rounds):
            for one in pairs if number % 2 else reversed(pairs):
                before = [waited_s(pid) for pid in (one.server.pid, one.generator.pid)]
                message = one.server.message("ping", {"timestamp": 1})
                with one.server.scraped(SCRAPE_EVERY_S):
                    told = one.do("rate", RATE, VISITS, round(RATE * seconds), one.server.prefix("pong"), message)
                after = [waited_s(pid) for pid in (one.server.pid, one.generator.pid)]
                name = one.server.name
                values.setdefault(name, []).append(told["p999_us"])
                for who, begin, end in zip(("it", "the load"), before, after, strict=True):
                    values.setdefault(f"{name}, {who} waited", []).append((end - begin) / told["seconds"] * 1e3)
    return values


def scrape(plan: Plan, servers: list[Contestant]) -> Values:
    """A scrape among 10,000 idle connections, ms of the event loop's thread: the longest turn of the loop, and in all.

    Counted is HTTP too, and what it lets go. The longest turn is that of the median scrape. The connections are not
    pinged: what that takes, while a scrape waits for the one before it, would be counted too.
    """
    count, scrapes = plan.of(10_000), plan.of(100)
    values: Values = {}
    with loaded(plan, servers, count, CONNECTIONS) as pairs:
        connect(pairs)
        (one,) = pairs
        if not isinstance(one.server, Watched):
            raise TypeError(one.server.name)
        with httpx.Client(base_url=f"http://127.0.0.1:{one.server.port}") as client:
            for _ in range(plan.rounds):
                for name, accept in SCRAPED_AS.items():
                    client.headers["accept"] = accept
                    before = loop_s(one.server.pid)
                    for _ in range(scrapes):
                        client.get("/metrics").raise_for_status()
                    values.setdefault(f"{name}, in all", []).append((loop_s(one.server.pid) - before) / scrapes * 1e3)
                    longest = [turns.longest * 1e3 for turns in scraped_turns(one.server, client, scrapes)]
                    values.setdefault(name, []).append(median(longest))
    return values


def scraped_turns(server: Watched, client: httpx.Client, scrapes: int) -> Iterator[Turns]:
    """The turns of the event loop during each of so many scrapes."""
    with server.asking() as asking:
        for _ in range(scrapes):
            asking.turns()
            client.get("/metrics").raise_for_status()
            yield asking.turns()


SCRAPED_AS = {"service, text": "text/plain", "service, OpenMetrics": "application/openmetrics-text; version=1.0.0"}


def growth(plan: Plan, servers: list[Contestant]) -> Values:
    """A delivery in rooms of 10 while there are 10, 100, 1,000 and 10,000 connections, all of them active."""
    values: Values = {}
    sizes = (10, 100, 1_000, 10_000) if plan.scale >= 1 else (10, 100)
    with ExitStack() as stack:
        by_size = {}
        for size, server in zip(sizes, servers, strict=False):
            pairs = stack.enter_context(loaded(plan, [server], size, 10))
            connect(pairs)
            start_games(pairs)
            by_size[size] = pairs[0]
        for number in range(plan.rounds + 1):
            for size, one in by_size.items():
                cost = one.cost(*progress_command(one, 10, max(size, plan.of(60_000)) // 9))
                if number:
                    values.setdefault(f"{size} connections", []).append(cost)
    return values


DRAIN_TIMEOUT_S = 120


def drain(plan: Plan, servers: list[Contestant]) -> Values:
    """SIGTERM with 5,000 idle connections: the most, % of all, that are closed within a tenth of a second.

    Each of them comes back somewhere else at once: whoever lets all go together has them all knock together.
    """
    count = plan.of(5_000)
    values: Values = {}
    for server in servers:
        with loaded(plan, [server], count, CONNECTIONS) as pairs:
            connect(pairs)
            os.kill(server.pid, signal.SIGTERM)
            told = pairs[0].do("leave", DRAIN_TIMEOUT_S)
            values[server.name] = [told["most_at_once"] / count * 100]
            values[f"{server.name}, first to last, s"] = [told["spread_s"]]
    return values


def idle(plan: Plan, servers: list[Contestant]) -> Values:
    """Joined idle connections in games of 5, pinged every 20 s: the part of a core, and resident memory in all."""
    values: Values = {}
    hold_s = 40.0 if plan.scale >= 1 else 1.0
    for size, server in zip((1_000, 2_500, 5_000, 10_000), servers, strict=True):
        count = plan.of(size)
        with loaded(plan, [server], count, 5) as pairs:
            connect(pairs)
            before = server.processor_s
            pairs[0].generator.do("hold", hold_s)
            used_s = server.processor_s - before
            values[f"{count} connections, {count // 5} games: % of a core"] = [used_s / hold_s * 100]
            values[f"{count} connections, {count // 5} games: MiB"] = [server.resident / 2**20]
    return values


def race(plan: Plan, servers: list[Contestant]) -> Values:
    """A whole race of eight bots (join, ready, countdown, submissions judged, end), ms of the server's processor each.

    The judge runs in processes of its own, which are not counted.
    """
    values: Values = {server.name: [] for server in servers}
    with ExitStack() as stack:
        for server in servers:
            server.start()
            stack.callback(server.stop)
        for number in range(plan.rounds + 1):
            for server in servers:
                before = server.processor_s
                asyncio.run(race_of(8, f"http://127.0.0.1:{server.port}"))
                if number:
                    values[server.name].append((server.processor_s - before) * 1e3)
    return values


async def race_of(players: int, url: str) -> None:
    """A race to its end."""
    api = Api(url)
    tokens = [(await api.guest(f"bot {number}"))["token"] for number in range(players)]
    api.token = tokens[0]
    game_id = (await api.create_game(problem=PROBLEM, min_players=players, max_players=players))["game_id"]
    sockets = [GameWebSocket(game_id, token, api.ws_url) for token in tokens]
    await asyncio.gather(*(Bot("bot", one, SOLUTION, lambda _: None).race() for one in sockets))
