"""The port for coordination: what replicas agree on, and tell each other, besides the games' commits.

It comes with an event log (`EventLog.coordination`) and is there when that is open. Asking for something raises
LogUnavailable where it cannot be had.
"""

from collections.abc import Callable
from typing import Protocol


class Subscription(Protocol):
    """A running subscription."""

    def close(self) -> None:
        """Stop delivering; closing twice is allowed."""


class Coordination(Protocol):
    """Claims, counts, notes, membership and broadcasts; the same test suite holds each backend to it."""

    shared: bool
    """Whether there may be other replicas."""

    async def claim(self, key: str, ttl_s: float) -> bool:
        """Create `key` if it is not there: True for the first to ask, on whichever replica; kept so long or longer."""

    async def count(self, key: str, ttl_s: float) -> int:
        """Count `key` once more, on whichever replica: how often by now; remembered so long or longer from then on."""

    async def expire(self, now: int) -> None:
        """Remove the claims and counts that ended before `now` (epoch ms), where they do not end by themselves."""

    async def keep(self, topic: str, key: str, value: bytes) -> None:
        """Keep a note under a key of a topic, in place of an earlier one, until it is forgotten.

        It outlives this process where the games do. A topic is a word; a key may be any text of up to 128 characters.
        """

    async def forget(self, topic: str, key: str) -> None:
        """Remove a note, if there is one."""

    async def kept(self, topic: str) -> dict[str, bytes]:
        """Read all notes of a topic, by key; on a shared log the newest may take a moment to show."""

    async def heartbeat(self, instance: str, ttl_s: float) -> float:
        """Announce that a server process lives, for so long; when that was by the log's clock (epoch seconds)."""

    async def withdraw(self, instance: str) -> None:
        """Announce that a server process is gone."""

    async def instances(self) -> frozenset[str]:
        """List the server processes that live."""

    def broadcast(self, topic: str, payload: bytes) -> None:
        """Send to those on other replicas that have subscribed to `topic`; it is not kept, and may be lost."""

    async def subscribe(self, topic: str, receive: Callable[[bytes], None]) -> Subscription:
        """Call `receive` with every broadcast of `topic` by another replica from now on, on the event loop.

        A game's id is a topic. A game's commits and broadcasts share what a subscription costs.
        """
