"""What only the SQLite log promises: it outlives its process and says clearly when it cannot work."""

import asyncio
import contextlib
import os
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.eventlog import START, Commit, Conflict, Cursor, LogInUse, LogListener, LogUnavailable
from app.eventlog.sqlite import SqliteEventLog
from app.game import LeaveReason, PlayerLeft, Submit, erased
from tools.harness.games import GAME_ID, Game
from tools.harness.server import ROOT

pytestmark = pytest.mark.anyio
OTHER_ID = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a01"


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


async def test_counts_outlive_the_process_and_a_file_from_before_them_has_them(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = SqliteEventLog(path)
    await log.open()
    await log.append(GAME_ID, START, Game().events)
    await log._writer.submit(lambda db: db.execute("DROP TABLE counts"))
    await log.close()
    for count in (1, 2):
        again = SqliteEventLog(path)
        await again.open()
        assert await again.coordination.count("judge", 600) == count
        assert len(await again.read(GAME_ID)) == 1
        await again.close()


def on_disk(folder: Path, text: bytes) -> list[str]:
    return [file.name for file in folder.iterdir() if text in file.read_bytes()]


async def test_what_was_replaced_is_on_the_disk_no_more(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    game = Game(min_players=1)
    game.start("ann")
    secret = b"what-ann-wrote"
    code = secret.decode() * 1_000  # over several pages
    events = [*game.events, *game.do(Submit("ann", code, "python"))]
    last = (await log.append(GAME_ID, START, events)).cursor
    await log.append(OTHER_ID, START, Game().events)
    assert on_disk(tmp_path, secret)
    await log.replace(GAME_ID, last, erased(events, "ann"))
    assert on_disk(tmp_path, secret), "pieces stay"
    await log.scrub()
    assert on_disk(tmp_path, secret) == []
    await log.append(OTHER_ID, Cursor(1), [PlayerLeft(seq=2, at=1, player_id="bob", reason=LeaveReason.LEFT)])
    await log.close()


async def test_the_file_is_synced_on_every_commit(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    mode = await log._writer.submit(lambda db: db.execute("PRAGMA synchronous").fetchone()[0])
    journal = await log._writer.submit(lambda db: db.execute("PRAGMA journal_mode").fetchone()[0])
    await log.close()
    assert (mode, journal) == (2, "wal")


async def test_appends_that_arrive_together_share_a_transaction(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    statements: list[str] = []
    await log._writer.submit(lambda db: db.set_trace_callback(statements.append))
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
    pages = await log._writer.submit(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await log._writer.submit(lambda db: db.execute(f"PRAGMA max_page_count={pages}").fetchall())
    with pytest.raises(LogUnavailable, match="full"):
        for number in range(200):
            await log.append(f"{number:08}-0d0b-4b6e-9a53-1d3f4c1b2a00", START, Game().events)
    await log._writer.submit(lambda db: db.execute("PRAGMA max_page_count=1000000").fetchall())
    await log.append(GAME_ID, START, Game().events)
    assert len(await log.read(GAME_ID)) == 1
    await log.close()


async def test_a_closed_log_is_unavailable(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    await log.close()
    with pytest.raises(LogUnavailable):
        await log.read(GAME_ID)


async def test_a_file_has_one_owner_also_within_a_process(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    (tmp_path / "alias.db").symlink_to(path)
    first = SqliteEventLog(path)
    await first.open()
    for name in ("log.db", "alias.db"):
        with pytest.raises(LogInUse, match=rf"log.db is in use by process {os.getpid()} on \S+ since \S+: .*stop that"):
            await SqliteEventLog(tmp_path / name).open()
    await first.append(GAME_ID, START, Game().events)
    await first.close()
    second = SqliteEventLog(path)
    await second.open()
    await second.open()
    assert len(await second.read(GAME_ID)) == 1
    await second.close()


@contextlib.asynccontextmanager
async def owned_by_another_process(path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    code = (
        "import asyncio, pathlib, sys, time\n"
        "from app.eventlog.sqlite import SqliteEventLog\n"
        "asyncio.run(SqliteEventLog(pathlib.Path(sys.argv[1])).open())\n"
        "print('open', flush=True); time.sleep(600)"
    )
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(path), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert owner.stdout is not None
    try:
        assert await owner.stdout.readline() == b"open\n"
        yield owner
    finally:
        owner.kill()
        await owner.wait()


async def test_an_owner_that_is_killed_owns_nothing_any_more(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with owned_by_another_process(path) as owner:
        with pytest.raises(LogInUse, match=f"process {owner.pid} "):
            await SqliteEventLog(path).open()
    log = SqliteEventLog(path)
    await log.open()
    await log.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the file beside it is all there is")
async def test_the_file_has_one_owner_by_whatever_name_and_whatever_becomes_of_the_lock_file(tmp_path: Path) -> None:
    path, other = tmp_path / "log.db", tmp_path / "other.db"
    async with owned_by_another_process(path):
        other.hardlink_to(path)
        (tmp_path / "log.db.lock").unlink()
        for name in (path, other, path):
            with pytest.raises(LogInUse, match="is in use by another process"):
                await SqliteEventLog(name).open()
    log = SqliteEventLog(other)
    await log.open()
    await log.close()


async def test_what_cannot_be_opened_is_not_kept_locked(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with pytest.raises(LogUnavailable, match="not a database"):
        await SqliteEventLog(path).open()
    path.unlink()
    log = SqliteEventLog(path)
    await log.open()
    await log.close()


async def test_a_folder_that_takes_no_lock_file_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "log.db.lock").mkdir()
    with pytest.raises(LogUnavailable, match=r"cannot open .*log\.db: .*log\.db\.lock") as told:
        await SqliteEventLog(tmp_path / "log.db").open()
    assert not isinstance(told.value, LogInUse)
    assert not (tmp_path / "log.db").exists()


async def test_what_must_exist_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "folder" / "log.db"
    with pytest.raises(LogUnavailable, match="does not exist"):
        await SqliteEventLog(missing, must_exist=True).open()
    assert not missing.parent.exists()
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE something (id)")
    db.close()
    with pytest.raises(LogUnavailable, match="no event log"):
        await SqliteEventLog(other, must_exist=True).open()
    with sqlite3.connect(other) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("something",)]
    db.close()


class Noting(LogListener):
    """Notes what failed."""

    def __init__(self, failures: list[str]) -> None:
        self._failures = failures

    def on_fault(self, where: str, error: BaseException) -> None:
        self._failures.append(f"{where}: {error}")


async def test_news_that_cannot_be_told_keeps_nobody_of_the_group_from_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, failures = SqliteEventLog(tmp_path / "log.db"), list[str]()
    await log.open()
    log.listen(Noting(failures))
    games = [f"{number:08}-0d0b-4b6e-9a53-1d3f4c1b2a00" for number in range(20)]

    def publish(game_id: str, commit: Commit) -> None:  # noqa: ARG001 - the method's own
        if game_id in games[3:5]:
            raise ValueError("a fault")

    monkeypatch.setattr(log, "publish", publish)
    async with asyncio.timeout(20):
        commits = await asyncio.gather(*(log.append(game, START, Game().events) for game in games))
    assert [commit.cursor for commit in commits] == [1] * 20
    await log.close()
    assert failures == ["event log: a fault"] * 2


@pytest.mark.parametrize("harm", ["ROLLBACK", "close"])
async def test_the_writer_answers_whatever_was_done_to_its_database(tmp_path: Path, harm: str) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    async with asyncio.timeout(20):
        with pytest.raises(LogUnavailable):
            await log._writer.submit(lambda db: db.close() if harm == "close" else db.execute(harm))
        if harm == "close":
            with pytest.raises(LogUnavailable):
                await log.append(GAME_ID, START, Game().events)
        else:
            assert (await log.append(GAME_ID, START, Game().events)).cursor == 1
        await log.close()


@contextlib.asynccontextmanager
async def at_work(log: SqliteEventLog) -> AsyncIterator[list[str]]:
    """While in the block the writer's thread stands still in a job; what SQLite was told."""
    reached, leave = asyncio.Event(), threading.Event()
    statements: list[str] = []
    loop = asyncio.get_running_loop()

    def stand(db: sqlite3.Connection) -> None:
        db.set_trace_callback(statements.append)
        loop.call_soon_threadsafe(reached.set)
        leave.wait(20)

    standing = asyncio.ensure_future(log._writer.submit(stand))
    await reached.wait()
    try:
        yield statements
    finally:
        leave.set()
        await standing


def games_of(count: int) -> list[str]:
    return [f"{number:08}-0d0b-4b6e-9a53-1d3f4c1b2a00" for number in range(count)]


async def test_whoever_comes_in_one_turn_or_while_others_are_written_is_of_one_transaction(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    games = games_of(40)
    async with at_work(log) as statements:
        appends = []
        for game in games:
            appends.append(asyncio.ensure_future(log.append(game, START, Game().events)))
            await asyncio.sleep(0)  # a turn of its own
    assert [(await one).cursor for one in appends] == [1] * 40
    assert statements.count("COMMIT") == 2
    await asyncio.gather(*(log.append(game, START, Game().events) for game in games_of(80)[40:]))
    assert statements.count("COMMIT") == 3
    assert not [text for text in statements if "SAVEPOINT" in text]
    await log.close()


async def test_of_a_group_whoever_fails_fails_alone_and_leaves_nothing(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    first, second, third = games_of(3)
    await log.append(first, START, Game().events)

    def fail(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO claims VALUES ('half done', 1)")
        raise ZeroDivisionError

    outcomes = await asyncio.gather(
        log.append(second, START, Game().events),
        log.append(first, START, Game().events),
        log._writer.submit(fail),
        log.append(third, START, Game().events),
        log.coordination.claim("whole", 60),
        return_exceptions=True,
    )
    assert [type(one) for one in outcomes] == [Commit, Conflict, LogUnavailable, Commit, bool]
    assert "ZeroDivisionError" in str(outcomes[2])
    assert await log.coordination.claim("half done", 60)
    assert not await log.coordination.claim("whole", 60)
    assert [len(await log.read(game)) for game in (first, second, third)] == [1, 1, 1]
    await log.close()


async def test_so_many_wait_and_no_more_and_a_close_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.eventlog.writer.MAX_QUEUED", 3)
    monkeypatch.setattr("app.eventlog.writer.MAX_GROUP", 2)
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    async with at_work(log):
        appends = [asyncio.ensure_future(log.append(game, START, Game().events)) for game in games_of(4)]
        await asyncio.wait(appends[3:])
        closing = asyncio.ensure_future(log.close())
        await asyncio.sleep(0)  # one turn: it has begun
    with pytest.raises(LogUnavailable, match="3 operations wait"):
        await appends[3]
    async with asyncio.timeout(20):
        assert [(await one).cursor for one in appends[:3]] == [1] * 3
        await closing
