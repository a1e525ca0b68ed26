"""One worker, as its supervisor hears it."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Callable

import pytest

from app.supervisor.worker import Worker
from app.vocabulary import WorkerState
from app.workers.control import Beat

pytestmark = pytest.mark.anyio
TIMEOUT_S = 0.01


async def idle(control: socket.socket, changed: Callable[[], None]) -> Worker:
    """A worker whose process only waits."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import signal; signal.pause()")
    control.setblocking(False)
    return Worker(process, control, changed)


async def test_one_that_says_nothing_is_killed() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        worker = await idle(ours, lambda: None)
        assert await worker.until_ended(TIMEOUT_S) == -signal.SIGKILL
    assert worker.is_silent


async def test_one_that_spoke_while_the_supervisor_was_stopped_was_not_silent() -> None:
    ours, theirs = socket.socketpair()
    heard = asyncio.Event()
    worker = await idle(ours, heard.set)

    ending = asyncio.ensure_future(worker.until_ended(TIMEOUT_S))
    await asyncio.sleep(0)  # it listens
    theirs.send(Beat(()).encode())
    theirs.close()
    time.sleep(5 * TIMEOUT_S)  # noqa: ASYNC251 - nothing here runs, as where the process is stopped
    await heard.wait()
    assert worker.state is WorkerState.READY
    worker.send(signal.SIGKILL)
    assert await ending == -signal.SIGKILL
    assert not worker.is_silent
