"""The machine's sleep, in which nothing of us goes on but the time of day."""

import asyncio
from time import time as now
from typing import Final

WATCH_S: Final = 5.0
"""How often the clock is looked at."""
_MOST: Final = 3
"""Where it went on without us for so many times that, the machine has slept."""


async def machine_slept() -> None:
    """Return as soon as it is noticed that the machine has slept."""
    before = now()
    while True:
        await asyncio.sleep(WATCH_S)
        at = now()
        if at - before > _MOST * WATCH_S:
            return
        before = at
