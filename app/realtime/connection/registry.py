"""The connections of this replica: opened, counted, ended. What they are connected to is not known here."""

import asyncio
import contextlib
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from app.aio.tasks import TaskOwner
from app.aio.timing_wheel import TimingWheel
from app.protocol import Close
from app.rate_limits import BUSY_RETRY_S, LimitPolicy, spread_ms
from app.realtime.connection.context import ConnectionContext
from app.realtime.connection.outbox import Outboxes
from app.realtime.connection.session import Session
from app.realtime.identity import Verify
from app.settings import Settings
from app.telemetry.bulkhead import Bulkhead
from app.telemetry.observer import Opened
from app.transport import Transport

SHED_RETRY_S: Final = (5.0, 30.0)


class Released(Protocol):
    """What a connection takes, and gives back at its end."""

    def release(self) -> None:
        """Give it back."""


class _NoSlot:
    def release(self) -> None:
        """Do nothing."""


_NO_SLOT: Final = _NoSlot()


class Connections:
    """All sessions, in the order they were opened, and what they share.

    `now` is the games' clock in epoch milliseconds; `on_end` is called once with each session that is over.
    """

    def __init__(
        self,
        settings: Settings,
        verify: Verify,
        policy: LimitPolicy,
        now: Callable[[], int],
        on_end: Callable[[Session], None],
    ) -> None:
        self._observer = observer = policy.observer
        self.wheel = TimingWheel(observer.fault)
        self.outboxes = Outboxes(observer, settings.outbox_max_bytes, settings.outbox_max_age_s)
        self._bulkhead = Bulkhead(observer.fault, "hub")
        self._handling = TaskOwner(observer.fault)
        self._context = ConnectionContext(
            settings,
            settings,
            settings,
            observer,
            policy,
            verify,
            now,
            self.wheel,
            self.outboxes,
            self._bulkhead,
            observer.fault,
            self._handling.spawn,
        )
        self._max_age_s = settings.max_connection_age_s
        self._on_end = on_end
        self._sessions: dict[Session, Released] = {}  # and what gives back the room each takes
        self._finished = self._finish  # one for all: each one made takes room, in every connection
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions)

    def open(self, opened: Opened, transport: Transport, slot: Released | None = None) -> Session:
        """Open an accepted connection, accounted for from here to its end.

        Whoever calls this calls `Session.begin` after it, whatever happens; `slot` is released at the end.
        """
        session = Session(opened, transport, self._context, self._finished)
        if self._max_age_s:
            session.expiry.end_at_age(self._max_age_s * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
        self._sessions[session] = slot or _NO_SLOT
        self._observer.opened(opened)
        session.attach()
        return session

    def _finish(self, session: Session) -> None:
        """Account for a session that is over and whose messages are handled; called once."""
        slot = self._sessions.pop(session)
        with self._bulkhead:
            self._on_end(session)
        session.expiry.stop()
        with self._bulkhead:  # whatever is wrong with its record, its slot is free
            self._observer.closed(session.summary())
        if not self._sessions:
            self._empty.set()
        slot.release()
        session.forget()

    # ---------------------------------------------------------------- ending many

    def closing_order(self, ranks: Mapping[Session, int]) -> list[Session]:
        """Return all connections by rank, the oldest first; one without a rank is of rank 0."""
        return sorted(self._sessions, key=lambda session: ranks.get(session, 0))

    def find(self, connection_id: str) -> Session | None:
        """Return a connection that is open; None where there is none of this id, or none any more."""
        return next((one for one in self._sessions if one.connection_id == connection_id and one.is_open), None)

    def put_out(self, session: Session, text: str, *, comes_back: bool) -> None:
        """End a connection for an operator, who lets its player come back, or does not."""
        with self._bulkhead:
            if comes_back:
                session.close(Close.DRAINING, text, spread_ms(*BUSY_RETRY_S))
            else:
                session.close(Close.FORBIDDEN, text)

    def close_player(self, player_id: str, text: str, *, comes_back: bool) -> int:
        """End all connections of a player for an operator; how many those were."""
        theirs = [one for one in self._sessions if one.player_id == player_id and one.is_open]
        for session in theirs:
            self.put_out(session, text, comes_back=comes_back)
        return len(theirs)

    async def wait_empty(self, timeout_s: float) -> None:
        """Wait for the end of all connections; those of peers that do not answer are cut after a while anyway."""
        self._empty.clear()
        if self._sessions:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._empty.wait()

    def shed(self, share: float) -> int:
        """End the newest connections: a share of all, at least one; how many that were."""
        count = math.ceil(len(self._sessions) * share)
        newest = list(itertools.islice((one for one in reversed(self._sessions) if one.ended is None), count))
        for session in newest:
            with self._bulkhead:
                session.close(Close.OVERLOADED, retry_after_ms=spread_ms(*SHED_RETRY_S))
        return len(newest)

    async def close(self) -> None:
        """Stop handling messages; connections must have ended before."""
        await self._handling.close()
