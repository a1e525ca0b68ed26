"""What an asynchronous client leaves behind: tasks, sockets, timers."""

import asyncio
import contextlib
import os
import socket
import stat
from collections import Counter
from collections.abc import AsyncIterator

from tools.harness.server import STEP_TIMEOUT_S


def sockets_to(port: int | None) -> int:
    """How many sockets of this process are connected to a port, or how many there are."""
    found = 0
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - they come and go while they are listed
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                with socket.socket(fileno=os.dup(int(name))) as one:
                    found += port is None or one.getpeername()[1:2] == (port,)
    return found


def _kept(port: int | None) -> Counter[str]:
    loop = asyncio.get_running_loop()
    tasks = (f"task {task.get_name()}" for task in asyncio.all_tasks() - {asyncio.current_task()})
    timers = (
        f"timer {handle}"
        for handle in loop._scheduled  # type: ignore[attr-defined] # asyncio tells it in no other way
        if not handle.cancelled()
    )
    return Counter([*tasks, *timers]) + Counter({"socket": sockets_to(port)})


@contextlib.asynccontextmanager
async def nothing_left(port: int | None = None) -> AsyncIterator[None]:
    """What is there at the end was there at the beginning; what is being closed is given time.

    Of the sockets those count that are connected to `port`, or all.
    """
    before = _kept(port)
    yield
    left = _kept(port) - before
    for _ in range(STEP_TIMEOUT_S * 100):
        if not left:
            return
        await asyncio.sleep(0.01)  # for the other side of a socket to notice
        left = _kept(port) - before
    raise AssertionError(f"left behind: {dict(left)}")
