"""A log in memory: for tests, and the simplest statement of the contract."""

import time
from collections.abc import Sequence

from app.eventlog.codec import decode_events, encode_events, ended_at
from app.eventlog.embedded import EmbeddedCoordination, EmbeddedLog, expires_at
from app.eventlog.port import START, Commit, Conflict, Cursor
from app.game import GameEvent


class MemoryEventLog(EmbeddedLog):
    """Keeps the encoded commits of each game in a list; gone with the process."""

    def __init__(self) -> None:
        super().__init__()
        self.coordination = MemoryCoordination()
        self._games: dict[str, list[tuple[Cursor, bytes]]] = {}
        self._ended: dict[str, int | None] = {}

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to let go."""

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Append one commit, or raise Conflict."""
        commits = self._games.get(game_id, [])
        if (commits[-1][0] if commits else START) != after:
            raise Conflict(game_id)
        commit = Commit(Cursor(events[-1].seq), tuple(events), time.time())
        self._games.setdefault(game_id, commits).append((commit.cursor, encode_events(events)))
        self._ended[game_id] = ended_at(events)
        self._fanout.publish(game_id, commit)
        return commit

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        """Read the commits after `after`."""
        commits = self._games.get(game_id, [])
        return [Commit(cursor, decode_events(data)) for cursor, data in commits if cursor > after]

    async def probe(self) -> None:
        """Nothing to write to: memory takes everything."""

    async def games(self) -> list[str]:
        """List all games."""
        return list(self._games)

    async def open_games(self) -> list[str]:
        """List the games that have not finished."""
        return [game_id for game_id, ended in self._ended.items() if ended is None]

    async def expire(self, ended_before: int) -> int:
        """Remove the games that finished before `ended_before`."""
        gone = [key for key, ended in self._ended.items() if ended is not None and ended < ended_before]
        for game_id in gone:
            del self._games[game_id], self._ended[game_id]
        return len(gone)

    async def usage(self) -> tuple[int, int]:
        """Measure nothing: it is in the process's memory."""
        return 0, 0


class MemoryCoordination(EmbeddedCoordination):
    """Keeps claims and counts with the times at which they end."""

    def __init__(self) -> None:
        super().__init__()
        self._claims: dict[str, int] = {}
        self._counts: dict[str, tuple[int, int]] = {}

    async def claim(self, key: str, ttl_s: float) -> bool:
        """Create `key` if it is not there."""
        if key in self._claims:
            return False
        self._claims[key] = expires_at(ttl_s)
        return True

    async def count(self, key: str, ttl_s: float) -> int:
        """Count `key` once more."""
        count = self._counts.get(key, (0, 0))[0] + 1
        self._counts[key] = (count, expires_at(ttl_s))
        return count

    async def expire(self, now: int) -> None:
        """Remove what ended before `now`."""
        self._claims = {key: until for key, until in self._claims.items() if until >= now}
        self._counts = {key: counted for key, counted in self._counts.items() if counted[1] >= now}
