"""The logs of one process: what they share, and the one in memory, the simplest statement of the contract.

Nobody else appends to such a log, and there are no other replicas to coordinate with: who wants the commits of a game
is told them on the spot, so nobody ever misses one.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from app.eventlog.codec import decode_events, encode_events, ended_at
from app.eventlog.coordination import Subscription
from app.eventlog.port import START, Commit, Conflict, Cursor, LogListener, LogUnavailable
from app.game import GameEvent
from app.telemetry.bulkhead import Bulkhead

Deliver = Callable[[Commit], None]


class EmbeddedLog:
    """Subscriptions and reports, for a log to which nobody else appends.

    A game that nobody wants leaves no key behind. A subscriber that raises is reported, and the others get theirs.
    """

    shared = False

    def __init__(self) -> None:
        self._listener = LogListener()
        self._bulkhead = Bulkhead(self._report, "subscriber")
        self._deliveries: dict[str, list[Deliver]] = {}

    def reread_user(self) -> None:
        """Do nothing: nobody connects to an embedded log."""

    async def abandon(self, why: LogUnavailable) -> None:
        """Do nothing: nothing is waited for but this machine."""

    def listen(self, listener: LogListener) -> None:
        """Report to `listener` from now on; an embedded log reports only faults."""
        self._listener = listener

    def _report(self, where: str, error: BaseException) -> None:
        self._listener.on_fault(where, error)

    async def subscribe(self, game_id: str, deliver: Deliver) -> Subscription:
        """Deliver every commit to come; none is ever missed."""
        self._deliveries.setdefault(game_id, []).append(deliver)
        return _Delivery(self, game_id, deliver)

    def unsubscribe(self, game_id: str, deliver: Deliver) -> None:
        """Stop delivering; who is not subscribed is ignored."""
        deliveries = self._deliveries.get(game_id, [])
        if deliver in deliveries:
            deliveries.remove(deliver)
        if not deliveries:
            self._deliveries.pop(game_id, None)

    def publish(self, game_id: str, commit: Commit) -> None:
        """Deliver a commit to everybody subscribed now."""
        for deliver in tuple(self._deliveries.get(game_id, ())):
            with self._bulkhead:
                deliver(commit)

    async def behind(self, cursors: Mapping[str, Cursor]) -> list[str]:  # noqa: ARG002 - the port's
        """Find no game: whoever has subscribed has been told all."""
        return []


class _Delivery:
    __slots__ = ("_deliver", "_game_id", "_log")

    def __init__(self, log: EmbeddedLog, game_id: str, deliver: Deliver) -> None:
        self._log, self._game_id, self._deliver = log, game_id, deliver

    def close(self) -> None:
        self._log.unsubscribe(self._game_id, self._deliver)


class EmbeddedCoordination:
    """Membership and broadcasts where there is one process; claims, counts and notes are kept by each backend."""

    shared = False

    def __init__(self) -> None:
        self._instances: set[str] = set()

    async def heartbeat(self, instance: str, ttl_s: float) -> float:  # noqa: ARG002 - it lives as long as the log does
        """Announce that this process lives; the log's clock is the machine's."""
        self._instances.add(instance)
        return time.time()

    async def withdraw(self, instance: str) -> None:
        """Announce that this process is gone."""
        self._instances.discard(instance)

    async def instances(self) -> frozenset[str]:
        """List who has announced that it lives."""
        return frozenset(self._instances)

    def broadcast(self, topic: str, payload: bytes) -> None:
        """Send to nobody: nobody else is there."""

    async def subscribe(self, topic: str, receive: Callable[[bytes], None]) -> Subscription:  # noqa: ARG002 - the port's
        """Receive nothing: nobody else is there."""
        return _Silence()


class _Silence:
    __slots__ = ()

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def expires_at(ttl_s: float) -> int:
    """Tell when a claim or a count made now ends (epoch ms)."""
    return round((time.time() + ttl_s) * 1000)


class MemoryEventLog(EmbeddedLog):
    """Keeps the encoded commits of each game in a list; gone with the process."""

    def __init__(self) -> None:
        super().__init__()
        self.coordination = MemoryCoordination()
        self._games: dict[str, list[tuple[Cursor, bytes]]] = {}
        self._ended: dict[str, int | None] = {}

    async def open(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Append one commit, or raise Conflict."""
        commits = self._games.get(game_id, [])
        if (commits[-1][0] if commits else START) != after:
            raise Conflict(game_id)
        commit = Commit(Cursor(events[-1].seq), tuple(events), time.time())
        self._games.setdefault(game_id, commits).append((commit.cursor, encode_events(events)))
        self._ended[game_id] = ended_at(events)
        self.publish(game_id, commit)
        return commit

    async def replace(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Replace the commits of a game by one, or raise Conflict."""
        commits = self._games.get(game_id, [])
        if not commits or commits[-1][0] != after:
            raise Conflict(game_id)
        self._games[game_id] = [(after, encode_events(events))]
        return Commit(after, tuple(events), time.time())

    async def scrub(self) -> None:
        """Do nothing: there is no disk."""

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        """Read the commits after `after`."""
        commits = self._games.get(game_id, [])
        return [Commit(cursor, decode_events(data)) for cursor, data in commits if cursor > after]

    async def probe(self) -> None:
        """Do nothing: memory takes every write."""

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
    """Keeps claims and counts with the times at which they end, and notes."""

    def __init__(self) -> None:
        super().__init__()
        self._claims: dict[str, int] = {}
        self._counts: dict[str, tuple[int, int]] = {}
        self._notes: dict[tuple[str, str], bytes] = {}

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

    async def keep(self, topic: str, key: str, value: bytes) -> None:
        """Keep a note, for as long as the process lives."""
        self._notes[topic, key] = value

    async def forget(self, topic: str, key: str) -> None:
        """Remove a note."""
        self._notes.pop((topic, key), None)

    async def kept(self, topic: str) -> dict[str, bytes]:
        """Read the notes of a topic."""
        return {key: value for (of, key), value in self._notes.items() if of == topic}

    async def expire(self, now: int) -> None:
        """Remove what ended before `now`."""
        self._claims = {key: until for key, until in self._claims.items() if until >= now}
        self._counts = {key: counted for key, counted in self._counts.items() if counted[1] >= now}
