"""What the workers of one machine agree on, while each has an event log of its own.

Claims, counts and who lives are in one small SQLite file, in the folder that the workers share for as long as their
supervisor lives: it outlives a worker, and need not survive the machine. Notes are kept in the file `notes`, beside the
workers' own files, where those outlive the machine. Broadcasts are datagrams between the workers.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from app.eventlog.coordination import Subscription
from app.eventlog.embedded import expires_at
from app.eventlog.notes import SqliteNotes
from app.eventlog.sqlite import COORDINATION_SCHEMA, SqliteCoordination
from app.eventlog.writer import SqliteWriter
from app.telemetry.bulkhead import Bulkhead, ReportFault
from app.workers import Inherited
from app.workers.broadcasts import Broadcasts

FILE: Final = "coordination.db"
NOTES: Final = "notes.db"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS instances (instance TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
"""
_EXPIRED: Final = tuple(f"DELETE FROM {table} WHERE until < ?" for table in ("claims", "counts", "instances"))  # noqa: S608 - these three


class WorkersCoordination(SqliteCoordination):
    """Coordinates the workers of one machine; `dropped` is called for each worker that could not be told something.

    Whatever asks for something raises LogUnavailable where another worker has had the file for `lock_timeout_s`. What
    has ended is removed with every announcement that a worker lives.
    """

    shared = True

    def __init__(
        self,
        worker: Inherited,
        report: ReportFault,
        dropped: Callable[[], None],
        lock_timeout_s: float,
        notes: Path | None = None,
    ) -> None:
        file = Path(worker.folder) / FILE
        self._writer = SqliteWriter(file, partial(_prepare, file), report, shared_timeout_s=lock_timeout_s)
        super().__init__(self._writer, SqliteNotes(notes or file.with_name(NOTES)))
        self._bulkhead = Bulkhead(report, "broadcast")
        self._receivers: dict[str, list[Callable[[bytes], None]]] = {}
        self._broadcasts = Broadcasts.of(worker, self._take, dropped)

    async def open(self) -> None:
        """Open the file, which is made where it is not there, and receive broadcasts. Raises LogUnavailable."""
        await self._writer.open()
        self._broadcasts.open()

    async def close(self) -> None:
        """Let go of both."""
        self._broadcasts.close()
        await self._writer.close()

    async def expire(self, now: int) -> None:
        """Remove what ended before `now`."""
        await self._writer.submit(partial(_expire, now))

    async def heartbeat(self, instance: str, ttl_s: float) -> float:
        """Announce that this process lives; the time is the machine's."""
        until = expires_at(ttl_s)

        def run(db: sqlite3.Connection) -> float:
            now = time.time()
            db.execute("INSERT OR REPLACE INTO instances VALUES (?, ?)", (instance, until))
            _expire(round(now * 1000), db)
            return now

        return float(await self._writer.submit(run))

    async def withdraw(self, instance: str) -> None:
        """Remove a process's announcement."""

        def run(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM instances WHERE instance = ?", (instance,))

        await self._writer.submit(run)

    async def instances(self) -> frozenset[str]:
        """List the processes whose announcement has not ended."""
        now = expires_at(0)

        def run(db: sqlite3.Connection) -> list[tuple[str]]:
            return db.execute("SELECT instance FROM instances WHERE until >= ?", (now,)).fetchall()

        return frozenset(instance for (instance,) in await self._writer.submit(run))

    def broadcast(self, topic: str, payload: bytes) -> None:
        """Send to the other workers; dropped, and counted, for each that has too much waiting already."""
        self._broadcasts.send(topic, payload)

    async def subscribe(self, topic: str, receive: Callable[[bytes], None]) -> Subscription:
        """Receive the broadcasts of a topic."""
        self._receivers.setdefault(topic, []).append(receive)
        return _Receiving(self._receivers, topic, receive)

    def _take(self, topic: str, payload: bytes) -> None:
        for receive in tuple(self._receivers.get(topic, ())):
            with self._bulkhead:
                receive(payload)


class _Receiving:
    __slots__ = ("_receive", "_receivers", "_topic")

    def __init__(
        self, receivers: dict[str, list[Callable[[bytes], None]]], topic: str, receive: Callable[[bytes], None]
    ) -> None:
        self._receivers, self._topic, self._receive = receivers, topic, receive

    def close(self) -> None:
        receivers = self._receivers.get(self._topic, [])
        if self._receive in receivers:
            receivers.remove(self._receive)
        if not receivers:
            self._receivers.pop(self._topic, None)


def _expire(now: int, db: sqlite3.Connection) -> None:
    for statement in _EXPIRED:
        db.execute(statement, (now,))


def _prepare(file: Path, db: sqlite3.Connection) -> None:
    """Make the tables, one worker after the other: two that change the journal at once would refuse each other."""
    lock = os.open(file.with_name(f"{file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=OFF")
        db.executescript(COORDINATION_SCHEMA + _SCHEMA)
    finally:
        os.close(lock)
