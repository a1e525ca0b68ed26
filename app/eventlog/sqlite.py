"""The embedded default: one SQLite file, WAL, ``synchronous=FULL``, one writer thread with group commit.

Theory of operation. There are two threads. The event loop's only queues jobs and awaits their futures; the writer's
(`SqliteWriter`) is the only one that ever touches the database, so no connection is shared, no statement waits for
SQLite's own locks, and what one job reads nobody changes before it writes: compare-and-append needs no more than that.
What passes between the threads is a group of jobs one way, and the same group with its results the other way, through
``call_soon_threadsafe``; each job is one side's at a time, so none needs a lock. The jobs that wait are bounded.

There is one group at a time: the jobs that come in one turn of the event loop, or while another group is being synced
to disk and until its results are there. So the busier the loop is, the fewer transactions there are, and each thread is
woken once for all of a group. Nobody lingers: who comes alone is written at once. A job that conflicts has changed
nothing, and fails alone; so does one that fails otherwise, for the group is begun again with a savepoint for each.

Results are posted only after COMMIT has returned: a ``kill -9`` or a power cut loses nothing that was acknowledged
(SQLite documentation, "PRAGMA synchronous" and "Write-Ahead Logging"). Where the transaction fails, all its jobs do,
and nothing was acknowledged.

Commits are delivered on the event loop in the order of their jobs, each before its appender is answered, and also where
the appender has given up: its future is cancelled, the job is not. So subscribers see every commit, in order.

What is appended stands in the order in which it came, so that the commits of a group, whatever their games, change the
same few pages: a page is what a commit costs, beside the disk's own time. Each names the one before it of its game, and
the game its newest: whoever reads a game goes from one to the next (`_CHAIN`). An index would be changed in as many
pages as there are games. Numbers are a column of their own, which VACUUM leaves as they are.

A finished game is packed: its commits, a row each, become one that is a sixth as large (`packing`), in one transaction,
so that it is read one way or the other, whatever happens. That is a job like any other, of a few games, and done when
retention is looked at; nobody who appends waits for more than one.

One process owns the file (`OwnerLock`): what another one appended would be told to nobody here.
"""

import sqlite3
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from app.eventlog.codec import decode_events, encode_events, ended_at
from app.eventlog.embedded import EmbeddedCoordination, EmbeddedLog, expires_at
from app.eventlog.notes import SqliteNotes
from app.eventlog.packing import pack, unpack
from app.eventlog.port import START, Commit, Conflict, Cursor
from app.eventlog.writer import SqliteWriter
from app.game import GameEvent

