"""Copying one event log into another, game by game, commit by commit: how a service moves from SQLite to NATS."""

from dataclasses import dataclass

from app.eventlog.port import START, EventLog


class CopyFailed(Exception):  # noqa: N818 - it says what happened
    """The target holds something else under the same id; nothing of that game was changed."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: `games` are all games of the source, `commits` those that the target did not have yet."""

    games: int
    commits: int


async def copy_log(source: EventLog, target: EventLog) -> Copied:
    """Copy what is missing; done twice, the second time there is nothing to do. Nobody may be writing to either.

    Raises:
        CopyFailed: the target has gone another way.
        LogUnavailable: one of them cannot be read or written; what was copied stays, begin again.
    """
    games = await source.games()
    commits = 0
    for game_id in games:
        commits += await copy_game(source, target, game_id)
    return Copied(len(games), commits)


async def copy_game(source: EventLog, target: EventLog, game_id: str) -> int:
    """Copy what is missing of one game; return how many commits that were. Raises as `copy_log` does."""
    wanted, there = await source.read(game_id), await target.read(game_id)
    if [commit.events for commit in there] != [commit.events for commit in wanted[: len(there)]]:
        raise CopyFailed(f"game {game_id} is another one in the target")
    cursor = there[-1].cursor if there else START
    for commit in wanted[len(there) :]:
        cursor = (await target.append(game_id, cursor, commit.events)).cursor
    return len(wanted) - len(there)
