"""Whether the event log takes anything at all; and appending to it, measured.

Whoever asks the log for something notes here how that went, and the log itself reports what becomes of it. While
the log is lost `watch` writes something small to it again and again, until it takes that.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec.structs import replace

from app.eventlog import Commit, Conflict, Cursor, EventLog, LogUnavailable
from app.game import GameEvent
from app.telemetry.observer import Observer
from app.telemetry.tracer import Value
from app.vocabulary import AppendOutcome, LogTrouble, SpanName

PROBE_INTERVAL_S: Final = 1.0


class LogHealth:
    """Follows the event log: `reachable` is whether it took the last thing, `lost_at` when it last stopped doing so.

    A shared log is reached once: nobody is let in before. It is the log's `LogOwner`.
    """

    def __init__(self, log: EventLog, observer: Observer) -> None:
        self.reachable = not log.shared  # a shared one has to be reached first
        self.lost_at = time.monotonic()
        self._log = log
        self._observer = observer
        self._reached = asyncio.Event()
        self._probe_due = asyncio.Event()

    @property
    def is_reached(self) -> bool:
        """Whether the log has been reached, once."""
        return self._reached.is_set()

    async def wait_reached(self) -> None:
        """Wait until the log has been reached."""
        await self._reached.wait()

    def reach(self) -> None:
        """Note that the log is there for the first time: nothing was lost that could be restored."""
        self.reachable = True
        self._reached.set()

    async def watch(self, restored: Callable[[], Awaitable[None]]) -> None:
        """For ever: once the log is lost, write something small to it until it takes that; then call `restored`."""
        while True:
            await self._probe_due.wait()
            try:
                await self._log.probe()
                self.note(None)
                self._probe_due.clear()
                await restored()
            except LogUnavailable as error:
                self.lose(str(error))
                await asyncio.sleep(PROBE_INTERVAL_S)
            except Exception as error:  # noqa: BLE001 - whoever gave up here would never find the log again
                self.failed("event log", error)
                self._probe_due.set()  # what was missed is still to be read
                await asyncio.sleep(PROBE_INTERVAL_S)

    def lose(self, fault: str) -> None:
        """Note that the log is away, or that what followed from its return could not be done."""
        self.note(fault)
        self._probe_due.set()

    def note(self, fault: str | None) -> None:
        """Note how the last thing that was asked of the log went; None where it went well."""
        reachable = fault is None
        if reachable is self.reachable:
            return
        self.reachable = reachable
        if not reachable:
            self.lost_at = time.monotonic()
            self._probe_due.set()
        self._observer.event_log(reachable, fault or "")

    def note_failure(self, where: str, error: LogUnavailable) -> None:
        """Note that background work was refused by the log: where the log is away, that is reported as such, once."""
        if error.is_away:
            self.lose(str(error))
        else:
            self.failed(where, error)

    def _probe(self) -> None:
        """Have a probe find out whether the log is away, or has been: then what was missed is read."""
        if self.is_reached:
            self._probe_due.set()

    # ---------------------------------------------------------------- what the log reports

    def troubled(self, trouble: LogTrouble, detail: str) -> None:
        """Something is wrong with the log, whether or not anybody asks it for something."""
        self._observer.event_log_troubled(trouble, detail)
        if trouble is LogTrouble.UNREACHABLE:
            self._probe()

    def returned(self) -> None:
        """The log was away and is back: commits may have been missed."""
        self._probe()

    def untold(self) -> None:
        """An ephemeral broadcast was dropped."""
        self._observer.log_untold()

    def failed(self, where: str, error: BaseException) -> None:
        """A fault of the background, or of a subscriber: the others go on."""
        self._observer.fault(where, error)


class Appender:
    """The way into the log for events."""

    def __init__(self, log: EventLog, health: LogHealth, observer: Observer) -> None:
        self._log = log
        self._health = health
        self._observer = observer

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Append one commit and measure how that went and what happened.

        Its events carry the trace they came about in. Raises Conflict, LogUnavailable.
        """
        attributes: dict[str, Value] = {"game.id": game_id, "events": len(events)}
        with self._observer.tracer.child(SpanName.APPEND, attributes) as span:
            if span is not None:
                events = [replace(event, traceparent=span.traceparent) for event in events]
            cursor = await self._append(game_id, after, events, span.trace_id if span else None)
        for event in events:
            self._observer.event(game_id, event)
        return Commit(cursor, tuple(events), time.time())

    async def _append(self, game_id: str, after: Cursor, events: Sequence[GameEvent], trace_id: str | None) -> Cursor:
        started = time.perf_counter()
        outcome = AppendOutcome.ACCEPTED
        try:
            cursor = await self._log.append(game_id, after, events)
        except Conflict:
            outcome = AppendOutcome.CONFLICT
            raise
        except LogUnavailable as error:
            outcome = AppendOutcome.UNAVAILABLE
            if error.trouble is not LogTrouble.BUSY:  # it is there, and has enough to do
                self._health.note(str(error))
            raise
        finally:
            self._observer.append(outcome, time.perf_counter() - started, trace_id)
        self._health.note(None)
        return cursor
