"""Packing: a finished game takes few bytes on the disk, and whoever reads it notices nothing."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.eventlog import START, Commit, Conflict, Cursor, LogUnavailable
from app.eventlog import sqlite as module
from app.eventlog.copying import copy_log
from app.eventlog.packing import pack, unpack
from app.eventlog.sqlite import PACKED_AT_ONCE, PACKED_BYTES, SqliteEventLog
from app.game import CodeSubmitted, FinishReason, GameEvent, GameFinished, PlayerReady

NEVER: Final = 0
"""No game finished before."""
OF_VERSION_1: Final = """
CREATE TABLE games (game_id TEXT PRIMARY KEY, last_seq INTEGER NOT NULL, ended_at INTEGER) WITHOUT ROWID;
CREATE INDEX games_ended ON games (ended_at);
CREATE TABLE commits (
    game_id TEXT NOT NULL, last_seq INTEGER NOT NULL, events BLOB NOT NULL, PRIMARY KEY (game_id, last_seq)
) WITHOUT ROWID;
INSERT INTO games VALUES ('open', 1, NULL), ('over', 2, 77);
INSERT INTO commits VALUES
    ('open', 1, '[{"type":"player_ready","seq":1,"at":1,"player_id":"ann","ready":true,"first":true}]'),
    ('over', 1, '[{"type":"player_ready","seq":1,"at":1,"player_id":"ann","ready":true,"first":true}]'),
    ('over', 2, '[{"type":"game_finished","seq":2,"at":77,"reason":"ended","winner":null,"ranking":[]}]');
