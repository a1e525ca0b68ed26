"""An event log and its coordination, measured: what is asked of them, and what they report."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from msgspec.structs import replace

from app.eventlog import (
    START,
    Commit,
    Conflict,
    Coordination,
    Cursor,
    EventLog,
    LogListener,
    LogUnavailable,
    Subscription,
)
from app.game import GameEvent
from app.telemetry.observer import Observer
from app.telemetry.tracer import Value
from app.vocabulary import AppendOutcome, LogOp, LogTrouble, SpanName


class MeasuredEventLog:
    """The event log `log`, with its calls and what it reports measured."""

    def __init__(self, log: EventLog, observer: Observer) -> None:
        self.shared = log.shared
        self.coordination: Coordination = MeasuredCoordination(log.coordination, observer)
        self._log = log
        self._observer = observer

    def reread_user(self) -> None:
        """Read the files again that say who connects. Raises SettingsError."""
        self._log.reread_user()

    def listen(self, listener: LogListener) -> None:
        """Measure what the log reports, and pass on what there is to do about."""
        self._log.listen(_MeasuredListener(listener, self._observer))

    async def open(self) -> None:
        """Open the log."""
        with _Measured(self._observer, LogOp.OPEN):
            await self._log.open()

    async def abandon(self, why: LogUnavailable) -> None:
        """Abandon the log, and tell why."""
        self._observer.event_log_troubled(why.trouble, f"nothing waits for it any more: {why}")
        await self._log.abandon(why)

    async def close(self) -> None:
        """Close the log."""
        await self._log.close()

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Append one commit, and measure that and what happened; its events carry the trace they came about in."""
        attributes: dict[str, Value] = {"game.id": game_id, "events": len(events)}
        with self._observer.tracer.child(SpanName.APPEND, attributes) as span:
            if span is not None:
                events = [replace(event, traceparent=span.traceparent) for event in events]
            started, outcome = time.perf_counter(), AppendOutcome.ACCEPTED
            try:
                commit = await self._log.append(game_id, after, events)
            except Conflict:
                outcome = AppendOutcome.CONFLICT
                raise
            except LogUnavailable as error:
                outcome = AppendOutcome.UNAVAILABLE
                self._observer.event_log_failed(LogOp.APPEND, error.trouble)
                raise
            finally:
                self._observer.append(outcome, time.perf_counter() - started, span.trace_id if span else None)
        for event in commit.events:
            self._observer.event(game_id, event)
        return commit

    async def replace(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Replace a game's commits."""
        with _Measured(self._observer, LogOp.ERASE):
            return await self._log.replace(game_id, after, events)

    async def scrub(self) -> None:
        """Scrub the disk."""
        with _Measured(self._observer, LogOp.ERASE):
            await self._log.scrub()

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        """Read commits."""
        with _Measured(self._observer, LogOp.READ):
            return await self._log.read(game_id, after)

    async def subscribe(self, game_id: str, deliver: Callable[[Commit], None]) -> Subscription:
        """Subscribe to commits."""
        with _Measured(self._observer, LogOp.SUBSCRIBE):
            return await self._log.subscribe(game_id, deliver)

    async def behind(self, cursors: Mapping[str, Cursor]) -> list[str]:
        """Find games that have gone on."""
        with _Measured(self._observer, LogOp.BEHIND):
            return await self._log.behind(cursors)

    async def probe(self) -> None:
        """Write something small."""
        with _Measured(self._observer, LogOp.PROBE):
            await self._log.probe()

    async def games(self) -> list[str]:
        """List all games."""
        with _Measured(self._observer, LogOp.OPEN_GAMES):
            return await self._log.games()

    async def open_games(self) -> list[str]:
        """List the games that have not finished."""
        with _Measured(self._observer, LogOp.OPEN_GAMES):
            return await self._log.open_games()

    async def expire(self, ended_before: int) -> int:
        """Remove games."""
        with _Measured(self._observer, LogOp.EXPIRE):
            return await self._log.expire(ended_before)

    async def usage(self) -> tuple[int, int]:
        """Measure how full the log is."""
        with _Measured(self._observer, LogOp.USAGE):
            return await self._log.usage()


class MeasuredCoordination:
    """The coordination `coordination`, with its calls measured."""

    def __init__(self, coordination: Coordination, observer: Observer) -> None:
        self.shared = coordination.shared
        self._coordination = coordination
        self._observer = observer

    async def claim(self, key: str, ttl_s: float) -> bool:
        """Claim a key."""
        with _Measured(self._observer, LogOp.CLAIM):
            return await self._coordination.claim(key, ttl_s)

    async def count(self, key: str, ttl_s: float) -> int:
        """Count a key."""
        with _Measured(self._observer, LogOp.COUNT):
            return await self._coordination.count(key, ttl_s)

    async def keep(self, topic: str, key: str, value: bytes) -> None:
        """Keep a note."""
        with _Measured(self._observer, LogOp.NOTES):
            await self._coordination.keep(topic, key, value)

    async def forget(self, topic: str, key: str) -> None:
        """Remove a note."""
        with _Measured(self._observer, LogOp.NOTES):
            await self._coordination.forget(topic, key)

    async def kept(self, topic: str) -> dict[str, bytes]:
        """Read notes."""
        with _Measured(self._observer, LogOp.NOTES):
            return await self._coordination.kept(topic)

    async def expire(self, now: int) -> None:
        """Remove claims and counts."""
        with _Measured(self._observer, LogOp.EXPIRE):
            await self._coordination.expire(now)

    async def heartbeat(self, instance: str, ttl_s: float) -> float:
        """Announce a process."""
        with _Measured(self._observer, LogOp.REPLICAS):
            return await self._coordination.heartbeat(instance, ttl_s)

    async def withdraw(self, instance: str) -> None:
        """Withdraw a process."""
        with _Measured(self._observer, LogOp.REPLICAS):
            await self._coordination.withdraw(instance)

    async def instances(self) -> frozenset[str]:
        """List the processes."""
        with _Measured(self._observer, LogOp.REPLICAS):
            return await self._coordination.instances()

    def broadcast(self, topic: str, payload: bytes) -> None:
        """Send a broadcast; one that is dropped is reported by the log."""
        self._coordination.broadcast(topic, payload)

    async def subscribe(self, topic: str, receive: Callable[[bytes], None]) -> Subscription:
        """Subscribe to broadcasts."""
        with _Measured(self._observer, LogOp.SUBSCRIBE):
            return await self._coordination.subscribe(topic, receive)


class _MeasuredListener(LogListener):
    def __init__(self, listener: LogListener, observer: Observer) -> None:
        self._listener = listener
        self._observer = observer

    def on_trouble(self, trouble: LogTrouble, detail: str) -> None:
        self._observer.event_log_troubled(trouble, detail)
        self._listener.on_trouble(trouble, detail)

    def on_restored(self) -> None:
        self._listener.on_restored()

    def on_broadcast_dropped(self) -> None:
        self._observer.broadcast_dropped()
        self._listener.on_broadcast_dropped()

    def on_fault(self, where: str, error: BaseException) -> None:
        self._observer.fault(where, error)  # which is all there is to do about it


class _Measured:
    """A block in which what the log could not do is counted; as a generator it would cost three times as much."""

    __slots__ = ("_observer", "_op")

    def __init__(self, observer: Observer, op: LogOp) -> None:
        self._observer = observer
        self._op = op

    def __enter__(self) -> None:
        """Do nothing: there is nothing to prepare."""

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, LogUnavailable):
            self._observer.event_log_failed(self._op, error.trouble)
