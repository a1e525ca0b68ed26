"""What the console costs while somebody watches: 5,000 connections, three watchers. `make bench-console` prints it.

Two servers run side by side and are loaded in turns: pings answered, one at a time on each connection. One of them has
watchers of its live stream meanwhile, the other none; the figure is the server's processor time per ping, everything
that it did meanwhile included. Where others take the processor from the load, more of the stream falls to each ping: so
what the stream takes in a second is told too, of servers that have nothing else to do.

Then what the diagnostics cost that cost something: the same pings while a profile is taken, and while memory is traced,
beside those just before.
"""

import contextlib
import threading
import time
from contextlib import ExitStack
from statistics import median

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
GOAL = 1.03


class Reader:
    """One who watches: reads the stream and forgets it."""

    def __init__(self, server: Service) -> None:
        self._url = f"{server.server.http_url}/ops/api/watch"
        self._answer: httpx.Response | None = None
        self.bytes = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with (
            contextlib.suppress(httpx.HTTPError),
            httpx.stream("GET", self._url, timeout=60, verify=fetch.trust()) as answer,
        ):
            self._answer = answer.raise_for_status()
            for chunk in answer.iter_raw():
                self.bytes += len(chunk)


def _per_second(one: Loaded) -> float:
    """The part of a core that a server takes with nothing to do but its connections."""
    before, told = one.server.processor_s, one.generator.do("hold", IDLE_S)
    return (one.server.processor_s - before) / float(told["seconds"])


def _during(one: Loaded, diagnostic: str, command: tuple[object, ...]) -> float:
    """How many times its usual processor time a ping takes while a diagnostic runs."""
    began = time.monotonic()
    usual = one.cost(*command)
    seconds = min(60.0, 2 * (time.monotonic() - began) + 1)
    port = one.server.port
    url = f"http://127.0.0.1:{port}/ops/api/diagnostics/{diagnostic}"
    asking = threading.Thread(target=lambda: fetch.post(url, json={"seconds": seconds}, timeout=120))
    asking.start()
    one.generator.do("hold", 0.5)
    during = one.cost(*command)
    asking.join()
    return during / usual


def main(arguments: list[str] | None = None) -> float:
    """Measure, print, and return the ratio."""
    chosen = asked("bench-console", __doc__, ["echo"], 7, arguments)
    plan = Plan(compiled(), chosen.rounds, chosen.scale)
    closed, watched = Service("closed"), Service("watched")
    with ExitStack() as stack:
        pairs = stack.enter_context(loaded(plan, [closed, watched], plan.of(CONNECTIONS), ROOM))
        connect(pairs)
        readers = [Reader(watched) for _ in range(WATCHERS)]
        message = closed.message("ping", {"timestamp": 1})
        values = in_turns(plan, pairs, lambda one: ("echo", plan.of(PINGS), one.server.prefix("pong"), message))
        idle = {one.server.name: _per_second(one) for one in pairs}
        command = ("echo", plan.of(PINGS), closed.prefix("pong"), message)
        costs = {what: [_during(pairs[0], what, command) for _ in range(plan.rounds)] for what in ("profile", "memory")}
        read = sum(reader.bytes for reader in readers)
    ratios = [with_them / alone for alone, with_them in zip(values["closed"], values["watched"], strict=True)]
    ratio = median(ratios)
    print(f"{plan.of(CONNECTIONS)} connections, {plan.rounds} rounds; µs of the server's processor per ping:")
    print(f"  nobody watches {median(values['closed']):.2f}, {WATCHERS} watch {median(values['watched']):.2f}")
    print(f"  ratio {ratio:.3f} (of the rounds {min(ratios):.3f} to {max(ratios):.3f}), goal {GOAL}")
    print(f"  without pings: {idle['closed']:.2%} of a core, and {idle['watched']:.2%}")
    for what, times in costs.items():
        print(f"  {what}: a ping takes {median(times):.2f} times as long ({min(times):.2f} to {max(times):.2f})")
    print(f"  they read {read / 1024:.0f} KiB; the load generator was busy {plan.busiest:.0%}")
    return ratio


if __name__ == "__main__":
    main()
