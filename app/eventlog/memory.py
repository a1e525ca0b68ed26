"""A log in memory: for tests, and the simplest statement of the contract."""

import time
from collections.abc import Callable, Sequence

from app.eventlog.codec import decode_events, encode_events, ended_at
from app.eventlog.embedded import Embedded, claimed_until
from app.eventlog.fanout import LocalFanout
from app.eventlog.port import START, Commit, Conflict, Cursor, Subscription
from app.game import GameEvent


class MemoryEventLog(Embedded):
    """Keeps the encoded commits of each game in a list; gone with the process."""

    def __init__(self) -> None:
        super().__init__()
        self._games: dict[str, list[tuple[Cursor, bytes]]] = {}
        self._ended: dict[str, int | None] = {}
        self._claims: dict[str, int] = {}
        self._counts: dict[str, tuple[int, int]] = {}
        self._fanout = LocalFanout(self.failed)

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to let go."""

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Cursor:
        """See `EventLog.append`."""
        commits = self._games.get(game_id, [])
        if (commits[-1][0] if commits else START) != after:
            raise Conflict(game_id)
        cursor = Cursor(events[-1].seq)
        self._games.setdefault(game_id, commits).append((cursor, encode_events(events)))
        self._ended[game_id] = ended_at(events)
        self._fanout.publish(game_id, Commit(cursor, tuple(events), time.time()))
        return cursor

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        """See `EventLog.read`."""
        commits = self._games.get(game_id, [])
        return [Commit(cursor, decode_events(data)) for cursor, data in commits if cursor > after]

    async def subscribe(
        self,
        game_id: str,
        deliver: Callable[[Commit], None],
        hear: Callable[[bytes], None] | None = None,  # noqa: ARG002 - nobody tells
    ) -> Subscription:
        """See `EventLog.subscribe`."""
        return self._fanout.add(game_id, deliver)

    async def games(self) -> list[str]:
        """See `EventLog.games`."""
        return list(self._games)

    async def open_games(self) -> list[str]:
        """See `EventLog.open_games`."""
        return [game_id for game_id, ended in self._ended.items() if ended is None]

    async def expire(self, ended_before: int, now: int) -> int:
        """See `EventLog.expire`."""
        gone = [key for key, ended in self._ended.items() if ended is not None and ended < ended_before]
        for game_id in gone:
            del self._games[game_id], self._ended[game_id]
        self._claims = {key: until for key, until in self._claims.items() if until >= now}
        self._counts = {key: counted for key, counted in self._counts.items() if counted[1] >= now}
        return len(gone)

    async def claim(self, key: str, ttl_s: float) -> bool:
        """See `EventLog.claim`."""
        if key in self._claims:
            return False
        self._claims[key] = claimed_until(ttl_s)
        return True

    async def count(self, key: str, ttl_s: float) -> int:
        """See `EventLog.count`."""
        count = self._counts.get(key, (0, 0))[0] + 1
        self._counts[key] = (count, claimed_until(ttl_s))
        return count
