"""What an asynchronous client leaves behind: tasks, sockets, timers."""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator

from tools.harness.server import STEP_TIMEOUT_S


def _sockets() -> int:
    found = 0
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - they come and go while they are listed
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")  # noqa: PTH115 - as above
    return found


def _kept() -> Counter[str]:
    loop = asyncio.get_running_loop()
    tasks = (f"task {task.get_name()}" for task in asyncio.all_tasks() - {asyncio.current_task()})
    timers = (
        f"timer {handle}"
        for handle in loop._scheduled  # type: ignore[attr-defined] # asyncio tells it in no other way
        if not handle.cancelled()
    )
    return Counter([*tasks, *timers]) + Counter({"socket": _sockets()})


@contextlib.asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """What is there at the end was there at the beginning; what is being closed is given time."""
    before = _kept()
    yield
    left = _kept() - before
    for _ in range(STEP_TIMEOUT_S * 100):
        if not left:
            return
        await asyncio.sleep(0.01)  # for the other side of a socket to notice
        left = _kept() - before
    raise AssertionError(f"left behind: {dict(left)}")
