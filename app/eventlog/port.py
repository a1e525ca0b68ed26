"""The port for the log: compare-and-append, read, subscribe.

One commit holds 1..n events and is atomic. The `Cursor` of a commit is the backend's own and opaque: a row
of SQLite, a stream sequence of JetStream. `seq` lives in the events.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NewType, Protocol

from msgspec import Struct

from app.eventlog.coordination import Coordination, Subscription
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
        """Tell whether the log as a whole cannot be reached, for whatever game."""
        return self.trouble in _AWAY


_AWAY: Final = {LogTrouble.UNREACHABLE, LogTrouble.TIMEOUT, LogTrouble.NO_LEADER, LogTrouble.NO_STREAM}


class LogInUse(LogUnavailable):
    """Another process owns the log; the message says which, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message, LogTrouble.MISCONFIGURED)


class LogListener:
    """Receives what a log reports of itself, whether or not anybody asks it for something; this one ignores it.

    Only faults are never ignored: where nobody listens, the event loop's exception handler gets them.
    """

    def on_trouble(self, trouble: LogTrouble, detail: str) -> None:
        """Note that something is wrong with the log."""

    def on_restored(self) -> None:
        """Handle the log's return: commits may have been missed."""

    def on_broadcast_dropped(self) -> None:
        """Count a broadcast (`Coordination.broadcast`) that was not sent."""

    def on_fault(self, where: str, error: BaseException) -> None:
        """Report what a subscriber or background work raised; others got theirs, and whoever appended is answered."""
        asyncio.get_running_loop().call_exception_handler({"message": where, "exception": error})


class EventLog(Protocol):
    """One append-only log per game; the same test suite holds each backend to it.

    Asking for something raises LogUnavailable where it cannot be had.
    """

    shared: bool
    """Whether other replicas append to the same log."""

    @property
    def coordination(self) -> Coordination:
        """What the replicas that share the log agree on; it is opened and closed with the log."""

    def listen(self, listener: LogListener) -> None:
        """Report to `listener` from now on."""

    def reread_user(self) -> None:
        """Read the files again that say who connects to it; who they say is who connects the next time.

        Raises:
            SettingsError: one cannot be used; those before stay.
        """

    async def open(self) -> None:
        """Connect and prepare; an embedded log that is open already stays so, one that another has raises LogInUse."""

    async def abandon(self, why: LogUnavailable) -> None:
        """Wait for nothing any more: what is under way fails at once where it waits for others, and what is asked then.

        Only `close` comes after it, and waits for nothing either.
        """

    async def close(self) -> None:
        """Write what is under way and let go."""

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Append one commit if `after` is still the game's last cursor.

        When it returns, the events survive whatever the backend promises to survive.

        Raises:
            Conflict: the game has moved on.
            LogUnavailable: the log could not take it, or it is not known whether it did.
        """

    async def replace(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Put one commit in place of all that a game has that has ended: nothing else of it can be read any more.

        `events` are as many as there were, of the same kinds.

        Raises:
            Conflict: `after` is not the game's last cursor.
            LogUnavailable: the log could not take it, or it is not known whether it did.
        """

    async def scrub(self) -> None:
        """Have nothing be left on the disk of what was replaced, where that is not so yet; others wait meanwhile."""

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        """Read all commits after `after`, in order, up to the last one accepted; none where the game is absent.

        Raises LogUnavailable, `LogTrouble.UNREADABLE` where one of them is of a newer release, or damaged.
        """

    async def subscribe(self, game_id: str, deliver: Callable[[Commit], None]) -> Subscription:
        """Call `deliver` for every commit accepted from now on, in order, on the event loop.

        A shared log may miss some: `behind` finds the games that have gone on unnoticed.
        """

    async def behind(self, cursors: Mapping[str, Cursor]) -> list[str]:
        """Find which of these games have gone on beyond the cursor given, as far as is known."""

    async def probe(self) -> None:
        """Write something small, that nobody reads, as a commit would be written."""

    async def games(self) -> list[str]:
        """List the ids of all games, in no order."""

    async def open_games(self) -> list[str]:
        """List the ids of the games that have not finished; of a shared log also such as have only just."""

    async def expire(self, ended_before: int) -> int:
        """Remove, whole, the games that finished before `ended_before` (epoch ms); how many were removed."""

    async def usage(self) -> tuple[int, int]:
        """Measure the bytes that the log takes, and the most it may take; 0 for no limit."""
