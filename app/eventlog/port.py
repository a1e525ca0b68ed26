"""The port: compare-and-append, read, subscribe.

One commit holds 1..n events and is atomic. The `Cursor` of a commit is the backend's own and opaque: a row
of SQLite, a stream sequence of JetStream. `seq` lives in the events.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NewType, Protocol

from msgspec import Struct

from app.game import GameEvent
from app.vocabulary import LogTrouble

Cursor = NewType("Cursor", int)
START = Cursor(0)
"""The cursor before the first commit of a game."""


class Commit(Struct, frozen=True):
    """Events that were accepted together, and where they ended.

    `accepted_at` is when the log took them (epoch seconds, the log's clock); None where they are read again.
    """

    cursor: Cursor
    events: tuple[GameEvent, ...]
    accepted_at: float | None = None


class Conflict(Exception):  # noqa: N818 - an answer of the log, not a fault
    """Somebody else appended after the cursor given: read on, decide again."""


class LogUnavailable(Exception):  # noqa: N818 - a state of the log
    """The log cannot be reached or written now; nothing is known to be accepted. `trouble` says what is wrong."""

    def __init__(self, message: str = "", trouble: LogTrouble = LogTrouble.OTHER) -> None:
        super().__init__(message)
        self.trouble = trouble

    @property
    def is_away(self) -> bool:
        """Whether the log as a whole cannot be reached, for whatever game."""
        return self.trouble in _AWAY


_AWAY: Final = {LogTrouble.UNREACHABLE, LogTrouble.TIMEOUT, LogTrouble.NO_LEADER, LogTrouble.NO_STREAM}


class LogInUse(LogUnavailable):
    """Another process owns the log; the message says which, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message, LogTrouble.MISCONFIGURED)


class Subscription(Protocol):
    """A running subscription."""

    def close(self) -> None:
        """Stop delivering; closing twice is allowed."""


class LogOwner(Protocol):
    """Whom a log tells what happens to it by itself."""

    def troubled(self, trouble: LogTrouble, detail: str) -> None:
        """Something is wrong with the log, whether or not anybody asks it for something."""

    def returned(self) -> None:
        """The log was away and is back: commits may have been missed."""

    def untold(self) -> None:
        """Something that was to be told (`EventLog.tell`) was dropped."""

    def failed(self, where: str, error: BaseException) -> None:
        """A subscriber raised; the others have been told, and whoever appended is answered."""


class EventLog(Protocol):
    """What every backend does; the same test suite holds each to it.

    All that asks the log for something raises LogUnavailable where it cannot be had.
    """

    shared: bool
    """Whether other replicas append to the same log."""

    def listen(self, owner: LogOwner) -> None:
        """Tell `owner` from now on."""

    async def open(self) -> None:
        """Connect and prepare; an embedded log that is open already stays so, one that another has raises LogInUse."""

    async def close(self) -> None:
        """Write what is under way and let go."""

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Cursor:
        """Append one commit if `after` is still the game's last cursor.

        When it returns, the events survive whatever the backend promises to survive.

        Raises:
            Conflict: the game has moved on.
            LogUnavailable: the log could not take it, or it is not known whether it did.
        """

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        """All commits after `after`, in order, up to the last one accepted; empty where the game is absent."""

    async def subscribe(
        self, game_id: str, deliver: Callable[[Commit], None], hear: Callable[[bytes], None] | None = None
    ) -> Subscription:
        """Call `deliver` for every commit accepted from now on, in order, on the event loop.

        A shared log may miss some: see `behind`. `hear` is called with what others `tell`.
        """

    def tell(self, game_id: str, payload: bytes) -> None:
        """Say something to those on other replicas who have subscribed to a game; it is not kept, and may be lost."""

    async def behind(self, cursors: Mapping[str, Cursor]) -> list[str]:
        """Which of these games have gone on beyond the cursor given, as far as is known."""

    async def probe(self) -> None:
        """Write something small, that nobody reads, as a commit would be written."""

    async def games(self) -> list[str]:
        """Ids of all games, in no order."""

    async def open_games(self) -> list[str]:
        """Ids of the games that have not finished; of a shared log also such as have only just."""

    async def expire(self, ended_before: int, now: int) -> int:
        """Remove, whole, the games that finished before `ended_before` (epoch ms); how many were removed.

        Claims that ended before `now` are removed too.
        """

    async def claim(self, key: str, ttl_s: float) -> bool:
        """Create `key` if it is not there: True for the first to ask, on whichever replica; kept so long or longer."""

    async def count(self, key: str, ttl_s: float) -> int:
        """Count `key` once more, on whichever replica: how often by now; remembered so long or longer from then on."""

    async def beat(self, instance: str, ttl_s: float) -> float:
        """Say that a server process lives, for so long; when that was by the log's clock (epoch seconds)."""

    async def withdraw(self, instance: str) -> None:
        """Say that a server process is gone."""

    async def instances(self) -> frozenset[str]:
        """The server processes that live."""

    async def usage(self) -> tuple[int, int]:
        """Bytes that the log takes, and the most it may take; 0 for no limit."""
