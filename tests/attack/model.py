"""What a hostile input is: one row of the table, its bounds stated."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.attack.fight import Fight

BOTH: Final = ("lean", "uvicorn")
LEAN: Final = ("lean",)


class Place(StrEnum):
    """Where the bytes go."""

    MAIN = "main"
    OPS = "ops"
    """A port of probes and metrics alone."""
    NGINX = "nginx"
    """The shipped site, without TLS."""
    JWKS = "jwks"
    """PORT of a server that has its keys from an identity provider, which is the attacker's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One hostile input.

    `connections` are open at once, `opened` all together at most; each sends `per_second` pieces a second (0: as fast
    as they are taken) for `seconds`, all together at most `most_bytes`. Of `expect` at least one must be observed:
    statuses of HTTP, close codes, ``eof``, ``reset``, ``open`` (untouched at the end), or words of the generator's own;
    of `never` nothing. `counts` are metrics of which one must grow. `loud` are log events it may cause beside the usual
    ones. `is_named`: issue 17 says that it hurt 2d84426.
    """

    id: str
    what: str
    item: int
    act: Callable[["Fight"], Iterator[None] | None]
    expect: tuple[str, ...]
    connections: int = 1
    opened: int = 0
    per_second: float = 0.0
    most_bytes: int = 64 * 2**20
    seconds: float = 2.0
    place: Place = Place.MAIN
    transports: tuple[str, ...] = LEAN
    settings: Mapping[str, object] = field(default_factory=dict)
    """Of the server, where they are not those of development."""
    wishes: Mapping[str, object] = field(default_factory=dict)
    games: int = 1
    players: int = 0
    never: tuple[str, ...] = ("500",)
    counts: tuple[str, ...] = ()
    loud: tuple[str, ...] = ()
    is_named: bool = False
    is_judged: bool = False
    """A bystander hands in a right solution meanwhile and must have its verdict within a bound."""
    restarts: bool = False
    """The server is killed and started again behind the attack, and measured again."""

    @property
    def seats(self) -> int:
        """Players the attacker has."""
        return max(self.players, self.connections, 2)

    @property
    def most_opened(self) -> int:
        """Connections, all together."""
        return max(self.opened, self.connections)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What the generator's process is told: where, as whom."""

    port: int
    is_sink: bool
    games: list[str]
    tokens: list[str]
    data: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(slots=True, kw_only=True)
class Result:
    """What a run measured. Times in seconds, memory in bytes."""

    id: str
    transport: str
    failures: list[str] = field(default_factory=list)
    slow: int = 0
    """How many of them are slowness and nothing else."""
    tries: int = 1
    p99_s: dict[str, float] = field(default_factory=dict)
    sink_p99_s: dict[str, float] = field(default_factory=dict)
    samples: dict[str, int] = field(default_factory=dict)
    grown_bytes: int = 0
    workers_grown_bytes: int = 0
    loop_cpu_s: float = 0.0
    sent_bytes: int = 0
    sent_pieces: int = 0
    opened: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    verdict_s: float | None = None
    drain_s: float | None = None
    log_lines: int = 0
    log_events: dict[str, int] = field(default_factory=dict)

    @property
    def is_green(self) -> bool:
        """Nobody was hurt."""
        return not self.failures

    @property
    def is_only_slow(self) -> bool:
        """Somebody was hurt, by slowness alone."""
        return 0 < self.slow == len(self.failures)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)