SCHEMA_VERSION: Final = 3
"""Of the tables that a release has to understand: of 2 games are packed, of 3 commits stand in the order of `appended`.
A table more, as `counts` was, leaves it: it is made where it is not there, and an earlier release does without it.
"""
PACKED_AT_ONCE: Final = 4
"""Games of one transaction, which others may wait for: some milliseconds."""
PACKED_AT_MOST: Final = 256
"""Games of one sweep: of a file of an earlier release many more wait."""
PACKED_BYTES: Final = 2**18
"""Of one game: a larger one stays as it is, it would hold the others up."""
_UPGRADES: Final = ("ALTER TABLE games ADD COLUMN packed INTEGER;", "ALTER TABLE games ADD COLUMN newest INTEGER;")
"""What makes of each version the next one's tables; what is in them stays where it is."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS games (
    game_id TEXT PRIMARY KEY, last_seq INTEGER NOT NULL, ended_at INTEGER, packed INTEGER, newest INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS games_ended ON games (ended_at);
CREATE INDEX IF NOT EXISTS games_to_pack ON games (ended_at) WHERE ended_at IS NOT NULL AND packed IS NULL;
CREATE TABLE IF NOT EXISTS appended (
    number INTEGER PRIMARY KEY, game_id TEXT NOT NULL, last_seq INTEGER NOT NULL, before INTEGER, events BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS commits (
    game_id TEXT NOT NULL, last_seq INTEGER NOT NULL, events BLOB NOT NULL, PRIMARY KEY (game_id, last_seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS packed (game_id TEXT PRIMARY KEY, commits BLOB NOT NULL);
"""
_CREATE: Final = "INSERT INTO games (game_id, last_seq) VALUES (?, 0) ON CONFLICT DO NOTHING"
_APPEND: Final = """
INSERT INTO appended (game_id, last_seq, before, events)
SELECT game_id, ?, newest, ? FROM games WHERE game_id = ? AND last_seq = ?
"""
_GO_ON: Final = "UPDATE games SET last_seq = ?, newest = last_insert_rowid() WHERE game_id = ?"
_END: Final = "UPDATE games SET last_seq = ?, newest = last_insert_rowid(), ended_at = ? WHERE game_id = ?"
_CHAIN: Final = """
WITH RECURSIVE chain (number) AS (
    SELECT newest FROM games WHERE game_id = ?1
    UNION ALL SELECT before FROM appended JOIN chain USING (number) WHERE last_seq > ?2
) SELECT number FROM chain
"""
"""Of a game's commits after a cursor, and perhaps one more, the numbers in `appended`."""
_LOOSE: Final = f"""
SELECT CAST(events AS BLOB) AS events FROM (
    SELECT last_seq, events FROM commits WHERE game_id = ?1
    UNION ALL SELECT last_seq, events FROM appended WHERE number IN ({_CHAIN})
) WHERE last_seq > ?2 ORDER BY last_seq
"""  # noqa: S608 - these
"""`commits` has what was appended before version 3, and what replaced something."""
_EMPTY: Final = (
    "DELETE FROM commits WHERE game_id = ?1",
    "DELETE FROM packed WHERE game_id = ?1",
    f"DELETE FROM appended WHERE number IN ({_CHAIN.replace('?2', '0')})",  # noqa: S608 - these
)
_TO_PACK: Final = "SELECT game_id FROM games WHERE ended_at IS NOT NULL AND packed IS NULL LIMIT ?"
COORDINATION_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS claims_until ON claims (until);
CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, count INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
"""


class SqliteEventLog(EmbeddedLog):
    """Keeps all games in one file, which is made where it does not exist, unless it `must_exist`; its folder is not."""

    def __init__(self, path: Path, *, must_exist: bool = False) -> None:
        super().__init__()
        self._path = path
        self._writer = SqliteWriter(path, partial(_prepare, must_exist=must_exist), self._report, must_exist=must_exist)
        self.coordination = SqliteCoordination(self._writer, SqliteNotes(notes_file(path)))

    async def open(self) -> None:
        """Own and open the file, make the tables. Raises LogUnavailable, LogInUse."""
        await self._writer.open()

    async def close(self) -> None:
        """Finish what is queued, close the file."""
        await self._writer.close()

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Append one commit; it is on the disk when this returns."""
        cursor = Cursor(events[-1].seq)
        data, ended = encode_events(events), ended_at(events)
        accepted: list[Commit] = []

        def run(db: sqlite3.Connection) -> None:
            if after == START and db.execute(_CREATE, (game_id,)).rowcount == 0:
                raise Conflict(game_id)
            if db.execute(_APPEND, (cursor, data, game_id, after)).rowcount == 0:
                raise Conflict(game_id)
            if ended is None:  # what is not set needs no change of its index
                db.execute(_GO_ON, (cursor, game_id))
            else:
                db.execute(_END, (cursor, ended, game_id))

        def publish(accepted_at: float) -> None:
            accepted.append(Commit(cursor, tuple(events), accepted_at))
            self.publish(game_id, accepted[0])

        await self._writer.submit(run, publish)
        return accepted[0]

    async def replace(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Replace the commits of a game by one; what they held may stay in the file until it is scrubbed."""
        data = encode_events(events)

        def run(db: sqlite3.Connection) -> None:
            if (
                db.execute("SELECT 1 FROM games WHERE game_id = ? AND last_seq = ?", (game_id, after)).fetchone()
                is None
            ):
                raise Conflict(game_id)
            for statement in _EMPTY:
                db.execute(statement, (game_id,))
            db.execute("INSERT INTO commits VALUES (?, ?, ?)", (game_id, after, data))
            db.execute("UPDATE games SET packed = NULL, newest = NULL WHERE game_id = ?", (game_id,))

        await self._writer.submit(run)
        return Commit(after, tuple(events), time.time())

    async def scrub(self) -> None:
        """Write the file anew (VACUUM), and empty its journal.

        SQLite's `secure_delete` is not enough: pieces stay in the free parts of pages that were split (measured).
        """
        await self._writer.submit(lambda _: None, scrubs=True)

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        """Read the commits after `after`."""

        def run(db: sqlite3.Connection) -> list[bytes]:
            packed = db.execute("SELECT commits FROM packed WHERE game_id = ?", (game_id,)).fetchone()
            return [
                *(unpack(packed[0]) if packed else ()),
                *(data for (data,) in db.execute(_LOOSE, (game_id, after))),
            ]

        found = map(decode_events, await self._writer.submit(run))
        return [Commit(Cursor(events[-1].seq), events) for events in found if events[-1].seq > after]

    async def probe(self) -> None:
        """Write a claim that nobody asks for, and that has ended already."""
        until = expires_at(0)

        def run(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO claims VALUES ('probe', ?)", (until,))

        await self._writer.submit(run)

    async def games(self) -> list[str]:
        """List all games."""
        return await self._ids("SELECT game_id FROM games")

    async def open_games(self) -> list[str]:
        """List the games that have not finished."""
        return await self._ids("SELECT game_id FROM games WHERE ended_at IS NULL")

    async def _ids(self, query: str) -> list[str]:
        return [row[0] for row in await self._writer.submit(lambda db: db.execute(query).fetchall())]

    async def expire(self, ended_before: int) -> int:
        """Remove the games that finished before `ended_before`; pack some of the others that have finished."""

        def run(db: sqlite3.Connection) -> int:
            gone = db.execute("SELECT game_id FROM games WHERE ended_at < ?", (ended_before,)).fetchall()
            for statement in (*_EMPTY, "DELETE FROM games WHERE game_id = ?"):
                db.executemany(statement, gone)
            return len(gone)

        removed = int(await self._writer.submit(run))
        for _ in range(0, PACKED_AT_MOST, PACKED_AT_ONCE):
            if await self._writer.submit(_pack) < PACKED_AT_ONCE:
                break
        return removed

    async def usage(self) -> tuple[int, int]:
        """Measure the file, and what has not been written back into it yet."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists()), 0


class SqliteCoordination(EmbeddedCoordination):
    """Keeps claims and counts in the log's own file, and notes beside it: they outlive the process."""

    def __init__(self, writer: SqliteWriter, notes: SqliteNotes) -> None:
        super().__init__()
        self._writer = writer
        self.keep, self.forget, self.kept = notes.keep, notes.forget, notes.kept

    async def claim(self, key: str, ttl_s: float) -> bool:
        """Create `key` if it is not there."""
        until = expires_at(ttl_s)

        def run(db: sqlite3.Connection) -> bool:
            return db.execute("INSERT OR IGNORE INTO claims VALUES (?, ?)", (key, until)).rowcount == 1

        return bool(await self._writer.submit(run))

    async def count(self, key: str, ttl_s: float) -> int:
        """Count `key` once more."""
        until = expires_at(ttl_s)

        def run(db: sqlite3.Connection) -> int:
            db.execute(
                "INSERT INTO counts VALUES (?1, 1, ?2) ON CONFLICT (key) DO UPDATE SET count = count + 1, until = ?2",
                (key, until),
            )
            (count,) = db.execute("SELECT count FROM counts WHERE key = ?", (key,)).fetchone()
            return int(count)

        return int(await self._writer.submit(run))

    async def expire(self, now: int) -> None:
        """Remove what ended before `now`."""

        def run(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM claims WHERE until < ?", (now,))
            db.execute("DELETE FROM counts WHERE until < ?", (now,))

        await self._writer.submit(run)


def notes_file(path: Path) -> Path:
    """Name the file of the notes that belong to an event log's; one of a worker's games has none of its own."""
    return path.with_name(f"{path.stem}.notes{path.suffix}")


def _pack(db: sqlite3.Connection) -> int:
    """Pack finished games, a few; how many were looked at."""
    games = db.execute(_TO_PACK, (PACKED_AT_ONCE,)).fetchall()
    for game in games:
        (size,) = db.execute(f"SELECT SUM(LENGTH(events)) FROM ({_LOOSE})", (*game, START)).fetchone()  # noqa: S608 - ours
        if size <= PACKED_BYTES:
            commits = [data for (data,) in db.execute(_LOOSE, (*game, START))]
            for statement in _EMPTY:
                db.execute(statement, game)
            db.execute("INSERT INTO packed VALUES (?, ?)", (*game, pack(commits)))
            db.execute("UPDATE games SET newest = NULL WHERE game_id = ?", game)
        db.execute("UPDATE games SET packed = 1 WHERE game_id = ?", game)
    return len(games)


def _prepare(db: sqlite3.Connection, *, must_exist: bool) -> None:
    """Verify whose the database is, make it durable, make its tables."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= SCHEMA_VERSION:
        raise sqlite3.DatabaseError(f"schema version {version}, this release knows {SCHEMA_VERSION}")
    if must_exist and not version:
        raise sqlite3.DatabaseError("it is no event log of Code Racer")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    upgrade = "".join(_UPGRADES[version - 1 :]) if version else ""
    version_now = f"PRAGMA user_version={SCHEMA_VERSION};"
    db.executescript(f"BEGIN IMMEDIATE; {upgrade} {_SCHEMA} {COORDINATION_SCHEMA} {version_now} COMMIT;")
