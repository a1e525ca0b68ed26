"""The service whose event log only writes bytes and syncs them to the disk: the floor of durable events on a disk.

A group of commits is one write and one `fdatasync`, always of the same bytes of the file, and the commits are told once
that has returned. Nothing could be read from it again, so it costs the least. For comparison only.
"""

import asyncio
import os
import queue
import sys
import tempfile
from collections.abc import Sequence
from threading import Thread

import app.eventlog.select
from app.__main__ import main
from app.eventlog.codec import encode_events
from app.eventlog.embedded import MemoryEventLog
from app.eventlog.port import Commit, Cursor
from app.game import GameEvent

Waiting = tuple[bytes, asyncio.Future[None]]


class Synced(MemoryEventLog):
    """Keeps the commits in memory, and waits for the disk before each is told."""

    async def open(self) -> None:
        """Begin a file in the working directory, where the service on disk has its own."""
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[Waiting] = queue.SimpleQueue()
        Thread(target=self._sync, daemon=True).start()

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """See `EventLog`."""
        synced = self._loop.create_future()
        self._waiting.put((encode_events(events), synced))
        await synced
        return await super().append(game_id, after, events)

    def _sync(self) -> None:
        with tempfile.TemporaryFile(dir=".") as file:
            while True:
                group = [self._waiting.get()]
                while not self._waiting.empty():
                    group.append(self._waiting.get())
                os.pwrite(file.fileno(), b"".join(data for data, _ in group), 0)
                os.fdatasync(file.fileno())
                self._loop.call_soon_threadsafe(_answer, [synced for _, synced in group])


def _answer(group: list[asyncio.Future[None]]) -> None:
    for synced in group:
        if not synced.done():
            synced.set_result(None)


if __name__ == "__main__":
    vars(app.eventlog.select)["MemoryEventLog"] = Synced
    sys.exit(main())
