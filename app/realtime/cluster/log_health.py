"""Appending to the event log, measured; and whether the log takes anything at all."""

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
SLOW_S: Final = 1.0


class Appender:
    """The way into the log. `reachable` is whether it took the last thing; while it did not, `watch` tries again."""

    def __init__(self, log: EventLog, observer: Observer) -> None:
        self.reachable = not log.shared  # a shared one has to be reached first
        self.lost_at = time.monotonic()
        self._log = log
        self._observer = observer
        self._lost = asyncio.Event()

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Append one commit and tell the observer how that went and what happened.

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
                self._note(str(error))
            raise
        finally:
            duration_s = time.perf_counter() - started
            self._observer.append(outcome, duration_s, trace_id)
            if duration_s > SLOW_S:
                self._observer.log_slow(duration_s)
        self._note(None)
        return cursor

    async def watch(self, restored: Callable[[], Awaitable[None]]) -> None:
        """For ever: once the log is lost, write something small to it until it takes that; then call `restored`."""
        while True:
            await self._lost.wait()
            try:
                await self._log.probe()
                self._note(None)
                self._lost.clear()
                await restored()
            except LogUnavailable as error:
                self.lose(str(error))
                await asyncio.sleep(PROBE_INTERVAL_S)
            except Exception as error:  # noqa: BLE001 - whoever gave up here would never find the log again
                self._observer.fault("event log", error)
                await asyncio.sleep(PROBE_INTERVAL_S)

    def lose(self, fault: str) -> None:
        """The log is away, or what followed from its return could not be done."""
        self._note(fault)
        self._lost.set()

    def doubt(self) -> None:
        """The log may be away, or have been: a probe finds out."""
        self._lost.set()

    def reach(self) -> None:
        """The log is there for the first time: nothing was lost that could be restored."""
        self.reachable = True

    def _note(self, fault: str | None) -> None:
        reachable = fault is None
        if reachable is self.reachable:
            return
        self.reachable = reachable
        if not reachable:
            self.lost_at = time.monotonic()
            self._lost.set()
        self._observer.event_log(reachable, fault or "")
