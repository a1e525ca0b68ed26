"""The slot of one worker: when the process in it ends, another one follows."""

import asyncio
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from app.settings import Settings
from app.supervisor.policy import RestartPolicy
from app.supervisor.worker import STARTED, Worker
from app.telemetry.catalogue import Events, LogEvent, SupervisorMetrics
from app.telemetry.metrics import MetricStore
from app.vocabulary import WorkerEnd, WorkerState
from app.workers import Inherited

WRONG_USAGE: Final = 2
"""A worker's exit code where no other start would be better: its settings, or its files, are wrong."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all slots share: settings, metrics, where log lines go, and the order to end."""

    settings: Settings
    store: MetricStore
    write: Callable[..., None]
    ending: asyncio.Event


class GaveUpError(Exception):
    """A worker cannot be kept running; `exit_code` is what the supervisor ends with."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class WorkerSlot:
    """Keeps one worker running until all are to end. `number` is from 1, `of` how many there are."""

    def __init__(
        self,
        number: int,
        of: int,
        shared: Shared,
        inherit: Callable[[socket.socket], Inherited],
        environment: dict[str, str],
    ) -> None:
        self.number = number
        self.replica = environment["REPLICA"]
        self.changed = asyncio.Event()
        self._name = f"worker {number} of {of}"
        self._shared = shared
        self._inherit = inherit
        self._environment = environment
        self._policy = RestartPolicy(shared.settings)
        self._worker: Worker | None = None
        self._has_started = False

    @property
    def state(self) -> WorkerState:
        """What its worker does."""
        return self._worker.state if self._worker else WorkerState.DOWN

    @property
    def failed(self) -> list[str]:
        """Why its worker is not ready, in words; none where it is."""
        if self._worker is None:
            return [f"{self._name}: down"]
        return [f"{self._name}: {check}" for check in self._worker.failed]

    async def keep(self) -> None:
        """Start a worker again and again, until all are to end. Raises GaveUpError."""
        while not self._shared.ending.is_set():
            worker = await Worker.start(self._inherit, self._environment, self._change)
            self._worker = worker
            self._write(Events.WORKER_STARTED, pid=worker.pid)
            self._change()
            if self._shared.ending.is_set():
                self.end(signal.SIGTERM)
            code = await worker.until_ended(self._shared.settings.worker_timeout_s)
            self._worker = None
            self._change()
            await self._follow(worker, code)

    def end(self, number: int) -> None:
        """Send the worker that runs, if any does, a signal by which it drains and ends."""
        settings = self._shared.settings
        if self._worker is not None:
            self._worker.end(number, settings.drain.longest_s + settings.worker_timeout_s)
            self._change()

    def tell(self, number: int) -> None:
        """Send the worker that runs, if any does, a signal by which it does not end."""
        if self._worker is not None:
            self._worker.send(number)

    async def replace(self) -> None:
        """Have the worker that runs drain, and the next one ready, or all told to end."""
        before = self._worker
        self.end(signal.SIGTERM)
        await self.until(lambda: self._worker is not before and self.state is WorkerState.READY)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until a state of it is reached, or all are to end."""
        while not (reached() or self._shared.ending.is_set()):
            self.changed.clear()
            await self.changed.wait()

    async def _follow(self, worker: Worker, code: int) -> None:
        """Tell how a worker ended, and wait until the next may start."""
        lived_s = round(asyncio.get_running_loop().time() - worker.began, 3)
        if worker.is_silent:
            self._write(Events.WORKER_SILENT, pid=worker.pid)
        if worker.is_asked_to_end and not worker.is_silent:
            self._write(Events.WORKER_STOPPED, pid=worker.pid, exit_code=code, lived_s=lived_s)
            self._count(WorkerEnd.ASKED)
            return
        pause_s = self._policy.pause_s(lived_s)
        self._write(Events.WORKER_DIED, pid=worker.pid, exit_code=code, lived_s=lived_s, pause_s=pause_s)
        if self._shared.ending.is_set():
            return
        self._require_hope(code, pause_s)
        self._count(WorkerEnd.SILENT if worker.is_silent else WorkerEnd.DIED if code else WorkerEnd.ENDED)
        await self._wait(pause_s or 0.0)

    def _require_hope(self, code: int, pause_s: float | None) -> None:
        if code == WRONG_USAGE and not self._has_started:
            raise GaveUpError(f"{self._name} cannot start; it says above what to do", WRONG_USAGE)
        if pause_s is None:
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            raise GaveUpError(
                f"{self._name} ended {self._policy.deaths} times in succession, last {how}, and is not started again;"
                f" look in the log for the last lines of replica {self.replica}, then start the service again",
                1,
            )

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._shared.ending.wait()
        except TimeoutError:
            return

    def _change(self) -> None:
        if self._worker is not None and STARTED not in self._worker.failed:
            self._has_started = True
        self.changed.set()

    def _count(self, why: WorkerEnd) -> None:
        if not self._shared.ending.is_set():
            self._shared.store.counter(SupervisorMetrics.RESTARTS).inc((why,))

    def _write(self, event: LogEvent, **fields: Any) -> None:  # noqa: ANN401 - as the catalogue has them
        self._shared.write(event, worker=self.number, **fields)
