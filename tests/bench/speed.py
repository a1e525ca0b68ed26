"""Speed beside the peers: `make bench` prints the figures and writes docs/speed.md and its chart.

Nothing here passes or fails; the figures depend on the machine. It stops by itself.
"""

import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import on_nats, scenarios, storage
from tests.bench.centrifugo import Centrifugo, is_measured
from tests.bench.contestants import NODE, Contestant, Peer, Service, SocketIo, c_peer, python_peer
from tests.bench.generator import compiled
from tests.bench.report import Results, draw, goal_table, page, scenario_table, text_of
from tests.bench.scenarios import Plan, Values, asked
from tests.bench.turns import Watched
from tools.harness.server import SECRET

DOCS = Path(__file__).parents[2] / "docs"
CHARTED = ("echo", "fan-out, 50", "handshake", "memory")


def node(name: str, secret: str = "") -> Contestant:
    """Node's `ws`."""
    return Peer(name, command=("node", str(NODE / "peers" / "node_ws.mjs")), secret=secret)


def socket_io(name: str) -> Contestant:
    """Socket.IO on Node."""
    return SocketIo(name, command=("node", str(NODE / "peers" / "socketio_server.mjs")), hello="40")


MAKERS: dict[str, Callable[[], Contestant]] = {
    "service": lambda: Service("service"),
    "uvicorn": lambda: Service("uvicorn", settings={"ws_transport": "uvicorn"}),
    "on disk": lambda: Service("on disk", settings={"event_log_url": "sqlite:///var/code-racer.db"}),
    "on NATS": lambda: on_nats.OnNats("on NATS"),
    "on NATS, disk": lambda: on_nats.OnNats("on NATS, disk"),
    "unpinged": lambda: Watched("service", settings={"ping_interval_s": 3600}),
    "spread": lambda: Service("service", settings={"drain_spread_s": 15, "drain_delay_s": 0}),
    "silent": lambda: Service("silent", module="tests.bench.silent"),
    "synced": lambda: Service("synced", module="tests.bench.synced"),
    "C floor": lambda: c_peer("C floor", "floor.c"),
    "uvloop floor": lambda: python_peer("uvloop floor", "uvloop_floor"),
    "picows": lambda: python_peer("picows", "picows_server"),
    "node ws": lambda: node("node ws"),
    "node ws with jsonwebtoken": lambda: node("node ws with jsonwebtoken", SECRET),
    "socket.io": lambda: socket_io("socket.io"),
    "websockets": lambda: python_peer("websockets", "websockets_server"),
    "fastapi": lambda: python_peer("fastapi", "fastapi_server"),
    "centrifugo": Centrifugo,
}
ALL = (
    "service",
    "uvicorn",
    "silent",
    "C floor",
    "uvloop floor",
    "picows",
    "node ws",
    "socket.io",
    "websockets",
    "fastapi",
    "centrifugo",
)
MAIN = ("service", "C floor", "picows", "node ws")


@dataclass(frozen=True)
class Scenario:
    """Something to measure, and on whom."""

    measure: Callable[[Plan, list[Contestant]], Values]
    names: tuple[str, ...]


SCENARIOS: dict[str, Scenario] = {
    "echo": Scenario(scenarios.echo, ALL),
    "fan-out, 2": Scenario(scenarios.fan_out(2), MAIN),
    "fan-out, 10": Scenario(scenarios.fan_out(10), MAIN),
    "fan-out, 50": Scenario(scenarios.fan_out(50), ALL),
    "fan-out, 500": Scenario(scenarios.fan_out(500), MAIN),
    "durable, 50": Scenario(scenarios.durable, (*ALL[:-1], "on disk", "synced")),
    "durable, 256 games": Scenario(scenarios.durable_in_many, ("service", "on disk", "synced")),
    "durable, NATS": Scenario(on_nats.durable, ("service", "on NATS", "on NATS, disk")),
    "handshake": Scenario(
        scenarios.handshakes, ("service", "on disk", "uvicorn", "node ws with jsonwebtoken", "centrifugo")
    ),
    "memory": Scenario(
        scenarios.memory,
        ("service", "uvicorn", "picows", "node ws", "socket.io", "websockets", "fastapi", "centrifugo"),
    ),
    "p99 at half rate": Scenario(scenarios.latency, MAIN),
    "steady": Scenario(scenarios.steady, ("service", "silent", "picows", "node ws")),
    "scrape": Scenario(scenarios.scrape, ("unpinged",)),
    "growth": Scenario(scenarios.growth, ("service",) * 4),
    "growth, C floor": Scenario(scenarios.growth, ("C floor",) * 4),
    "growth, uvloop floor": Scenario(scenarios.growth, ("uvloop floor",) * 4),
    "drain": Scenario(scenarios.drain, ("spread", "centrifugo")),
    "idle": Scenario(scenarios.idle, ("service",) * 4),
    "race": Scenario(scenarios.race, ("service", "uvicorn")),
    "take-up": Scenario(storage.take_up, ("service",)),
    "on disk": Scenario(storage.on_disk, ("service",)),
}


def measure(names: list[str], plan: Plan, absent: frozenset[str]) -> Results:
    """Run scenarios without those who are `absent`; print each as it ends. What cannot be measured here is left out."""
    results: Results = {}
    for name in names:
        scenario = SCENARIOS[name]
        results[name] = scenario.measure(plan, [MAKERS[one]() for one in scenario.names if one not in absent])
        if not results[name]:
            del results[name]
            continue
        print(scenario_table(name, text_of(scenario.measure), results[name]), flush=True)
    return results


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and where everything was measured in full, write the page."""
    options = asked("python -m tests.bench.speed", __doc__, SCENARIOS, 7, arguments)
    plan = Plan(compiled(), options.rounds, options.scale)
    absent = (
        frozenset() if is_measured(build=not options.scenarios and options.scale >= 1) else frozenset({"centrifugo"})
    )
    results = measure(options.scenarios or list(SCENARIOS), plan, absent)
    print(goal_table(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    if not options.scenarios and options.scale >= 1:
        texts = {name: one.measure for name, one in SCENARIOS.items()}
        (DOCS / "speed.md").write_text(page(results, texts, plan.busiest))
        draw(results, CHARTED, DOCS / "pictures" / "speed.svg")
        print(f"written: {DOCS / 'speed.md'}", file=sys.stderr)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    main()
