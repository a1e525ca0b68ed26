"""What the console costs while somebody watches: 5,000 connections, three watchers. `make bench-console` prints it.

Two servers run side by side and are loaded in turns: pings answered, one at a time on each connection. One of them has
watchers of its live stream meanwhile, all told something in each round, the other none; the figure is the server's
processor time per ping, everything that it did meanwhile included. Where others take the processor from the load, more
of the stream falls to each ping: so what the stream takes in a second is told too, of servers that have nothing else to
do. The goal is about the full measurement; nothing fails where it is missed.

Then what the diagnostics cost that cost something: the same pings while a profile is taken, and while memory is traced,
beside those just before.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import httpx

from tests.bench.contestants import Service
from tests.bench.generator import compiled
from tests.bench.scenarios import Loaded, Plan, asked, connect, in_turns, loaded
from tools.harness import fetch

CONNECTIONS = 5_000
ROOM = 50
WATCHERS = 3
PINGS = 200_000
IDLE_S = 10
SILENT_S = 60
GOAL = 1.03


class Reader:
    """One who watches: reads the stream of a console and forgets it."""

    def __init__(self, console: str) -> None:
        self._url = f"{console}/watch"
        self._events = 0
        self._ended = ""
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def watches(self) -> bool:
        """Whether the stream goes on, as far as is known."""
        return not self._ended

    @property
    def events(self) -> int:
        """How many have come.

        Raises:
            RuntimeError: no more will.
        """
        if not self.watches:
            raise RuntimeError(f"a watcher watches no more: {self._ended}")
        return self._events

    def _read(self) -> None:
        try:
            with httpx.stream("GET", self._url, timeout=SILENT_S, verify=fetch.trust()) as answer:
                for line in answer.raise_for_status().iter_lines():
                    self._events += line.startswith("event: ")
            self._ended = "the stream is over"
        except httpx.HTTPError as error:
            self._ended = repr(error)


@dataclass
class Watched(Loaded):
    """A server that is watched while it is measured: each time until all watchers have been told something."""

    readers: list[Reader] = field(default_factory=list)

    def do(self, *command: object) -> dict[str, Any]:
        """See `Loaded.do`."""
        before = [reader.events for reader in self.readers]
        told = super().do(*command)
        while any(reader.events == seen for reader, seen in zip(self.readers, before, strict=True)):
            self.generator.do("hold", 0.1)
        return told


def _per_second(one: Loaded) -> float:
    """The part of a core that a server takes with nothing to do but its connections."""
    before, told = one.server.processor_s, one.generator.do("hold", max(1.0, IDLE_S * one.plan.scale))
    return (one.server.processor_s - before) / float(told["seconds"])


def during(one: Loaded, url: str, pings: int, *echo: object) -> float:
    """How many times its usual processor time a ping takes while a diagnostic runs, for which `url` is asked.

    Raises:
        RuntimeError: the diagnostic was refused, or was over before even one ping was answered.
    """
    began = time.monotonic()
    usual = one.cost("echo", pings, *echo)
    seconds = min(60.0, 2 * (time.monotonic() - began) + 1)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(fetch.post, url, json={"seconds": seconds, "reason": "a bench"}, timeout=120)
        one.generator.do("hold", 0.5)
        with_it = one.cost("echo", pings, *echo)
        ran = not asking.done()
        answer = asking.result()
    if answer.is_error or not (ran or pings > 1):
        raise RuntimeError(f"none ran: {url} {answer.status_code} {answer.text[:200]}")
    return with_it / usual if ran else during(one, url, pings // 2, *echo)


def console_of(server: Service) -> str:
    """Where its console's API is."""
    return f"{server.server.http_url}/ops/api"


def verdict(ratios: list[float]) -> str:
    """Say whether watching costs no more than it may."""
    ratio = median(ratios)
    held = "goal held" if ratio <= GOAL else "goal missed"
    return f"ratio {ratio:.3f} (of the rounds {min(ratios):.3f} to {max(ratios):.3f}), {held}: at most {GOAL}"


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print."""
    chosen = asked("bench-console", __doc__, ["echo"], 7, arguments)
    plan = Plan(compiled(), chosen.rounds, chosen.scale)
    closed, watched = Service("closed"), Service("watched")
    with ExitStack() as stack:
        pairs = stack.enter_context(loaded(plan, [closed, watched], plan.of(CONNECTIONS), ROOM))
        connect(pairs)
        readers = [Reader(console_of(watched)) for _ in range(WATCHERS)]
        pairs[1] = Watched(plan, watched, pairs[1].generator, readers)
        echo = closed.prefix("pong"), closed.message("ping", {"timestamp": 1})
        values = in_turns(plan, pairs, lambda _: ("echo", plan.of(PINGS), *echo))
        idle = {one.server.name: _per_second(one) for one in pairs}
        events = [reader.events for reader in readers]
        url = f"{console_of(closed)}/diagnostics"
        costs = {
            what: [during(pairs[0], f"{url}/{what}", plan.of(PINGS), *echo) for _ in range(plan.rounds)]
            for what in ("profile", "memory")
        }
    ratios = [with_them / alone for alone, with_them in zip(values["closed"], values["watched"], strict=True)]
    print(f"{plan.of(CONNECTIONS)} connections, {plan.rounds} rounds; µs of the server's processor per ping:")
    print(f"  nobody watches {median(values['closed']):.2f}, {WATCHERS} watch {median(values['watched']):.2f}")
    print(f"  {verdict(ratios)}")
    print(f"  without pings: {idle['closed']:.2%} of a core, and {idle['watched']:.2%}")
    for what, times in costs.items():
        print(f"  {what}: a ping takes {median(times):.2f} times as long ({min(times):.2f} to {max(times):.2f})")
    print(f"  each watcher was told {min(events)} events or more; the load generator was busy {plan.busiest:.0%}")


if __name__ == "__main__":
    main()