PRAGMA user_version=1;
"""
OF_VERSION_2: Final = f"""
{OF_VERSION_1}
ALTER TABLE games ADD COLUMN packed INTEGER;
CREATE TABLE packed (game_id TEXT PRIMARY KEY, commits BLOB NOT NULL);
PRAGMA user_version=2;
"""


async def played(log: SqliteEventLog, game_id: str, code: Sequence[str]) -> list[Commit]:
    """A game in which code is handed in, one or two a commit, and that ends."""
    cursor, seq = START, 0
    for number, text in enumerate(code):
        events: list[GameEvent] = [
            CodeSubmitted(seq=seq + one, at=1, player_id="ann", attempt=1, language="python", code=text)
            for one in range(1, 2 + number % 2)
        ]
        seq += len(events)
        cursor = (await log.append(game_id, cursor, events)).cursor
    end = GameFinished(seq=seq + 1, at=77, reason=FinishReason.ENDED, winner=None, ranking=[])
    await log.append(game_id, cursor, [end])
    return await log.read(game_id)


def rows(file: Path, table: str) -> int:
    """How many rows a table has."""
    with closing(sqlite3.connect(file)) as db:
        (count,) = db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()  # noqa: S608 - ours
        return int(count)


def loose(file: Path) -> int:
    """How many commits have a row of their own."""
    return rows(file, "appended") + rows(file, "commits")


@given(st.lists(st.binary(min_size=1).filter(lambda data: b"\0" not in data), min_size=1))
def test_what_is_unpacked_is_what_was_packed(commits: list[bytes]) -> None:
    assert unpack(pack(commits)) == commits


@pytest.mark.parametrize("harm", [b"", b"[]", b"\x02rest", pack([b"[]"])[:-1], pack([b"[]"])[:5] + b"~~~~"])
def test_what_is_no_whole_pack_is_told(harm: bytes) -> None:
    with pytest.raises(ValueError, match=r"format|damaged"):
        unpack(harm)


@settings(max_examples=20)
@given(st.lists(st.text(max_size=200), max_size=8))
def test_a_packed_game_reads_as_before_after_every_cursor(code: list[str]) -> None:
    async def scene(folder: Path) -> None:
        log = SqliteEventLog(folder / "log.db")
        await log.open()
        before = await played(log, "a", code)
        assert await log.expire(NEVER) == 0
        assert (loose(folder / "log.db"), rows(folder / "log.db", "packed")) == (0, 1)
        for number, commit in enumerate([Commit(START, ()), *before]):
            assert await log.read("a", commit.cursor) == before[number:]
        await log.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scene(Path(folder)))


@pytest.mark.anyio
async def test_what_goes_on_or_is_very_large_stays_as_it_is_and_what_is_packed_goes_with_its_time(
    tmp_path: Path,
) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    large = await played(log, "large", ["x" * PACKED_BYTES])
    small = [await played(log, f"small-{number}", ["x"]) for number in range(2 * PACKED_AT_ONCE + 1)]
    await log.append("open", START, [PlayerReady(seq=1, at=1, player_id="ann", ready=True)])
    assert await log.expire(NEVER) == 0
    assert rows(tmp_path / "log.db", "packed") == len(small)
    assert await log.read("large") == large
    assert await log.open_games() == ["open"]
    assert await log.expire(78) == len(small) + 1
    assert await log.games() == ["open"]
    assert (loose(tmp_path / "log.db"), rows(tmp_path / "log.db", "packed")) == (1, 0)
    await log.close()


@pytest.mark.anyio
async def test_what_a_packed_game_is_replaced_by_is_packed_and_the_rest_is_gone(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "log.db")
    await log.open()
    before = await played(log, "a", ["secret"])
    await log.expire(NEVER)
    erased = PlayerReady(seq=1, at=1, player_id="ann", ready=True)
    await log.replace("a", before[-1].cursor, [erased, *before[-1].events])
    for _ in range(2):
        assert [commit.events for commit in await log.read("a")] == [(erased, *before[-1].events)]
        await log.expire(NEVER)
    assert (loose(tmp_path / "log.db"), rows(tmp_path / "log.db", "packed")) == (0, 1)
    await log.close()


@pytest.mark.anyio
async def test_a_process_that_ends_while_it_packs_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, left = tmp_path / "log.db", tmp_path / "left"
    log = SqliteEventLog(file)
    await log.open()
    before = {name: await played(log, name, ["x"]) for name in "abc"}
    packed: list[bytes] = []

    def pack_and_end(commits: Sequence[bytes]) -> bytes:
        if packed:
            left.mkdir()
            for one in (file, file.with_name("log.db-wal")):  # as a kill would leave them, the first game packed
                shutil.copy(one, left)
            raise ZeroDivisionError
        packed.append(pack(commits))
        return packed[0]

    monkeypatch.setattr(module, "pack", pack_and_end)
    with pytest.raises(LogUnavailable):
        await log.expire(NEVER)
    monkeypatch.undo()
    again = SqliteEventLog(left / "log.db")
    await again.open()
    for one in (log, again):
        for _ in range(2):
            assert {name: await one.read(name) for name in before} == before
            await one.expire(NEVER)
        await one.close()
    assert rows(file, "packed") == rows(left / "log.db", "packed") == len(before)


@pytest.mark.anyio
@pytest.mark.parametrize("tables", [OF_VERSION_1, OF_VERSION_2], ids=["1", "2"])
async def test_a_file_of_an_earlier_release_is_read_packed_and_copied(tmp_path: Path, tables: str) -> None:
    with closing(sqlite3.connect(tmp_path / "old.db")) as db:
        db.executescript(tables)
    log, copy = SqliteEventLog(tmp_path / "old.db", must_exist=True), SqliteEventLog(tmp_path / "new.db")
    await log.open()
    await copy.open()
    before = {name: await log.read(name) for name in await log.games()}
    assert [len(commits) for _, commits in sorted(before.items())] == [1, 2]
    await log.expire(NEVER)
    assert rows(tmp_path / "old.db", "packed") == 1
    assert {name: await log.read(name) for name in await log.games()} == before
    assert (await copy_log(log, copy)).commits == 3
    assert {name: await copy.read(name) for name in await copy.games()} == before
    await copy.expire(NEVER)
    assert (await copy_log(log, copy)).commits == 0
    for one in (log, copy):
        await one.close()


@pytest.mark.anyio
async def test_a_game_of_an_earlier_release_goes_on_and_is_read_packed_and_removed_whole(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as db:
        db.executescript(OF_VERSION_2)
    log = SqliteEventLog(file)
    await log.open()
    ready = [PlayerReady(seq=seq, at=1, player_id="ann", ready=True) for seq in (2, 3)]
    end = GameFinished(seq=4, at=78, reason=FinishReason.ENDED, winner=None, ranking=[])
    cursor = (await log.read("open"))[-1].cursor
    for event in (*ready, end):
        cursor = (await log.append("open", cursor, [event])).cursor
    with pytest.raises(Conflict):
        await log.append("open", Cursor(1), ready)
    commits = await log.read("open")
    assert [commit.cursor for commit in commits] == [1, 2, 3, 4]
    for _ in range(2):
        for number, commit in enumerate(commits):
            assert await log.read("open", commit.cursor) == commits[number + 1 :]
        await log.expire(NEVER)
        assert (loose(file), rows(file, "packed")) == (0, 2)
    await log.expire(79)
    assert (await log.games(), loose(file), rows(file, "packed")) == ([], 0, 0)
    await log.close()


@pytest.mark.anyio
async def test_games_whose_commits_stand_between_each_other_are_each_read_and_removed_alone(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    log = SqliteEventLog(file)
    await log.open()
    cursors = dict.fromkeys("abc", START)

    async def append(name: str, event: GameEvent) -> None:
        cursors[name] = (await log.append(name, cursors[name], [event])).cursor

    async def of_each() -> list[list[int]]:
        return [[commit.events[-1].seq for commit in await log.read(name)] for name in cursors]

    for seq in range(1, 4):
        for name in cursors:
            await append(name, PlayerReady(seq=seq, at=1, player_id=name, ready=True))
    end = GameFinished(seq=4, at=77, reason=FinishReason.ENDED, winner=None, ranking=[])
    await append("b", end)
    await log.replace("b", cursors["b"], [end])
    await append("c", PlayerReady(seq=4, at=1, player_id="c", ready=True))  # where b's end was
    await append("a", end)
    assert await of_each() == [[1, 2, 3, 4], [4], [1, 2, 3, 4]]
    await log.expire(NEVER)
    await append("c", PlayerReady(seq=5, at=1, player_id="c", ready=True))  # where a's was
    assert await of_each() == [[1, 2, 3, 4], [4], [1, 2, 3, 4, 5]]
    assert (loose(file), rows(file, "packed")) == (5, 2)
    await log.expire(78)
    assert (await of_each(), loose(file)) == ([[], [], [1, 2, 3, 4, 5]], 5)
    await log.close()
