"""The port: compare-and-append, read, subscribe.

One commit holds 1..n events and is atomic. The `Cursor` of a commit is the backend's own and opaque: a row
of SQLite, a stream sequence of JetStream. `seq` lives in the events.
"""

from collections.abc import Callable, Sequence
from typing import NewType, Protocol

from msgspec import Struct

from app.game import GameEvent

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
    """The log cannot be reached or written now; nothing is known to be accepted."""


class Subscription(Protocol):
    """A running subscription."""

    def close(self) -> None:
        """Stop delivering; closing twice is allowed."""


class EventLog(Protocol):
    """What every backend does; the same test suite holds each to it."""

    shared: bool
    """Whether other replicas append to the same log."""

    async def open(self) -> None:
        """Connect and prepare. Raises LogUnavailable."""

    async def close(self) -> None:
        """Write what is under way and let go."""

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Cursor:
        """Append one commit if `after` is still the game's last cursor.

        When it returns, the events survive whatever the backend promises to survive.

        Raises:
            Conflict: the game has moved on.
            LogUnavailable: the log could not take it.
        """

    async def read(self, game_id: str, after_seq: int = 0) -> list[Commit]:
        """All commits holding an event with ``seq > after_seq``, in order; empty where the game is absent.

        Raises:
            LogUnavailable: the log could not be read.
        """

    async def subscribe(self, game_id: str, deliver: Callable[[Commit], None]) -> Subscription:
        """Call `deliver` for every commit accepted from now on, in order, on the event loop."""

    async def open_games(self) -> list[str]:
        """Ids of the games that have not finished."""

    async def expire(self, ended_before: int, now: int) -> int:
        """Remove, whole, the games that finished before `ended_before` (epoch ms); how many were removed.

        Claims that ended before `now` are removed too.
        """

    async def claim(self, key: str, until: int) -> bool:
        """Create `key` if it is not there: True for the first to ask, on whichever replica; kept until `until` (ms).

        Raises:
            LogUnavailable: it cannot be told whether somebody was first.
        """
