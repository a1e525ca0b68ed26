"""What a number of players takes: replicas, memory, the event log, the network; reckoned from what was measured.

``python -m tools.sizing --players 50000`` prints it. The measured points are ``docs/sizing.json``, written by
``make bench-sizing``; what is assumed of a player is `Habits`, each of them an option of the command.
"""

import argparse
import math
import sys
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Final

import msgspec

MEASURED: Final = Path(__file__).parent.parent / "docs" / "sizing.json"
PLANNED_PART: Final = 0.5
"""Of a core, so that waiting stays short and a replica that goes can be carried by the rest."""
DAY_S: Final = 86_400
GIB: Final = 2**30
PER_STREAM: Final = 0.5
"""Of the appends that one leader of a stream can take."""


class Point(msgspec.Struct, frozen=True):
    """One replica with so many joined connections, in games of eight."""

    connections: int
    resident_bytes: float
    idle_us: float
    """Of the processor, a second and connection: pings, timers."""
    delivery_us: float
    """Of the processor, each player's progress told to one other, all games being active."""


class Measured(msgspec.Struct, frozen=True):
    """What `make bench-sizing` wrote: µs of the service's processor for one, unless a name says otherwise."""

    machine: str
    points: tuple[Point, ...]
    message_us: float
    handshake_us: float
    commit_us: float
    """Decided, stored, told to seven others."""
    stored_us: float
    """The leader of the stream, NATS R1, one append."""
    commit_bytes: float
    subject_bytes: float
    """Of the memory of each server of NATS, for each game whose log is kept."""
    remote_bytes: float
    """Of a replica's memory, for each player on another one."""
    remote_us: float
    """Of a replica's processor, for each player on another one, told once a minute."""


@dataclass(frozen=True)
class Habits:
    """What players do, and how long it is remembered."""

    players_per_game: float = 8
    race_s: float = 600
    progress_per_s: float = 0.5
    """Of each player: the page tells at most two a second, while there is typing."""
    pings_per_s: float = 1 / 30
    commits_per_player: float = 6
    """Of each race: joined, ready, two submissions with their verdicts."""
    handshakes_per_race: float = 1.5
    """Of each player: one comes, every second comes back once."""
    retention_s: float = DAY_S
    delivery_bytes: float = 256
    """Of a progress on the wire: 200, and the headers of WebSocket, TCP and IP."""


@dataclass(frozen=True)
class Sizes:
    """What so many players take."""

    players: int
    games: int
    replicas: int
    """One more than carry them."""
    players_per_replica: int
    replica_cores: float
    """Of one replica at that many players."""
    replica_bytes: float
    commits_per_s: float
    streams: int
    subjects: float
    log_bytes: float
    """On each server of the log."""
    log_memory_bytes: float
    out_bytes_per_s: float
    presence_bytes: float
    """Of each replica's memory, for the players of all others."""
    presence_cores: float

    @property
    def cores(self) -> float:
        """All that serve."""
        return self.replicas * self.replica_cores

    @property
    def memory_bytes(self) -> float:
        """All that serve."""
        return self.replicas * self.replica_bytes


def load() -> Measured:
    """Read the committed figures."""
    return msgspec.json.decode(MEASURED.read_bytes(), type=Measured)


def resident_bytes(measured: Measured, connections: float) -> float:
    """Reckon the memory of a replica: a line through the first two points."""
    first, second = measured.points[:2]
    slope = (second.resident_bytes - first.resident_bytes) / (second.connections - first.connections)
    return first.resident_bytes + (connections - first.connections) * slope


def delivery_us(measured: Measured, connections: float) -> float:
    """Reckon the cost of a delivery: each tenfold of active connections adds as much (the processor's caches)."""
    return _by_tenfold(measured, connections, "delivery_us")


def idle_us(measured: Measured, connections: float) -> float:
    """Reckon what an idle connection takes a second: what the process takes by itself is shared by all."""
    first, second = measured.points[:2]
    own = (first.idle_us - second.idle_us) / (1 / first.connections - 1 / second.connections)
    return max(0.0, second.idle_us + own * (1 / connections - 1 / second.connections))


def _by_tenfold(measured: Measured, connections: float, name: str) -> float:
    first, second = measured.points[:2]
    few, many = float(getattr(first, name)), float(getattr(second, name))
    slope = (many - few) / math.log10(second.connections / first.connections)
    return max(min(few, many), few + slope * math.log10(connections / first.connections))


def replica_cores(measured: Measured, habits: Habits, connections: float) -> float:
    """Reckon the part of a core that a replica with so many players takes."""
    each_us = (
        idle_us(measured, connections)
        + habits.pings_per_s * measured.message_us
        + habits.progress_per_s * (habits.players_per_game - 1) * delivery_us(measured, connections)
        + habits.commits_per_player / habits.race_s * measured.commit_us
        + habits.handshakes_per_race / habits.race_s * measured.handshake_us
    )
    return connections * each_us / 1e6


def carried(measured: Measured, habits: Habits, most: int) -> int:
    """Find how many players fit half a core, and no more than `most` of them."""
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        if replica_cores(measured, habits, middle) <= PLANNED_PART:
            low = middle
        else:
            high = middle - 1
    return low


