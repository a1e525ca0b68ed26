"""Commits that a server tells live before they are on its disk, kept back until they are.

It tells each message of a batch as it writes it, and syncs them all at the end. Until then it answers no question that
is asked of the stream.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from app.eventlog.port import LogUnavailable

MOST: Final = 10_000
"""So many are kept back at once; more are missed, as others that are told live may be."""
_OF_A_BATCH: Final = b"Nats-Batch-Id:"


class Durable:
    """Delivers in the order in which things come; `ask` asks the stream something."""

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask
        self._kept: list[Callable[[], None]] = []
        self._releasing: asyncio.Task[None] | None = None

    def take(self, headers: bytes, deliver: Callable[[], None]) -> None:
        """Deliver now what is on the disk and waits for nothing before it."""
        if not self._kept and _OF_A_BATCH not in headers:
            deliver()
        elif len(self._kept) < MOST:
            self._kept.append(deliver)
            if self._releasing is None:
                self._releasing = asyncio.get_running_loop().create_task(self._release(), name="nats durable")

    async def _release(self) -> None:
        try:
            while self._kept:
                count = len(self._kept)
                try:
                    await self._ask()
                except LogUnavailable:  # nobody knows: they are missed, and found again where the game is behind
                    del self._kept[:count]
                    continue
                now, self._kept = self._kept[:count], self._kept[count:]
                for deliver in now:
                    deliver()
        finally:
            self._kept.clear()
            self._releasing = None
