"""What telemetry costs: the same load on servers that run side by side, in turns. `make bench-telemetry` prints it.

`off` measures nothing at all; `on` has metrics and logs; `all` also traces 1 % of the messages; `down` the same with a
collector that never answers. The loads: pings answered, and durable events fanned out to a game of twenty. The figure
is the server's processor time per message: what a saturated core's throughput is the inverse of.
"""

import json
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tools.harness.collector import Collector
from tools.harness.server import UNLIMITED, ServerProcess
from tools.harness.tokens import token
from tools.harness.wire import TEXT, frame, frames, upgrade

GENERATIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 7
ROUNDS = 3
MEMBERS = 20
BLOCK = 100
PINGS = 20_000
EVENTS = 600
PING_FRAME = frame(TEXT, b'{"type":"ping","data":{"timestamp":1}}')
GOALS = {"on": 0.95, "all": 0.92, "down": 0.92}


class Member:
    """One connection, as cheap as can be: blocks of frames out, bytes in."""

    def __init__(self, server: ServerProcess, game_id: str, name: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), 30)
        mine = token(name)
        self.socket.sendall(upgrade(f"/ws/{game_id}", f"Authorization: Bearer {mine}"))
        self.stream = self.socket.makefile("rb")
        self.frames = frames(self.stream)

    def close(self) -> None:
        """Be gone."""
        self.stream.close()
        self.socket.close()

    def until(self, type: str) -> None:
        """Read up to a message of this type."""
        wanted = f'{{"type":"{type}"'.encode()
        while not next(payload for kind, payload in self.frames if kind == TEXT).startswith(wanted):
            pass


def seconds_of(server: ServerProcess) -> float:
    """Processor time of a server so far, all its threads (Linux: nanoseconds in schedstat)."""
    tasks = Path(f"/proc/{server.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def echo(members: list[Member]) -> int:
    """Pings from everybody, one at a time each, as clients do: a read and a write of the server's each."""
    for _ in range(PINGS // MEMBERS):
        for member in members:
            member.socket.sendall(PING_FRAME)
        for member in members:
            member.until("pong")
    return PINGS


def pipelined(members: list[Member]) -> int:
    """Pings in blocks of a hundred from one: the least work besides telemetry's, and so its largest part."""
    member = members[0]
    for _ in range(PINGS // BLOCK):
        member.socket.sendall(PING_FRAME * BLOCK)
        for _ in range(BLOCK):
            member.until("pong")
    return PINGS


def fan_out(members: list[Member]) -> int:
    """Durable events to everybody: one says ready, not ready, ready ..."""
    for number in range(EVENTS):
        status = "not_ready" if number % 2 else "ready"
        members[0].socket.sendall(frame(TEXT, json.dumps({"type": "ready", "data": {"status": status}}).encode()))
        for member in members:
            member.until("player_ready")
    return EVENTS * MEMBERS


def cost(server: ServerProcess, load: Callable[[list[Member]], int], members: list[Member]) -> float:
    """Microseconds of the server's processor per message."""
    before = seconds_of(server)
    count = load(members)
    return (seconds_of(server) - before) / count * 1e6


Costs = dict[Callable[[list[Member]], int], dict[str, list[float]]]


def play(servers: dict[str, ServerProcess], members: dict[str, list[Member]], costs: Costs) -> None:
    """Some rounds of each load, the servers in turns."""
    for load, by_name in costs.items():
        for number in range(ROUNDS):
            order = list(servers) if number % 2 else list(servers)[::-1]
            for name in order:
                by_name[name].append(cost(servers[name], load, members[name]))


def show(costs: Costs) -> None:
    """The medians, and those of the ratios within a round."""
    for load, by_name in costs.items():
        count = len(by_name["off"])
        print(f"{load.__name__}: µs per message, median of {count} rounds, and throughput as a part of off")
        for name, values in by_name.items():
            ratios = [off / value for off, value in zip(by_name["off"], values, strict=True)]
            goal = f"goal {GOALS[name]}" if name in GOALS and load is not pipelined else ""
            print(f"  {name:5} {median(values):6.2f}  {median(ratios):5.3f}  {goal}")


def servers_of_a_generation(collector: Collector, hanging: Collector) -> dict[str, ServerProcess]:
    """One server of each kind, started."""
    free = {
        "event_log_url": "memory:",
        "ping_interval_s": 3600,
        "bytes_burst": 2**40,
        "max_events_per_game": 10**9,
        **UNLIMITED,
    }
    traced = {"slow_message_s": 60, "otel_bsp_schedule_delay": 5_000}
    servers = {
        "off": ServerProcess(Path(tempfile.mkdtemp()), "tests.bench.silent", **free),
        "on": ServerProcess(Path(tempfile.mkdtemp()), **free),
        "all": ServerProcess(Path(tempfile.mkdtemp()), **free, **{**collector.settings, **traced}),
        "down": ServerProcess(Path(tempfile.mkdtemp()), **free, **{**hanging.settings, **traced}),
    }
    for server in servers.values():
        server.start()
    return servers


def main() -> None:
    """Generations of servers, for a process keeps the luck of its memory's layout; then print."""
    costs: Costs = {load: {name: [] for name in ("off", *GOALS)} for load in (echo, fan_out, pipelined)}
    with Collector() as collector, Collector() as hanging:
        hanging.answer.clear()
        for _ in range(GENERATIONS):
            servers = servers_of_a_generation(collector, hanging)
            members: dict[str, list[Member]] = {}
            for name, server in servers.items():
                game_id = server.new_game(server.guest("host")["token"], min_players=50, max_players=100)
                members[name] = [Member(server, game_id, f"p{number}") for number in range(MEMBERS)]
                for member in members[name]:
                    member.until("player_joined")
            play(servers, members, costs)
            for name, server in servers.items():
                for member in members[name]:
                    member.close()
                server.stop()
        hanging.answer.set()
    show(costs)


if __name__ == "__main__":
    main()
