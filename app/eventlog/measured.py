"""A log that tells the observer when the one behind it cannot do what it is asked."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from app.eventlog.port import START, Commit, Cursor, EventLog, LogOwner, LogUnavailable, Subscription
from app.game import GameEvent
from app.telemetry.observer import Observer
from app.vocabulary import LogOp


class MeasuredEventLog:
    """See the module; otherwise it is the log behind it."""

    def __init__(self, log: EventLog, observer: Observer) -> None:
        self._log = log
        self._observer = observer
        self.shared = log.shared

    def listen(self, owner: LogOwner) -> None:
        """See `EventLog.listen`."""
        self._log.listen(owner)

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

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        """See `EventLog.read`."""
        with self._counted(LogOp.READ):
            return await self._log.read(game_id, after)

    async def subscribe(
        self, game_id: str, deliver: Callable[[Commit], None], hear: Callable[[bytes], None] | None = None
    ) -> Subscription:
        """See `EventLog.subscribe`."""
        with self._counted(LogOp.SUBSCRIBE):
            return await self._log.subscribe(game_id, deliver, hear)

    def tell(self, game_id: str, payload: bytes) -> None:
        """See `EventLog.tell`."""
        self._log.tell(game_id, payload)

    async def behind(self, cursors: Mapping[str, Cursor]) -> list[str]:
        """See `EventLog.behind`."""
        with self._counted(LogOp.BEHIND):
            return await self._log.behind(cursors)

    async def probe(self) -> None:
        """See `EventLog.probe`."""
        with self._counted(LogOp.PROBE):
            await self._log.probe()

    async def games(self) -> list[str]:
        """See `EventLog.games`."""
        with self._counted(LogOp.OPEN_GAMES):
            return await self._log.games()

    async def open_games(self) -> list[str]:
        """See `EventLog.open_games`."""
        with self._counted(LogOp.OPEN_GAMES):
            return await self._log.open_games()

    async def expire(self, ended_before: int, now: int) -> int:
        """See `EventLog.expire`."""
        with self._counted(LogOp.EXPIRE):
            return await self._log.expire(ended_before, now)

    async def claim(self, key: str, ttl_s: float) -> bool:
        """See `EventLog.claim`."""
        with self._counted(LogOp.CLAIM):
            return await self._log.claim(key, ttl_s)

    async def count(self, key: str, ttl_s: float) -> int:
        """See `EventLog.count`."""
        with self._counted(LogOp.COUNT):
            return await self._log.count(key, ttl_s)

    async def beat(self, instance: str, ttl_s: float) -> float:
        """See `EventLog.beat`."""
        with self._counted(LogOp.REPLICAS):
            return await self._log.beat(instance, ttl_s)

    async def withdraw(self, instance: str) -> None:
        """See `EventLog.withdraw`."""
        with self._counted(LogOp.REPLICAS):
            await self._log.withdraw(instance)

    async def instances(self) -> frozenset[str]:
        """See `EventLog.instances`."""
        with self._counted(LogOp.REPLICAS):
            return await self._log.instances()

    async def usage(self) -> tuple[int, int]:
        """See `EventLog.usage`."""
        with self._counted(LogOp.USAGE):
            return await self._log.usage()

    @contextlib.contextmanager
    def _counted(self, op: LogOp) -> Iterator[None]:
        try:
            yield
        except LogUnavailable as error:
            self._observer.event_log_failed(op, error.trouble)
            raise
