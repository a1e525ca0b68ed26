"""The drain that an operator begins, and takes back: the replica goes empty and stays."""

import asyncio
from collections.abc import Callable

from app.realtime.drain import Drain
from app.telemetry.bulkhead import ReportFault


class OperatorDrain:
    """Has one drain at a time, made by `make`; the process's own end takes its place (`hand_over`)."""

    def __init__(self, make: Callable[[], Drain], report: ReportFault) -> None:
        self._make = make
        self._report = report
        self._drain: Drain | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def is_on(self) -> bool:
        """Whether this replica is drained, or being drained, for an operator."""
        return self._drain is not None

    def begin(self) -> None:
        """Begin, where that has not happened."""
        if self._drain is not None:
            return
        self._drain = self._make()
        self._running = asyncio.get_running_loop().create_task(self._drain.empty(), name="operator's drain")
        self._running.add_done_callback(self._ended)

    def stop(self) -> None:
        """Have the replica serve again, whatever was closed by then; nothing where another drain has taken over."""
        if (drain := self._drain) is not None:
            self.hand_over()
            drain.resume()

    def hand_over(self) -> None:
        """End it where it is: the replica stays as it is, for who drains it from now on."""
        self._drain = None
        if self._running is not None:
            self._running.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._report("drain", error)
