"""The thread that owns an SQLite file: it runs what is asked of the database, many jobs in one transaction.

Why that is sound stands at the top of `sqlite`.
"""

import asyncio
import contextlib
import errno
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.eventlog.lock import OwnerLock
from app.eventlog.port import Conflict, LogUnavailable
from app.telemetry.bulkhead import Bulkhead, ReportFault
from app.vocabulary import LogTrouble

MAX_GROUP: Final = 512
MAX_QUEUED: Final = 10_000
OWN_FOLDER: Final = Path("var")
"""The folder of the default URL is made where it is not there. No other is: a misspelt one would begin an empty log."""
_ELSEWHERE: Final = "set EVENT_LOG_URL to a file in a folder that can be written"
_ANOTHER: Final = "restore a backup of it, or set EVENT_LOG_URL to another file"
_TEMPORARY: Final = "workers share it: the folder for temporary files (TMPDIR) must be writable, and not full"
_OWN_TIMEOUT_S: Final = 5.0
"""A backup that is made of an owned file may hold it up for moments."""
Run = Callable[[sqlite3.Connection], Any]
"""What a job does in the database. It may be run twice; before it raises Conflict it has changed nothing."""


@dataclass(slots=True)
class _Job:
    """Work for the writer thread: `run` in a transaction with others, its result or error to `future`.

    `accepted` is called on the event loop with the time (epoch seconds) at which the result became durable, even if
    nobody waits any more. With `scrubs` the file is written anew before it is answered.
    """

    run: Run
    future: asyncio.Future[Any]
    accepted: Callable[[float], None] | None = None
    scrubs: bool = False
    outcome: Any = None
    error: Exception | None = None


