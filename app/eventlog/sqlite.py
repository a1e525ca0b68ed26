"""The embedded default: one SQLite file, WAL, ``synchronous=FULL``, one writer thread with group commit.

While one transaction is being synced to disk, the appends that arrive queue up; the next transaction takes
them all. Each append has a savepoint of its own, so a conflict fails alone. An append returns only after
the commit that holds it has returned: a ``kill -9`` or a power cut loses nothing that was acknowledged
(SQLite documentation, "PRAGMA synchronous" and "Write-Ahead Logging").

One process owns the file (`OwnerLock`): what another one appended would be told to nobody here.
"""

import asyncio
import contextlib
import errno
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.eventlog.codec import decode_events, encode_events, ended_at
from app.eventlog.embedded import Embedded, claimed_until
from app.eventlog.fanout import LocalFanout
from app.eventlog.lock import OwnerLock
from app.eventlog.port import START, Commit, Conflict, Cursor, LogUnavailable, Subscription
from app.game import GameEvent
from app.telemetry.bulkhead import Bulkhead
from app.vocabulary import LogTrouble

MAX_GROUP: Final = 512
MAX_QUEUED: Final = 10_000
OWN_FOLDER: Final = Path("var")
"""The folder of the default URL is made where it is not there. No other is: a misspelt one would begin an empty log."""
_ELSEWHERE: Final = "set EVENT_LOG_URL to a file in a folder that can be written"
SCHEMA_VERSION: Final = 1
"""Of the tables that a release has to understand. A table more, as `counts` was, leaves it: it is made where it is not
there, and an earlier release does without it.
"""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS games (
    game_id TEXT PRIMARY KEY, last_seq INTEGER NOT NULL, ended_at INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS games_ended ON games (ended_at);
CREATE TABLE IF NOT EXISTS commits (
    game_id TEXT NOT NULL, last_seq INTEGER NOT NULL, events BLOB NOT NULL, PRIMARY KEY (game_id, last_seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS claims_until ON claims (until);
CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, count INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(slots=True)
class _Job:
    """Work for the writer thread: `run` in a savepoint, its result or error to `future`.

    `accepted` is called on the event loop with the time (epoch seconds) at which the result became durable, even if
    nobody waits any more.
    """

    run: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    accepted: Callable[[float], None] | None = None
    outcome: Any = None
    error: Exception | None = None


class SqliteEventLog(Embedded):
    """See the module. `path` is created where it does not exist, unless it `must_exist`; its folder is not."""

    def __init__(self, path: Path, *, must_exist: bool = False) -> None:
        super().__init__()
        self._path = path
        self._must_exist = must_exist
        self._lock = OwnerLock(path)  # the writer thread's own
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MAX_QUEUED)
        self._fanout = LocalFanout(self.failed)
        self._bulkhead = Bulkhead(self.failed, "event log")
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._stopping = False  # the writer thread's own

    async def open(self) -> None:
        """Own and open the file, make the tables. Raises LogUnavailable, LogInUse."""
        if self._thread is not None:
            return
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._write, args=(opened,), name="event-log", daemon=True)
        self._thread.start()
        await opened

    async def close(self) -> None:
        """Finish what is queued, close the file."""
        if self._thread is None or self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._jobs.put, None)
        await asyncio.to_thread(self._thread.join)

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Cursor:
        """See `EventLog.append`."""
        cursor = Cursor(events[-1].seq)
        data, ended = encode_events(events), ended_at(events)

        def run(db: sqlite3.Connection) -> None:
            row = db.execute("SELECT last_seq FROM games WHERE game_id = ?", (game_id,)).fetchone()
            if (row[0] if row else START) != after:
                raise Conflict(game_id)
            db.execute(
                "INSERT INTO games VALUES (?1, ?2, ?3)"
                " ON CONFLICT (game_id) DO UPDATE SET last_seq = ?2, ended_at = ?3",
                (game_id, cursor, ended),
            )
            db.execute("INSERT INTO commits VALUES (?, ?, ?)", (game_id, cursor, data))

        def publish(accepted_at: float) -> None:
            self._fanout.publish(game_id, Commit(cursor, tuple(events), accepted_at))

        await self._submit(run, accepted=publish)
        return cursor

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        """See `EventLog.read`."""

        def run(db: sqlite3.Connection) -> list[tuple[int, bytes]]:
            return db.execute(
                "SELECT last_seq, events FROM commits WHERE game_id = ? AND last_seq > ? ORDER BY last_seq",
                (game_id, after),
            ).fetchall()

        return [Commit(Cursor(last), decode_events(data)) for last, data in await self._submit(run)]

    async def subscribe(
        self,
        game_id: str,
        deliver: Callable[[Commit], None],
        hear: Callable[[bytes], None] | None = None,  # noqa: ARG002 - nobody tells
    ) -> Subscription:
        """See `EventLog.subscribe`."""
        return self._fanout.add(game_id, deliver)

    async def games(self) -> list[str]:
        """See `EventLog.games`."""
        return [row[0] for row in await self._submit(lambda db: db.execute("SELECT game_id FROM games").fetchall())]

    async def open_games(self) -> list[str]:
        """See `EventLog.open_games`."""
        rows = await self._submit(lambda db: db.execute("SELECT game_id FROM games WHERE ended_at IS NULL").fetchall())
        return [row[0] for row in rows]

    async def expire(self, ended_before: int, now: int) -> int:
        """See `EventLog.expire`."""

        def run(db: sqlite3.Connection) -> int:
            gone = db.execute("SELECT game_id FROM games WHERE ended_at < ?", (ended_before,)).fetchall()
            db.executemany("DELETE FROM commits WHERE game_id = ?", gone)
            db.executemany("DELETE FROM games WHERE game_id = ?", gone)
            db.execute("DELETE FROM claims WHERE until < ?", (now,))
            db.execute("DELETE FROM counts WHERE until < ?", (now,))
            return len(gone)

        return int(await self._submit(run))

    async def claim(self, key: str, ttl_s: float) -> bool:
        """See `EventLog.claim`."""
        until = claimed_until(ttl_s)

        def run(db: sqlite3.Connection) -> bool:
            return db.execute("INSERT OR IGNORE INTO claims VALUES (?, ?)", (key, until)).rowcount == 1

        return bool(await self._submit(run))

    async def count(self, key: str, ttl_s: float) -> int:
        """See `EventLog.count`."""
        until = claimed_until(ttl_s)

        def run(db: sqlite3.Connection) -> int:
            db.execute(
                "INSERT INTO counts VALUES (?1, 1, ?2) ON CONFLICT (key) DO UPDATE SET count = count + 1, until = ?2",
                (key, until),
            )
            (count,) = db.execute("SELECT count FROM counts WHERE key = ?", (key,)).fetchone()
            return int(count)

        return int(await self._submit(run))

    async def usage(self) -> tuple[int, int]:
        """See `EventLog.usage`: the file, and what has not been written back into it yet."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists()), 0

    async def _submit(
        self, run: Callable[[sqlite3.Connection], Any], accepted: Callable[[float], None] | None = None
    ) -> Any:  # noqa: ANN401 - the job's result
        if self._loop is None or self._closed:
            raise LogUnavailable("the event log is not open", LogTrouble.UNREACHABLE)
        job = _Job(run, self._loop.create_future(), accepted)
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise LogUnavailable(f"{MAX_QUEUED} operations wait for the event log already", LogTrouble.BUSY) from None
        return await job.future

    # ---------------------------------------------------------------- the writer thread

    def _write(self, opened: asyncio.Future[None]) -> None:
        try:
            db = self._own()
        except LogUnavailable as error:
            self._lock.release()
            self._post(opened, None, error)
            return
        self._post(opened, None, None)
        while not self._stopping:
            self._run_group(db, self._group())
        db.close()
        self._lock.release()

    def _own(self) -> sqlite3.Connection:
        """The file, which is this process's from now on. Raises LogUnavailable."""
        try:
            self._require_place()
            self._lock.take()
            return self._connect()
        except (OSError, sqlite3.Error) as error:
            trouble = _trouble_of(error)
            reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
            advice = f"; {_ELSEWHERE}" if isinstance(error, OSError) or trouble is LogTrouble.DENIED else ""
            raise LogUnavailable(f"cannot open {self._path.absolute()}: {reason}{advice}", trouble) from None

    def _require_place(self) -> None:
        """Raises OSError, LogUnavailable: there is no place for the file, or it is not there and must be."""
        folder = self._path.parent
        if self._must_exist and not self._path.is_file():
            raise LogUnavailable(f"{self._path} does not exist", LogTrouble.MISCONFIGURED)
        if folder == OWN_FOLDER:
            folder.mkdir(exist_ok=True)
        elif not folder.is_dir():
            raise LogUnavailable(
                f"cannot open {self._path.absolute()}: there is no folder {folder}; make it, or {_ELSEWHERE}",
                LogTrouble.MISCONFIGURED,
            )

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=5)
        with contextlib.ExitStack() as unusable:
            unusable.callback(db.close)
            _prepare(db, must_exist=self._must_exist)
            unusable.pop_all()
        return db

    def _group(self) -> list[_Job]:
        """The next job, waited for, and those that queued up behind it."""
        jobs: list[_Job] = []
        while len(jobs) < MAX_GROUP:
            try:
                job = self._jobs.get(block=not jobs)
            except queue.Empty:
                break
            if job is None:
                self._stopping = True
                break
            jobs.append(job)
        return jobs

    def _run_group(self, db: sqlite3.Connection, jobs: list[_Job]) -> None:
        try:
            db.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._run_job(db, job)
            db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - what ended the only writer would end every game
            with contextlib.suppress(sqlite3.Error):  # begun again, it would say what is wrong
                if db.in_transaction:
                    db.execute("ROLLBACK")
            for job in jobs:
                job.error = LogUnavailable(f"{self._path}: {error}", _trouble_of(error))
        self._post_all(jobs)

    @staticmethod
    def _run_job(db: sqlite3.Connection, job: _Job) -> None:
        db.execute("SAVEPOINT job")
        try:
            job.outcome = job.run(db)
        except Conflict as conflict:
            job.error = conflict
        except Exception as error:  # noqa: BLE001 - a fault in one job must not end the only writer
            job.error = LogUnavailable(f"{type(error).__name__}: {error}", _trouble_of(error))
        if job.error is not None:
            if not db.in_transaction:  # SQLite has rolled everything back by itself, as it does on a full disk
                raise sqlite3.OperationalError(str(job.error))
            db.execute("ROLLBACK TO job")
        db.execute("RELEASE job")

    def _post_all(self, jobs: list[_Job]) -> None:
        durable_at = time.time()

        def settle() -> None:
            for job in jobs:
                if job.error is None and job.accepted is not None:
                    with self._bulkhead:  # whoever appended is answered, whatever becomes of the news
                        job.accepted(durable_at)
                _settle(job.future, job.outcome, job.error)

        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(settle)

    def _post(self, future: asyncio.Future[Any], outcome: object, error: Exception | None) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_settle, future, outcome, error)


def _prepare(db: sqlite3.Connection, *, must_exist: bool) -> None:
    """Verify whose it is, make it durable, and its tables."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version not in {0, SCHEMA_VERSION}:
        raise sqlite3.DatabaseError(f"schema version {version}, this release knows {SCHEMA_VERSION}")
    if must_exist and version != SCHEMA_VERSION:
        raise sqlite3.DatabaseError("it is no event log of Code Racer")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.executescript(_SCHEMA)
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def _settle(future: asyncio.Future[Any], outcome: object, error: Exception | None) -> None:
    if future.done():
        return  # the waiter was cancelled; what was written stays written
    if error is None:
        future.set_result(outcome)
    else:
        future.set_exception(error)


def _trouble_of(error: Exception) -> LogTrouble:
    """Which kind of trouble a fault of SQLite or of the file system is."""
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) == errno.ENOSPC:
        return LogTrouble.FULL
    if code in {sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN} or isinstance(
        error, PermissionError
    ):
        return LogTrouble.DENIED
    return LogTrouble.OTHER
