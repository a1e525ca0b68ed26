"""What a log that belongs to one process need not do: there are no others to tell, to hear or to fall behind."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Mapping

from app.eventlog.port import Cursor, LogOwner


class Embedded:
    """The parts of `EventLog` that are about other replicas, and the probe, which is a claim like any other."""

    shared = False

    def __init__(self) -> None:
        self._instances: set[str] = set()
        self._owner: LogOwner | None = None

    @abstractmethod
    async def claim(self, key: str, ttl_s: float) -> bool:
        """See `EventLog.claim`."""

    def listen(self, owner: LogOwner) -> None:
        """See `EventLog.listen`; all it tells is what has failed."""
        self._owner = owner

    def failed(self, where: str, error: BaseException) -> None:
        """See `LogOwner.failed`; where nobody listens, the event loop is told."""
        if self._owner is None:
            asyncio.get_running_loop().call_exception_handler({"message": where, "exception": error})
        else:
            self._owner.failed(where, error)

    def tell(self, game_id: str, payload: bytes) -> None:
        """Nobody else is there."""

    async def behind(self, cursors: Mapping[str, Cursor]) -> list[str]:  # noqa: ARG002 - see `EventLog.behind`
        """See `EventLog.behind`."""
        return []

    async def probe(self) -> None:
        """See `EventLog.probe`."""
        await self.claim(f"probe {time.time_ns()}", 0)

    async def beat(self, instance: str, ttl_s: float) -> float:  # noqa: ARG002 - it lives as long as the log does
        """See `EventLog.beat`."""
        self._instances.add(instance)
        return time.time()

    async def withdraw(self, instance: str) -> None:
        """See `EventLog.withdraw`."""
        self._instances.discard(instance)

    async def instances(self) -> frozenset[str]:
        """See `EventLog.instances`."""
        return frozenset(self._instances)

    async def usage(self) -> tuple[int, int]:
        """See `EventLog.usage`."""
        return 0, 0


def claimed_until(ttl_s: float) -> int:
    """When a claim ends (epoch ms)."""
    return round((time.time() + ttl_s) * 1000)
