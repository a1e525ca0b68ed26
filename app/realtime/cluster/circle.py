"""The server processes that serve the same players: what is bounded of a player or an address is so over all of them.

They are the replicas that share the event log. Workers of one machine share the players, and no event log: each has its
games alone, so whom it sees here says nothing of who looks after a game (`Replicas` says that).
"""

import time
from collections.abc import Coroutine, Iterator
from typing import Final

from app.eventlog import Coordination
from app.eventlog.embedded import MemoryCoordination
from app.realtime.cluster.presence import Presence
from app.realtime.cluster.replicas import Replicas
from app.telemetry.observer import Observer

ADDRESSES: Final = "addresses"


class Circle:
    """Counts the connections of `players` over all, and of `addresses` over the workers of one machine.

    `of_log` is among those who share the event log, `of_workers` among workers who do not, where there are such.
    """

    def __init__(
        self,
        of_log: Coordination,
        of_workers: Coordination | None,
        replicas: Replicas,
        ttl_s: float,
        observer: Observer,
    ) -> None:
        self._replicas = Replicas(of_workers, ttl_s, observer, _machine_ms) if of_workers else replicas
        self._joins_apart = of_workers is not None
        self.is_shared = (of_workers or of_log).shared
        instance, lives = self._replicas.instance, self._replicas.lives
        self.players = Presence(of_workers or of_log, instance, lives, observer.fault)
        alone_or_workers = of_workers or MemoryCoordination()
        self.addresses = Presence(alone_or_workers, instance, lives, observer.fault, ADDRESSES)

    @property
    def size(self) -> int:
        """Count the server processes that live, this one included."""
        return self._replicas.size

    @property
    def instance(self) -> str:
        """How this process is known to the others."""
        return self._replicas.instance

    def lives(self, instance: str) -> bool:
        """Return whether a process lives; one never seen is given its time."""
        return self._replicas.lives(instance)

    async def join(self) -> None:
        """Announce this process, where `Replicas` has not done so. Raises LogUnavailable."""
        if self._joins_apart:
            await self._replicas.refresh()

    async def leave(self) -> None:
        """Announce that this process ends. Raises LogUnavailable."""
        await self._replicas.leave()

    def work(self) -> Iterator[tuple[str, Coroutine[None, None, None]]]:
        """Give what is to run for ever, by name; nothing where there can be no others."""
        if self.is_shared:
            yield "replicas", self._replicas.run()
            yield "presence", self.players.run()
        if self._joins_apart:
            yield "addresses", self.addresses.run()


def _machine_ms() -> int:
    """Tell the time by which workers announce themselves: it is the machine's, and none of them can be off."""
    return round(time.time() * 1000)
