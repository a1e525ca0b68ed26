"""Overload: how late the event loop is and how much memory is used, looked at again and again.

While one of them is over its limit new connections are refused; those there are go on. One late appointment is
no overload: it takes three in a row, and three at half the limit to be over it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.process import memory_bytes
from app.telemetry.bulkhead import Bulkhead
from app.telemetry.observer import Observer
from app.vocabulary import OverloadCause

IN_A_ROW: Final = 3
SHED_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True)
class LoadConfig:
    """See the settings of the same names; bytes of 0 are no limit."""

    lag_s: float
    memory_limit_bytes: int
    memory_shed_bytes: int
    interval_s: float


class _Switch:
    """On after three readings in a row over `limit`, off after three in a row below half of it."""

    __slots__ = ("_count", "_limit", "on")

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._count = 0
        self.on = False

    def read(self, value: float) -> bool:
        changes = value < self._limit / 2 if self.on else value > self._limit
        self._count = self._count + 1 if changes else 0
        if self._count >= IN_A_ROW:
            self.on, self._count = not self.on, 0
        return self.on


class LoadMonitor:
    """Says in `causes` why the replica is overloaded.

    `shed` ends so many of the newest connections and says how many that were.
    """

    def __init__(self, config: LoadConfig, observer: Observer, shed: Callable[[float], int]) -> None:
        self.causes: frozenset[OverloadCause] = frozenset()
        self._config = config
        self._observer = observer
        self._shed = shed
        self._lag = _Switch(config.lag_s)
        self._bulkhead = Bulkhead(observer.fault, "load")

    async def run(self) -> None:
        """Look, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._config.interval_s
            await asyncio.sleep(self._config.interval_s)
            with self._bulkhead:
                self.look(max(0.0, loop.time() - due), memory_bytes())

    def look(self, lag_s: float, memory: int) -> None:
        """Take one reading."""
        self._observer.loop_lag(lag_s)
        causes = set()
        if self._lag.read(lag_s):
            causes.add(OverloadCause.LOOP_LAG)
        if self._config.memory_limit_bytes and memory > self._config.memory_limit_bytes:
            causes.add(OverloadCause.MEMORY)
        if causes != self.causes:
            self.causes = frozenset(causes)
            self._observer.overload(self.causes)
        if self._config.memory_shed_bytes and memory > self._config.memory_shed_bytes:
            self._observer.shed(self._shed(SHED_SHARE))
