"""All replicas, as the operator reaches them: each by its URL, or through the one that is asked."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from app.operator.commands import Reach
from app.operator.service import CannotAskError, OpsService

AT_ONCE: Final = 16


class Target(NamedTuple):
    """Whom a question goes to: the service at a URL, a replica by name through it, or all replicas as one."""

    service: OpsService
    replica: str | None = None
    is_for_all: bool = False
    label: str = ""

    @property
    def name(self) -> str:
        """What it is called where something is said of it."""
        return self.label or self.replica or self.service.url

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Ask it. Raises CannotAskError."""
        return self.send("GET", path, query)

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Ask it by any method. Raises CannotAskError."""
        return self.service.send(method, path, self._query(query), body)

    def text(self, path: str, query: Mapping[str, object]) -> str:
        """Ask it for a text. Raises CannotAskError."""
        return self.service.text("GET", path, self._query(query))

    def _query(self, query: Mapping[str, object] | None) -> dict[str, object]:
        return {**(query or {}), "replica": self.replica, "replicas": "all" if self.is_for_all else None}


Ask = Callable[[Target], Any]
"""A question that is put to each."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What each answered, by its name, and why the others did not."""

    by_name: Mapping[str, Any]
    missing: Mapping[str, CannotAskError]

    @property
    def unheard(self) -> list[str]:
        """Say who could not be asked; that it has no such thing is an answer."""
        return [f"{name}: {error}" for name, error in self.missing.items() if not error.is_gone]


class Consoles:
    """The replicas behind some URLs: one URL is asked for the others too, several stand for themselves."""

    def __init__(self, services: Iterable[OpsService], replica: str | None = None) -> None:
        self._services = tuple(services)
        self._replica = replica

    @property
    def urls(self) -> tuple[str, ...]:
        """Where it is asked."""
        return tuple(one.url for one in self._services)

    @property
    def _named(self) -> tuple[Target, ...]:
        return tuple(Target(one, self._replica) for one in self._services)

    def all(self) -> tuple[Target, ...]:
        """List all replicas. Raises CannotAskError: the only one that was named does not answer."""
        if self._replica or len(self._services) > 1:
            return self._named
        (service,) = self._services
        rows = service.get("/replicas")["rows"]
        count = Counter(row["replica"] for row in rows)
        return tuple(
            Target(service, row["instance"], label=row["replica"] if count[row["replica"]] == 1 else row["instance"])
            for row in rows
        )

    def ask(self, reach: Reach, ask: Ask, *, is_everywhere: bool = False) -> Answers:
        """Ask those that a question is for, `is_everywhere` all of them."""
        match reach:
            case Reach.OWNER:
                return _first(self.all(), ask)
            case Reach.ANY:
                return _first(self._named, ask)
            case Reach.LIST if not self._replica and len(self._services) == 1:
                return _each((Target(self._services[0], is_for_all=True),), ask)
            case Reach.ONE if not is_everywhere:
                return _each(self._named, ask)
            case _:
                return _each(self.all(), ask)


def _each(targets: Sequence[Target], ask: Ask) -> Answers:
    """Ask all at once."""

    def one(target: Target) -> Any:  # noqa: ANN401 - JSON
        try:
            return ask(target)
        except CannotAskError as error:
            return error

    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = dict(zip((target.name for target in targets), pool.map(one, targets), strict=True))
    return Answers(
        {name: one for name, one in told.items() if not isinstance(one, CannotAskError)},
        {name: one for name, one in told.items() if isinstance(one, CannotAskError)},
    )


def _first(targets: Iterable[Target], ask: Ask) -> Answers:
    """Ask one after the other, until one has it."""
    missing: dict[str, CannotAskError] = {}
    for target in targets:
        try:
            return Answers({target.name: ask(target)}, {})
        except CannotAskError as error:
            missing[target.name] = error
    return Answers({}, missing)