class SqliteWriter:
    """Owns one file; `prepare` makes an opened database ready. The file is made, unless it `must_exist`.

    One with a `shared_timeout_s` is not owned, but the workers' of one machine: SQLite's own locks let one write at a
    time. One that stands still meanwhile, as only a stopped process does, is waited for so long; then jobs fail.
    """

    def __init__(
        self,
        path: Path,
        prepare: Callable[[sqlite3.Connection], None],
        report: ReportFault,
        *,
        must_exist: bool = False,
        shared_timeout_s: float | None = None,
    ) -> None:
        self._path = path
        self._prepare = prepare
        self._must_exist = must_exist
        self._is_shared = shared_timeout_s is not None
        self._timeout_s = _OWN_TIMEOUT_S if shared_timeout_s is None else shared_timeout_s
        self._bulkhead = Bulkhead(report, "event log")
        self._lock = OwnerLock(path)  # the writer thread's own
        self._waiting: list[_Job] = []
        self._groups: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()  # holds one, and at the end None
        self._is_at_work = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    # ---------------------------------------------------------------- the event loop

    async def open(self) -> None:
        """Start the thread, which takes the file; one that is open stays so. Raises LogUnavailable, LogInUse."""
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
        while self._waiting:
            self._hand_over()
        self._groups.put(None)
        await asyncio.to_thread(self._thread.join)

    async def submit(self, run: Run, accepted: Callable[[float], None] | None = None, *, scrubs: bool = False) -> Any:  # noqa: ANN401 - the job's result
        """Run `run` in the next transaction; its result, once that is durable. Raises Conflict, LogUnavailable."""
        if self._loop is None or self._closed:
            raise LogUnavailable(f"{self._path} is not open", LogTrouble.UNREACHABLE)
        if len(self._waiting) >= MAX_QUEUED:
            raise LogUnavailable(f"{MAX_QUEUED} operations wait for the event log already", LogTrouble.BUSY)
        job = _Job(run, self._loop.create_future(), accepted, scrubs)
        self._waiting.append(job)
        if not self._is_at_work:
            self._begin()
        return await job.future

    def _begin(self) -> None:
        """Have the thread begin when this turn of the loop is over: whoever comes in it is of the same group."""
        if self._loop is not None:
            self._is_at_work = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        """Give the thread, which waits, those who have come: who comes until they are answered is of the next group."""
        if self._waiting:
            self._groups.put(self._waiting[:MAX_GROUP])
            del self._waiting[:MAX_GROUP]

    def _answer_group(self, jobs: list[_Job], durable_at: float) -> None:
        """Answer each of a group, and then begin with those who have come meanwhile."""
        self._is_at_work = False
        if self._waiting:
            self._begin()
        for job in jobs:
            if job.error is None and job.accepted is not None:
                with self._bulkhead:  # whoever appended is answered, whatever becomes of the news
                    job.accepted(durable_at)
            _answer(job.future, job.outcome, job.error)

    # ---------------------------------------------------------------- the writer thread

    def _write(self, opened: asyncio.Future[None]) -> None:
        try:
            db = self._own()
        except LogUnavailable as error:
            self._lock.release()
            self._call(_answer, opened, None, error)
            return
        self._call(_answer, opened, None, None)
        for jobs in iter(self._groups.get, None):
            self._run_group(db, jobs)
        db.close()
        self._lock.release()

    def _own(self) -> sqlite3.Connection:
        """Lock and open the file, which is this process's from now on. Raises LogUnavailable."""
        try:
            if not self._is_shared:
                self._require_place()
                self._lock.take()
            return self._connect()
        except (OSError, sqlite3.Error) as error:
            trouble = trouble_of(error)
            reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
            advice = _ELSEWHERE if isinstance(error, OSError) or trouble is LogTrouble.DENIED else _ANOTHER
            advice = _TEMPORARY if self._is_shared else advice
            raise LogUnavailable(f"cannot open {self._path.absolute()}: {reason}; {advice}", trouble) from None

    def _require_place(self) -> None:
        """Raise OSError or LogUnavailable where there is no place for the file, or it is not there and must be."""
        folder = self._path.parent
        if self._must_exist and not self._path.is_file():
            raise LogUnavailable(f"{self._path} does not exist", LogTrouble.MISCONFIGURED)
        if folder == OWN_FOLDER:
            folder.mkdir(exist_ok=True)
        elif not folder.is_dir():
            raise LogUnavailable(no_folder(self._path), LogTrouble.MISCONFIGURED)

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=self._timeout_s)
        with contextlib.ExitStack() as unusable:
            unusable.callback(db.close)
            self._prepare(db)
            unusable.pop_all()
        return db

    def _run_group(self, db: sqlite3.Connection, jobs: list[_Job]) -> None:
        """Run a group in one transaction. Where one of them fails it is begun anew: each apart, so that it fails alone.

        That is seldom, and a savepoint for each always would cost: at each statement this thread may wait for the loop.
        """
        try:
            db.execute("BEGIN IMMEDIATE")
            if not all(_is_done(db, job) for job in jobs):
                _roll_back(db)
                db.execute("BEGIN IMMEDIATE")
                for job in jobs:
                    _run_apart(db, job)
            db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - what ended the only writer would end every game
            with contextlib.suppress(sqlite3.Error):  # begun again, it would say what is wrong
                _roll_back(db)
            for job in jobs:
                job.error = LogUnavailable(f"{self._path}: {error}", trouble_of(error))
        for job in jobs:
            if job.scrubs and job.error is None:
                self._scrub(db, job)
        self._call(self._answer_group, jobs, time.time())

    def _scrub(self, db: sqlite3.Connection, job: _Job) -> None:
        """Write the file anew; only whoever asked for it is told where it cannot be done: the group is committed."""
        try:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            job.error = LogUnavailable(f"{self._path}: {error}", trouble_of(error))

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        """Call something on the event loop, as long as there is one."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *arguments)


def _is_done(db: sqlite3.Connection, job: _Job) -> bool:
    """Run a job whose changes, if there are any, stay; False where it failed and some may be there."""
    try:
        job.outcome = job.run(db)
    except Conflict as conflict:
        job.error = conflict
    except Exception:  # noqa: BLE001 - it is run again, and its error kept then
        return False
    return True


def _run_apart(db: sqlite3.Connection, job: _Job) -> None:
    """Run a job in a savepoint: nothing stays of one that fails."""
    db.execute("SAVEPOINT job")
    job.error = None
    try:
        job.outcome = job.run(db)
    except Conflict as conflict:
        job.error = conflict
    except Exception as error:  # noqa: BLE001 - a fault in one job must not end the only writer
        job.error = LogUnavailable(f"{type(error).__name__}: {error}", trouble_of(error))
    if job.error is not None:
        if not db.in_transaction:  # SQLite has rolled everything back by itself, as it does on a full disk
            raise sqlite3.OperationalError(str(job.error))
        db.execute("ROLLBACK TO job")
    db.execute("RELEASE job")


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


def _answer(future: asyncio.Future[Any], outcome: object, error: Exception | None) -> None:
    if future.done():
        return  # the waiter was cancelled; what was written stays written
    if error is None:
        future.set_result(outcome)
    else:
        future.set_exception(error)


def trouble_of(error: Exception) -> LogTrouble:
    """Classify a fault of SQLite or of the file system."""
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_BUSY:
        return LogTrouble.BUSY
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) == errno.ENOSPC:
        return LogTrouble.FULL
    if code in {sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN} or isinstance(
        error, PermissionError
    ):
        return LogTrouble.DENIED
    return LogTrouble.OTHER


def no_folder(file: Path) -> str:
    """Say that there is no place for an event log's file, and what to do."""
    return f"cannot open {file.absolute()}: there is no folder {file.parent}; make it, or {_ELSEWHERE}"
