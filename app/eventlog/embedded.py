"""What the backends share that belong to one process: there are no other replicas to coordinate with."""

import time
from collections.abc import Callable, Mapping

from app.eventlog.coordination import Subscription
from app.eventlog.fanout import LocalFanout
from app.eventlog.port import Commit, Cursor, LogListener


class EmbeddedLog:
    """Subscriptions and reports, for a log to which nobody else appends."""

    shared = False

    def __init__(self) -> None:
        self._listener = LogListener()
        self._fanout = LocalFanout(self._report)

    def listen(self, listener: LogListener) -> None:
        """Report to `listener` from now on; an embedded log reports only faults."""
        self._listener = listener

    def _report(self, where: str, error: BaseException) -> None:
        self._listener.on_fault(where, error)

    async def subscribe(self, game_id: str, deliver: Callable[[Commit], None]) -> Subscription:
        """Deliver every commit to come; none is ever missed."""
        return self._fanout.add(game_id, deliver)

    async def behind(self, cursors: Mapping[str, Cursor]) -> list[str]:  # noqa: ARG002 - the port's
        """Find no game: whoever has subscribed has been told all."""
        return []


class EmbeddedCoordination:
    """Membership and broadcasts where there is one process; claims and counts are kept by each backend."""

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
        """Nothing to stop."""


def expires_at(ttl_s: float) -> int:
    """Tell when a claim or a count made now ends (epoch ms)."""
    return round((time.time() + ttl_s) * 1000)
