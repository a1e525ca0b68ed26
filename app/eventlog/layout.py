"""The files of the workers: their names say how many share the games; when that changes, the games move."""

import contextlib
import re
from pathlib import Path

from msgspec import Struct

from app.eventlog.copying import copy_game
from app.eventlog.port import EventLog
from app.eventlog.sqlite import SqliteEventLog
from app.workers import Share


class Moved(Struct, frozen=True):
    """A file whose games have moved to the files of the present workers, and how many those were; it is removed."""

    file: Path
    games: int


def other_files(file: Path, of: int) -> list[Path]:
    """List the files with games of other numbers of workers than `of`, by the one that the settings name."""
    part = re.compile(rf"{re.escape(file.stem)}\.(\d+)of(\d+){re.escape(file.suffix)}")
    named = ((one, part.fullmatch(one.name)) for one in file.parent.glob("*")) if file.parent.is_dir() else ()
    parts = [one for one, match in named if match and 1 <= int(match[1]) <= int(match[2]) != of]
    return sorted(parts) + ([file] if of > 1 and file.exists() else [])


async def move_games(file: Path, of: int) -> list[Moved]:
    """Move all games to the files of `of` workers, each to its owner's; nobody may be serving any of them.

    Ended in between it is done again: a file is removed once all that it has is in the others.

    Raises:
        LogInUse: another process has one of the files.
        LogUnavailable: one of them cannot be read or written.
        CopyFailed: a game went two ways, in files of two numbers of workers.
    """
    moved = []
    others = other_files(file, of)
    if not others:
        return []
    async with contextlib.AsyncExitStack() as opened:
        targets = [await _opened(opened, Share(number, of).part_of(file)) for number in range(of)]
        for other in others:
            async with contextlib.AsyncExitStack() as source:
                log = await _opened(source, other, must_exist=True)
                games = await log.games()
                for game_id in games:
                    await copy_game(log, targets[Share(0, of).owner(game_id)], game_id)
            _remove(other)
            moved.append(Moved(other, len(games)))
    return moved


async def _opened(stack: contextlib.AsyncExitStack, file: Path, *, must_exist: bool = False) -> EventLog:
    log = SqliteEventLog(file, must_exist=must_exist)
    await log.open()
    stack.push_async_callback(log.close)
    return log


def _remove(file: Path) -> None:
    """Remove a file of SQLite's with what it keeps beside it; the lock's stays (see `lock`)."""
    for one in (file, *(file.with_name(f"{file.name}-{beside}") for beside in ("wal", "shm"))):
        one.unlink(missing_ok=True)
