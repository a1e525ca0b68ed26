"""The live stream: what changes, encoded once for all who watch, as server-sent events.

While nobody watches nothing is made. A watcher is a short queue: one whose reader is slow is cut, and the others do not
notice. What goes wrong with one part of the stream is reported, and the others go on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

import msgspec

from app.aio.tasks import TaskOwner
from app.telemetry.bulkhead import Bulkhead

EVERY_S: Final = 1.0
"""The pause between two makings of a part."""
QUEUED: Final = 16
"""So many events may wait for a reader; then it is slow."""
_END: Final = b""

Make = Callable[[], Awaitable[object]]
"""Makes one part of the stream; None where there is nothing to tell."""


class TooManyWatchersError(Exception):
    """As many watch already as may."""


class Watcher:
    """One who watches."""

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUED)

    def put(self, event: bytes) -> bool:
        """Give an event; False where too many wait, and the stream is over."""
        if self._queue.full():
            self.end()
            return False
        self._queue.put_nowait(event)
        return True

    def end(self) -> None:
        """End the stream; what waits is not worth reading any more."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(_END)

    async def events(self) -> AsyncIterator[bytes]:
        """Hand out the stream as it comes, until its end."""
        while event := await self._queue.get():
            yield event


class Watch:
    """Makes the stream of `parts`, by the names of their events, for at most `most` watchers at a time.

    `report` is told of faults.
    """

    def __init__(self, parts: Mapping[str, Make], most: int, report: Callable[[str, BaseException], None]) -> None:
        self._parts = parts
        self._most = most
        self._tasks = TaskOwner(report)
        self._bulkhead = Bulkhead(report, "watch")
        self._watchers: set[Watcher] = set()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._watchers)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is made."""
        return not len(self._tasks)

    def join(self) -> Watcher:
        """Begin to watch, until `leave`. Raises TooManyWatchersError."""
        if len(self._watchers) >= self._most:
            raise TooManyWatchersError(f"{self._most} watch already")
        watcher = Watcher()
        if self._is_closed:
            watcher.end()
            return watcher
        self._watchers.add(watcher)
        if self.is_idle:
            for name, make in self._parts.items():
                self._tasks.spawn(self._run(name, make), f"watch {name}")
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Watch no more; one that nobody reads, and who does not leave either, is cut as a slow one."""
        self._watchers.discard(watcher)

    async def close(self) -> None:
        """End all streams, as the service ends: whoever serves them waits for nothing."""
        self._is_closed = True
        for watcher in self._watchers:
            watcher.end()
        self._watchers.clear()
        await self._tasks.close()

    async def _run(self, name: str, make: Make) -> None:
        """Make one part until nobody watches."""
        while self._watchers:
            told = None
            with self._bulkhead:
                told = await make()
            if told is not None:
                self._tell(b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(told)))
            await asyncio.sleep(EVERY_S)

    def _tell(self, event: bytes) -> None:
        for watcher in list(self._watchers):
            if not watcher.put(event):
                self._watchers.discard(watcher)
