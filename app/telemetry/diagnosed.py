"""Diagnostics into the log: the cheap ones, when a signal asks for them."""

import asyncio
import time
from typing import Final

from app.aio.tasks import TaskOwner
from app.console.diagnosing import Diagnosing
from app.console.diagnostics.process import collector_state, dump_threads, list_descriptors
from app.console.diagnostics.tasks import dump_tasks
from app.telemetry.catalogue import Events
from app.telemetry.recorder import Recorder

PAUSE_S: Final = 1.0
"""Who asks again sooner is not answered: signals cost nothing to send."""
MOST_GROUPS: Final = 50
_STEP: Final = " > "


class DiagnosticsLog:
    """Writes to the log what the process is doing: one line of figures, one for each thread and each group of tasks."""

    def __init__(self, recorder: Recorder, diagnosing: Diagnosing, tasks: TaskOwner) -> None:
        self._recorder = recorder
        self._diagnosing = diagnosing
        self._tasks = tasks
        self._is_writing = False
        self._next_at = 0.0

    def write(self) -> None:
        """Begin to write, unless that is being done or was just done."""
        if self._is_writing or time.monotonic() < self._next_at:
            return
        self._is_writing = True
        self._tasks.spawn(self._write(), "diagnostics")

    async def _write(self) -> None:
        try:
            log, dump, threads = self._recorder.log, await dump_tasks(), dump_threads()
            collector, descriptors = collector_state(), await asyncio.to_thread(list_descriptors)
            lag = self._diagnosing.lag()
            log(
                Events.APP_DIAGNOSED,
                tasks=dump.tasks,
                threads=len(threads),
                descriptors=descriptors.kinds,
                memory_bytes=collector.memory_bytes,
                gc_collections=[generation["collections"] for generation in collector.generations],
                loop_lag_s=round(lag.last_s, 6),
                worst_loop_lag_s=round(max(lag.worst_s, default=0.0), 6),
            )
            for thread in threads:
                log(Events.APP_STACK, kind="thread", name=thread.name, count=1, stack=_STEP.join(thread.stack))
            for group in dump.groups[:MOST_GROUPS]:
                log(Events.APP_STACK, kind="task", name=group.name, count=group.count, stack=_STEP.join(group.stack))
        finally:
            self._is_writing = False
            self._next_at = time.monotonic() + PAUSE_S
