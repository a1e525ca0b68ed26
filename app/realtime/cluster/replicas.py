"""This server process among the others that share the event log: who lives, who looks after what.

Every process announces again and again that it lives (`Coordination.heartbeat`); one that has been silent for
REPLICA_TTL_S is gone, and does not come
back under its name. The id of a connection begins with its process's, so the log itself shows whose players are whose.
On an embedded log there is only this process, and every other is gone at once.
"""

import asyncio
import contextlib
import hashlib
import itertools
import secrets
import time
from collections.abc import Callable
from typing import Final

from app.eventlog import Coordination, LogUnavailable
from app.game import GameState
from app.telemetry.bulkhead import Bulkhead
from app.telemetry.observer import Observer

HEARTBEATS_PER_TTL: Final = 4
MAX_KNOWN: Final = 10_000
SKEW_S: Final = 1.0
_SEPARATOR: Final = "-"


class Replicas:
    """Knows which server processes live, and which of them acts for a game.

    `instance` is this process's id, `clock_offset_s` how far the log's clock is ahead of `now`, the games' clock: an
    embedded log's is this machine's, which may have been set meanwhile.
    """

    def __init__(self, coordination: Coordination, ttl_s: float, observer: Observer, now: Callable[[], int]) -> None:
        self.instance = secrets.token_hex(6)
        self.clock_offset_s = 0.0
        self._coordination = coordination
        self._observer = observer
        self._now = now
        self._bulkhead = Bulkhead(observer.fault, "replicas")
        self._ttl_s = ttl_s if coordination.shared else 0.0
        self._seen: dict[str, float] = {}
        self._alive = frozenset({self.instance})
        self._refreshed = float("-inf")
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()
        self._changed.set()
        self._has_left = False

    @property
    def size(self) -> int:
        """Count the server processes that live, this one included."""
        return len(self._alive)

    def new_connection_id(self) -> str:
        """Make an id that shows whose the connection is."""
        return f"{self.instance}{_SEPARATOR}{next(self._numbers)}"

    # ---------------------------------------------------------------- who lives

    async def run(self) -> None:
        """Announce that this process lives, and find out who else does, for ever."""
        while True:
            await asyncio.sleep(self._ttl_s / HEARTBEATS_PER_TTL)
            with self._bulkhead, contextlib.suppress(LogUnavailable):
                await self.refresh()  # the log is measured; whoever does not show meanwhile is not held to be gone

    async def refresh(self) -> None:
        """Announce it and find out once; nothing once this process has left. Raises LogUnavailable."""
        if self._has_left:
            return
        began = self._now() / 1000
        at = await self._coordination.heartbeat(self.instance, self._ttl_s)
        ended = self._now() / 1000
        if ended - began < SKEW_S / 2:  # it was in between: a slow answer says too little
            self._note_clock(at - (began + ended) / 2)
        found = await self._coordination.instances()
        now = time.monotonic()
        if now - self._refreshed > self._ttl_s / 2:  # we, or the log, were away: what did not show proves nothing
            self._seen = dict.fromkeys(self._seen, now)
        self._refreshed = now
        self._seen.update(dict.fromkeys(found, now))
        alive = frozenset({self.instance, *(one for one in self._seen if not self._is_silent(one))})
        if not self._alive <= alive:
            self._changed.set()
        self._alive = alive
        self._forget_the_gone()

    def _note_clock(self, offset_s: float) -> None:
        """Report the clock once when it is off, and once a heartbeat as long as it gets worse."""
        if abs(offset_s) > SKEW_S and abs(offset_s) > abs(self.clock_offset_s) + SKEW_S / 2:
            self._observer.clock_skewed(offset_s)
        self.clock_offset_s = offset_s

    def _is_silent(self, instance: str) -> bool:
        return self._refreshed - self._seen[instance] > self._ttl_s

    def _forget_the_gone(self) -> None:
        if len(self._seen) > MAX_KNOWN:
            self._seen = {one: seen for one, seen in self._seen.items() if one in self._alive}

    def lives(self, instance: str) -> bool:
        """Return whether a process lives; one never seen is given its time."""
        if instance == self.instance:
            return True
        if not self._ttl_s:
            return False
        self._seen.setdefault(instance, time.monotonic())
        return not self._is_silent(instance)

    def is_gone(self, connection_id: str) -> bool:
        """Return whether the process that a connection is of is gone."""
        return not self.lives(connection_id.rpartition(_SEPARATOR)[0])

    def is_anothers(self, connection_id: str) -> bool:
        """Return whether a connection is of another process that has shown up; an id may be made up: none is noted."""
        return connection_id.rpartition(_SEPARATOR)[0] in self._alive - {self.instance}

    def is_own(self, connection_id: str) -> bool:
        """Return whether a connection is of this process."""
        return connection_id.rpartition(_SEPARATOR)[0] == self.instance

    async def leave(self) -> None:
        """Announce that this process ends: others need not wait to find out. Raises LogUnavailable."""
        self._has_left = True
        await self._coordination.withdraw(self.instance)

    # ---------------------------------------------------------------- who looks after what

    def take_change(self) -> bool:
        """Return whether a process has gone since this was last asked (at first: who knows)."""
        changed = self._changed.is_set()
        self._changed.clear()
        return changed

    def give_back_change(self) -> None:
        """Have a change taken again: what follows from it could not be done."""
        self._changed.set()

    def leads(self, state: GameState) -> bool:
        """Return whether this process acts first for a game: that of the first connected player, else whoever asks."""
        for player in state.players.values():  # who has left has no connection
            if player.connection_id is not None:
                return self.is_own(player.connection_id) or self.is_gone(player.connection_id)
        return True

    def shares(self, key: str) -> bool:
        """Return whether `key` falls to this process of those that live (rendezvous hashing, Thaler et al. 1998)."""
        return max(self._alive, key=lambda one: hashlib.blake2b(f"{one} {key}".encode()).digest()) == self.instance