def sizes(measured: Measured, habits: Habits, players: int, most: int = 8_000) -> Sizes:
    """Reckon what so many players take, at most `most` of them on a replica."""
    replicas = math.ceil(players / carried(measured, habits, most)) + 1
    each = math.ceil(players / (replicas - 1))
    games = math.ceil(players / habits.players_per_game)
    commits = players * habits.commits_per_player / habits.race_s
    subjects = games * (1 + habits.retention_s / habits.race_s)
    others = max(0, players - each)
    out = players * habits.progress_per_s * (habits.players_per_game - 1) * habits.delivery_bytes
    return Sizes(
        players=players,
        games=games,
        replicas=replicas,
        players_per_replica=each,
        replica_cores=replica_cores(measured, habits, each) + others / 60 * measured.remote_us / 1e6,
        replica_bytes=resident_bytes(measured, each) + others * measured.remote_bytes,
        commits_per_s=commits,
        streams=math.ceil(commits * measured.stored_us / 1e6 / PER_STREAM),
        subjects=subjects,
        log_bytes=subjects * habits.players_per_game * habits.commits_per_player * measured.commit_bytes,
        log_memory_bytes=subjects * measured.subject_bytes,
        out_bytes_per_s=out,
        presence_bytes=others * measured.remote_bytes,
        presence_cores=others / 60 * measured.remote_us / 1e6,
    )


@dataclass(frozen=True)
class Limit:
    """What the design does not carry further, and at how many players that is."""

    text: str
    players: float


def limits(measured: Measured, habits: Habits, most: int = 8_000) -> list[Limit]:
    """Say where it breaks, first things first."""
    kept_per_player = (1 + habits.retention_s / habits.race_s) / habits.players_per_game
    commits_per_s = habits.commits_per_player / habits.race_s
    found = [
        Limit("the leader of the one stream is half busy", PER_STREAM * 1e6 / measured.stored_us / commits_per_s),
        Limit(
            "each server of NATS holds 4 GiB for the subjects of kept games",
            4 * GIB / measured.subject_bytes / kept_per_player,
        ),
        Limit(
            "a replica holds half as much for the players of others as for its own",
            resident_bytes(measured, most) / 2 / measured.remote_bytes,
        ),
        Limit(
            "a replica spends a twentieth of its core on hearing of the others' players",
            0.05 * 60e6 / measured.remote_us,
        ),
    ]
    return sorted(found, key=lambda limit: limit.players)


def rows(each: list[Sizes]) -> list[tuple[str, list[str]]]:
    """Show them, a line a thing and a column a number of players."""
    return [
        ("players", [f"{one.players:,}" for one in each]),
        ("games under way", [f"{one.games:,}" for one in each]),
        ("replicas, a core each (one is to spare)", [f"{one.replicas:,}" for one in each]),
        ("players of a replica", [f"{one.players_per_replica:,}" for one in each]),
        ("of its core", [f"{one.replica_cores:.0%}" for one in each]),
        ("its memory, MiB", [f"{one.replica_bytes / 2**20:,.0f}" for one in each]),
        ("of that for the players of the others", [f"{one.presence_bytes / one.replica_bytes:.0%}" for one in each]),
        ("commits a second", [f"{one.commits_per_s:,.0f}" for one in each]),
        ("streams whose leader is at most half busy", [f"{one.streams:,}" for one in each]),
        ("subjects: games whose log is kept", [f"{one.subjects:,.0f}" for one in each]),
        ("memory for them, of each server of NATS, GiB", [f"{one.log_memory_bytes / GIB:,.2f}" for one in each]),
        ("disk of each server of NATS, GiB", [f"{one.log_bytes / GIB:,.1f}" for one in each]),
        ("out to players, Mbit/s", [f"{one.out_bytes_per_s * 8 / 1e6:,.0f}" for one in each]),
        ("cores for 1,000 players", [f"{one.cores / one.players * 1_000:.2f}" for one in each]),
        ("memory for 1,000 players, MiB", [f"{one.memory_bytes / one.players * 1_000 / 2**20:,.0f}" for one in each]),
        (
            "sent for 1,000 players, GB an hour",
            [f"{one.out_bytes_per_s * 3.6e-6 / one.players * 1e3:,.2f}" for one in each],
        ),
    ]


def table(each: list[Sizes]) -> str:
    """Draw them as Markdown."""
    (name, numbers), *others = rows(each)
    lines = [f"| {name} | {' | '.join(numbers)} |", f"|---|{'---|' * len(each)}"]
    return "\n".join([*lines, *(f"| {text} | {' | '.join(cells)} |" for text, cells in others)])


def main(arguments: list[str] | None = None) -> None:
    """Print the table for one's own players and their habits."""
    parser = argparse.ArgumentParser(prog="python -m tools.sizing", description=__doc__)
    parser.add_argument("--players", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--most-per-replica", type=int, default=8_000)
    for field in fields(Habits):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    given = vars(parser.parse_args(arguments))
    if min(given["players"]) < 1 or any(given[name] <= 0 for name in asdict(Habits())) or given["most_per_replica"] < 1:
        parser.error("every number has to be more than 0")
    habits = replace(Habits(), **{name: given[name] for name in asdict(Habits())})
    measured = load()
    each = [sizes(measured, habits, players, given["most_per_replica"]) for players in given["players"]]
    sys.stdout.write(table(each) + "\n")


if __name__ == "__main__":
    main()
