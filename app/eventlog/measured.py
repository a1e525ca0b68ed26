"""A log that tells the observer when the one behind it cannot do what it is asked."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from app.eventlog.port import Commit, Cursor, EventLog, LogUnavailable, Subscription
from app.game import GameEvent
from app.telemetry.observer import LogOp, Observer


class MeasuredEventLog:
    """See the module; otherwise it is the log behind it."""

    def __init__(self, log: EventLog, observer: Observer) -> None:
        self._log = log
        self._observer = observer
        self.shared = log.shared

    async def open(self) -> None:
        """See `EventLog.open`."""
        with self._counted(LogOp.OPEN):
            await self._log.open()

    async def close(self) -> None:
        """See `EventLog.close`."""
        await self._log.close()

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Cursor:
        """See `EventLog.append`."""
        with self._counted(LogOp.APPEND):
            return await self._log.append(game_id, after, events)

    async def read(self, game_id: str, after_seq: int = 0) -> list[Commit]:
        """See `EventLog.read`."""
        with self._counted(LogOp.READ):
            return await self._log.read(game_id, after_seq)

    async def subscribe(self, game_id: str, deliver: Callable[[Commit], None]) -> Subscription:
        """See `EventLog.subscribe`."""
        with self._counted(LogOp.SUBSCRIBE):
            return await self._log.subscribe(game_id, deliver)

    async def open_games(self) -> list[str]:
        """See `EventLog.open_games`."""
        with self._counted(LogOp.OPEN_GAMES):
            return await self._log.open_games()

    async def expire(self, ended_before: int, now: int) -> int:
        """See `EventLog.expire`."""
        with self._counted(LogOp.EXPIRE):
            return await self._log.expire(ended_before, now)

    async def claim(self, key: str, until: int) -> bool:
        """See `EventLog.claim`."""
        with self._counted(LogOp.CLAIM):
            return await self._log.claim(key, until)

    @contextlib.contextmanager
    def _counted(self, op: LogOp) -> Iterator[None]:
        try:
            yield
        except LogUnavailable:
            self._observer.event_log_failed(op)
            raise
