"""Games of another number of workers move to the files of the present ones."""

import uuid
from pathlib import Path

import pytest

from app.eventlog import START, Commit, LogInUse
from app.eventlog.layout import Moved, move_games, other_files
from app.eventlog.sqlite import SqliteEventLog
from app.workers import Share
from app.workers.share import ALONE
from tools.harness.games import Game

pytestmark = pytest.mark.anyio
IDS = [str(uuid.UUID(int=number, version=4)) for number in range(1, 13)]


async def write(file: Path, ids: list[str]) -> None:
    log = SqliteEventLog(file)
    await log.open()
    for game_id in ids:
        await log.append(game_id, START, Game(min_players=1).events)
    await log.close()


async def read(file: Path) -> dict[str, list[Commit]]:
    log = SqliteEventLog(file, must_exist=True)
    await log.open()
    try:
        return {game_id: list(await log.read(game_id)) for game_id in await log.games()}
    finally:
        await log.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "code-racer.db"


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 3), (3, 2)])
async def test_each_game_moves_to_its_owner_whole_and_the_old_files_go(file: Path, before: int, after: int) -> None:
    for number in range(before):
        share = Share(number, before)
        await write(share.part_of(file), [one for one in IDS if share.owner(one) == number])
    moved = await move_games(file, after)
    assert sum(one.games for one in moved) == len(IDS)
    assert not other_files(file, after)
    for number in range(after):
        share = Share(number, after)
        there = await read(share.part_of(file))
        assert sorted(there) == sorted(one for one in IDS if share.owner(one) == number)
        assert all(commits for commits in there.values())
    assert await move_games(file, after) == []


async def test_ended_in_between_it_is_done_again(file: Path) -> None:
    await write(file, IDS)
    await write(Share(0, 2).part_of(file), [one for one in IDS if Share(0, 2).owner(one) == 0][:3])
    assert await move_games(file, 2) == [Moved(file, len(IDS))]
    found = [await read(Share(number, 2).part_of(file)) for number in range(2)]
    assert sorted([*found[0], *found[1]]) == sorted(IDS)


async def test_a_file_that_another_process_has_is_left_alone(file: Path) -> None:
    log = SqliteEventLog(file)
    await log.open()
    with pytest.raises(LogInUse):
        await move_games(file, 2)
    await log.close()
    assert other_files(file, 2) == [file]


async def test_where_nothing_is_to_be_moved_nothing_is_made(file: Path) -> None:
    assert await move_games(file, 1) == []
    assert await move_games(file, 2) == []
    assert not other_files(file, 2)
    assert not other_files(file, 1)


def test_only_files_of_ours_are_taken(file: Path) -> None:
    for name in ("code-racer.0of2.db", "code-racer.3of2.db", "code-racer.1of2.db-wal", "other.1of2.db"):
        (file.parent / name).touch()
    assert other_files(file, ALONE.of) == []
    (file.parent / "code-racer.2of2.db").touch()
    assert other_files(file, ALONE.of) == [file.parent / "code-racer.2of2.db"]
    assert other_files(file, 2) == []
