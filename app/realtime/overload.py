"""Overload: how late the event loop is and how much memory is used, looked at again and again.

While one of them is over its limit new connections are refused; those there are go on. One late appointment is
no overload: it takes three in a row, and three at half the limit to be over it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from app.process import container_limit_bytes, memory_bytes
from app.settings import HealthSettings
from app.telemetry.bulkhead import Bulkhead
from app.telemetry.observer import Observer
from app.vocabulary import OverloadCause

IN_A_ROW: Final = 3
SHED_SHARE: Final = 0.02
MINUTES: Final = 60


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


class _Worst:
    """The worst reading of each of the last 60 minutes, those in which one was taken; the oldest first."""

    def __init__(self) -> None:
        self.readings: deque[float] = deque(maxlen=MINUTES)
        self._minute = -1

    def note(self, now: float, value: float) -> None:
        minute = int(now // 60)
        if minute != self._minute:
            self._minute = minute
            self.readings.append(value)
        elif value > self.readings[-1]:
            self.readings[-1] = value


class LoadMonitor:
    """Says in `causes` why the replica is overloaded; `lag_s` is how late the event loop was at the last reading.

    `shed` ends so many of the newest connections and says how many that were.
    """

    def __init__(self, settings: HealthSettings, observer: Observer, shed: Callable[[float], int]) -> None:
        self.causes: frozenset[OverloadCause] = frozenset()
        self.lag_s = 0.0
        self._worst = _Worst()
        self._settings = settings
        self._memory_limit_bytes = settings.memory_limit_bytes or container_limit_bytes()
        self._observer = observer
        self._shed = shed
        self._lag = _Switch(settings.overload_lag_s)
        self._bulkhead = Bulkhead(observer.fault, "load")

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            due = time.perf_counter() + self._settings.overload_interval_s
            await asyncio.sleep(self._settings.overload_interval_s)
            with self._bulkhead:
                self.look(max(0.0, time.perf_counter() - due), memory_bytes())

    @property
    def worst_lags(self) -> list[float]:
        """The worst lag of each of the last 60 minutes, the oldest first."""
        return list(self._worst.readings)

    def look(self, lag_s: float, memory: int) -> None:
        """Take one reading."""
        self.lag_s = lag_s
        self._worst.note(time.monotonic(), lag_s)
        causes = set()
        if self._lag.read(lag_s):
            causes.add(OverloadCause.LOOP_LAG)
        if self._memory_limit_bytes and memory > self._memory_limit_bytes:
            causes.add(OverloadCause.MEMORY)
        self.causes = frozenset(causes)
        ended = None
        if self._settings.memory_shed_bytes and memory > self._settings.memory_shed_bytes:
            ended = self._shed(SHED_SHARE)
        self._observer.load(lag_s, self.causes, ended)
