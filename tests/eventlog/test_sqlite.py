"""What only the SQLite log promises: it outlives its process and says clearly when it cannot work."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from app.eventlog import START, LogUnavailable
from app.eventlog.sqlite import SqliteEventLog
from tests.support.games import GAME_ID, Game

pytestmark = pytest.mark.anyio


async def test_a_reopened_file_has_everything(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = SqliteEventLog(path)
    await log.open()
    await log.append(GAME_ID, START, Game().events)
    await log.close()
    again = SqliteEventLog(path)
    await again.open()
    assert [commit.events for commit in await again.read(GAME_ID)] == [tuple(Game().events)]
    await again.close()


async def test_the_file_is_synced_on_every_commit(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    mode = await log._submit(lambda db: db.execute("PRAGMA synchronous").fetchone()[0])
    journal = await log._submit(lambda db: db.execute("PRAGMA journal_mode").fetchone()[0])
    await log.close()
    assert (mode, journal) == (2, "wal")


async def test_appends_that_arrive_together_share_a_transaction(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    statements: list[str] = []
    await log._submit(lambda db: db.set_trace_callback(statements.append))
    games = [f"{number:08}-0d0b-4b6e-9a53-1d3f4c1b2a00" for number in range(100)]
    await asyncio.gather(*(log.append(game, START, Game().events) for game in games))
    await log.close()
    assert sum(text == "COMMIT" for text in statements) < 20


async def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(LogUnavailable, match="file"):
        await SqliteEventLog(blocker / "log.db").open()


async def test_a_file_of_another_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(LogUnavailable, match="schema version 99"):
        await SqliteEventLog(path).open()


async def test_a_failing_write_is_unavailable_and_the_next_one_works(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    pages = await log._submit(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await log._submit(lambda db: db.execute(f"PRAGMA max_page_count={pages}").fetchall())
    with pytest.raises(LogUnavailable, match="full"):
        for number in range(200):
            await log.append(f"{number:08}-0d0b-4b6e-9a53-1d3f4c1b2a00", START, Game().events)
    await log._submit(lambda db: db.execute("PRAGMA max_page_count=1000000").fetchall())
    await log.append(GAME_ID, START, Game().events)
    assert len(await log.read(GAME_ID)) == 1
    await log.close()


async def test_a_closed_log_is_unavailable(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    await log.close()
    with pytest.raises(LogUnavailable):
        await log.read(GAME_ID)
