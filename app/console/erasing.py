"""Erasing a player's data on request: the name and the code, in all games that have ended and are still kept."""

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from app.eventlog import Conflict, Cursor, EventLog, LogUnavailable
from app.game import GameEvent, GameFinished, PlayerJoined, erased

STAYS: Final = (
    "the player's id, with times, verdicts and places: without it no game could be read",
    "games that have not ended, by id above: end them, or wait, and erase again",
    "log lines, metrics' exemplars and traces: they have ids, neither names nor code, and end with their own retention",
    "on a cluster of NATS, what the servers' replication logs hold, until they compact them",
    "in memory, a game that has just ended and is still shown, until its room is let go",
    "in memory, how the last connections ended, with the name, until others push that out",
    "backups of the event log, and what players have kept of games",
)


class Erasure(Struct, frozen=True):
    """What was erased: in so many of the games; the ids of those that go on or could not be written; what stays.

    `missing` are workers with games of their own who did not answer.
    """

    player_id: str
    games: int
    going_on: list[str]
    failed: list[str]
    stays: list[str]
    missing: list[str] = []

    def with_others(self, others: Sequence["Erasure"], missing: list[str]) -> "Erasure":
        """Add what was erased in the games of other workers."""
        every = [self, *others]
        return Erasure(
            self.player_id,
            games=sum(one.games for one in every),
            going_on=[game for one in every for game in one.going_on],
            failed=[game for one in every for game in one.failed],
            stays=self.stays,
            missing=missing,
        )


class Eraser:
    """Looks through the games of an event log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def erase(self, player_id: str) -> Erasure | None:
        """Erase a player's name and code; None where no game knows the player. Raises LogUnavailable."""
        going_on: list[str] = []
        failed: list[str] = []
        games = 0
        for game_id in await self._log.games():
            await asyncio.sleep(0)  # where the log is in memory nothing else lets the others have their turn
            commits = await self._log.read(game_id)
            events = [event for commit in commits for event in commit.events]
            if not _knows(events, player_id):
                continue
            if not isinstance(events[-1], GameFinished):
                going_on.append(game_id)
            elif await self._replace(game_id, commits[-1].cursor, events, player_id):
                games += 1
            else:
                failed.append(game_id)
        if not (games or going_on or failed):
            return None
        if games:
            await self._log.scrub()
        return Erasure(player_id, games, going_on, failed, list(STAYS))

    async def _replace(self, game_id: str, after: Cursor, events: list[GameEvent], player_id: str) -> bool:
        try:  # also where nothing is left of the player: it may be half done
            await self._log.replace(game_id, after, erased(events, player_id))
        except Conflict:
            return False  # it has expired meanwhile, or another erases
        except LogUnavailable as error:
            if error.is_away:
                raise
            return False  # the one commit that it would be is larger than the log takes
        return True


def _knows(events: list[GameEvent], player_id: str) -> bool:
    return any(isinstance(event, PlayerJoined) and event.player_id == player_id for event in events)
