"""Questions under way: each is bounded in time, and all of them end where nobody is asked any more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Asked:
    """Knows who waits for an answer, so that they can be told that none will come."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Timeout] = set()

    def __len__(self) -> int:
        return len(self._under_way)

    @contextlib.asynccontextmanager
    async def within(self, timeout_s: float) -> AsyncIterator[None]:
        """Bound the block in time; `end` ends it at once. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s) as timeout:
            self._under_way.add(timeout)
            try:
                yield
            finally:
                self._under_way.discard(timeout)

    def end(self) -> None:
        """Have all of them time out now."""
        for timeout in self._under_way:
            if not timeout.expired():
                timeout.reschedule(0)
