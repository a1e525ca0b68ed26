"""Notes in a small SQLite file of their own, beside the games': what operators decided, kept over restarts.

They are few, and seldom asked for: the file is opened for each question, in a thread, by whichever process asks. So
the workers of one machine share it, and another number of them finds it again. It is made with the first note.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from app.eventlog.port import LogUnavailable
from app.eventlog.writer import trouble_of

LOCK_TIMEOUT_S: Final = 5.0
"""Another worker, or a backup, may hold the file up for moments."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS notes (
    topic TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (topic, key)
) WITHOUT ROWID
"""


class SqliteNotes:
    """Keeps notes in `file`; every question raises LogUnavailable where the file cannot be read or written."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def keep(self, topic: str, key: str, value: bytes) -> None:
        """Keep a note, in place of an earlier one."""
        await self._change("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", (topic, key, value))

    async def forget(self, topic: str, key: str) -> None:
        """Remove a note."""
        await self._change("DELETE FROM notes WHERE topic = ? AND key = ?", (topic, key))

    async def kept(self, topic: str) -> dict[str, bytes]:
        """Read the notes of a topic."""
        if not self._file.exists():
            return {}
        query = "SELECT key, value FROM notes WHERE topic = ?"
        return dict(await self._run(lambda db: db.execute(query, (topic,)).fetchall()))

    async def _change(self, statement: str, values: tuple[object, ...]) -> None:
        def run(db: sqlite3.Connection) -> None:
            db.execute(_SCHEMA)
            db.execute(statement, values)

        await self._run(run)

    async def _run(self, run: Callable[[sqlite3.Connection], Any]) -> Any:  # noqa: ANN401 - as above
        return await asyncio.to_thread(self._run_here, run)

    def _run_here(self, run: Callable[[sqlite3.Connection], Any]) -> Any:  # noqa: ANN401 - as above
        try:
            with contextlib.closing(sqlite3.connect(self._file, timeout=LOCK_TIMEOUT_S)) as db, db:
                return run(db)
        except sqlite3.Error as error:
            raise LogUnavailable(f"{self._file}: {error}", trouble_of(error)) from None
