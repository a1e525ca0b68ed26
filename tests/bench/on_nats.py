"""What a durable event costs on one server of NATS, many games at once."""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.bench.contestants import Contestant, Service, processor_s
from tests.bench.scenarios import Loaded, Plan, Values, connect, loaded
from tools.harness.nats import NATS_SERVER, Nats, Node
from tools.harness.server import until

AT_ONCE = 256
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of ours is made in it


class OnNats(Service):
    """Is started once it has reached its event log."""

    def start(self) -> None:
        """See `Contestant.start`."""
        super().start()
        until(lambda: self.server.metric("event_log_connected"))


def durable(plan: Plan, servers: list[Contestant]) -> Values:
    """A durable event of a game of one player, 256 of which have one under way, on one server of NATS: µs an event.

     That server shares the load generator's core, and syncs each write, to files in memory (`on NATS`) and on a disk.
    X
    """
    if not NATS_SERVER.exists():
        print("durable, NATS: not measured, there is no nats-server here (make .venv/.nats)")
        return {}
    values: Values = {}
    with ExitStack() as stack:
        nodes = {server.name: _place(stack, server) for server in servers}
        pairs = stack.enter_context(loaded(plan, servers, AT_ONCE, 1))
        connect(pairs)
        for number in range(plan.rounds + 1):
            for one in pairs if number % 2 else reversed(pairs):
                for name, cost in _round(plan, one, nodes[one.server.name]).items():
                    if number:
                        values.setdefault(name, []).append(cost)
    return values


def _place(stack: ExitStack, server: Contestant) -> Node | None:
    """Give a service its server of NATS; none to one whose log is in memory."""
    assert isinstance(server, Service)
    server.absent = 1
    if not isinstance(server, OnNats):
        return None
    memory = IN_MEMORY if IN_MEMORY.is_dir() and "disk" not in server.name else None
    folder = stack.enter_context(tempfile.TemporaryDirectory(dir=memory))
    nats = stack.enter_context(Nats(Path(folder)))
    server.settings = {"event_log_url": nats.url}
    return nats.nodes[0]


def _round(plan: Plan, one: Loaded, node: Node | None) -> dict[str, float]:
    name, count = one.server.name, plan.of(6_000)
    variants = [one.server.message("ready", {"status": status}) for status in ("ready", "not_ready")]
    before, began = processor_s(node.pid) if node else 0.0, time.perf_counter()
    found = {name: one.cost("fan", count, 1, 1, one.server.prefix("player_ready"), *variants)}
    found[f"{name}, by the clock"] = (time.perf_counter() - began) / count * 1e6
    if node:
        found[f"{name}, its server"] = (processor_s(node.pid) - before) / count * 1e6
    return found
