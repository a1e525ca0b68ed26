"""Tasks with an owner: started here, reported here, ended here."""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

from app.aio.cancellation import end
from app.telemetry.bulkhead import ReportFault


class TaskOwner:
    """Owns background tasks: none is lost to the garbage collector, no exception goes without a `report`."""

    def __init__(self, report: ReportFault) -> None:
        self._report = report
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str) -> None:
        """Run `coroutine` in the background, in no trace: it may outlive the message it was started in."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def close(self) -> None:
        """Cancel what still runs and wait for its end."""
        await end(self._tasks)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._report(task.get_name(), error)
