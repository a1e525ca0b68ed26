"""Ending tasks, whatever they wait in."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

CANCEL_AGAIN_S: Final = 1.0


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel them until they have ended.

    Once is not enough: up to Python 3.11 `asyncio.wait_for`, which libraries call, loses a cancellation that comes in
    the moment of its answer (python/cpython issue 86296), and a task that works for ever goes on.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)
