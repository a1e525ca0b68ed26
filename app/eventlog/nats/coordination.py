"""Coordination between replicas over NATS: one value a subject in the state stream, some with a time to live (ADR-43).

Broadcasts are plain NATS messages, at most once, which no stream keeps.
"""

from collections.abc import Callable
from datetime import datetime

from app.eventlog.coordination import Subscription
from app.eventlog.nats.jetstream import Stream
from app.eventlog.nats.link import NatsLink
from app.eventlog.nats.streams import BROADCAST, broadcast_subject
from app.eventlog.nats.topics import Topics
from app.eventlog.port import START, Conflict, LogUnavailable
from app.vocabulary import LogTrouble


class NatsCoordination:
    """Keeps claims, counts and who lives in `state`; sends broadcasts over `link`, receives them by `topics`."""

    shared = True

    def __init__(self, link: NatsLink, state: Stream, topics: Topics) -> None:
        self._link = link
        self._state = state
        self._topics = topics

    async def claim(self, key: str, ttl_s: float) -> bool:
        """Create `key`: the stream refuses all but the first who ask."""
        try:
            await self._state.store(f"state.claim.{_words(key)}", b"", START, _lasting(ttl_s))
        except Conflict:
            return False
        return True

    async def count(self, key: str, ttl_s: float) -> int:
        """Count `key` once more; whoever is overtaken by another counts again, on top of it."""
        subject = f"state.count.{_words(key)}"
        while True:
            last = await self._state.last(subject)
            count = 1 if last is None else int(last.data) + 1
            try:
                await self._state.store(subject, str(count).encode(), last.seq if last else 0, _lasting(ttl_s))
            except Conflict:
                continue
            return count

    async def expire(self, now: int) -> None:
        """Remove nothing: claims and counts end by themselves here."""

    async def keep(self, topic: str, key: str, value: bytes) -> None:
        """Keep a note."""
        await self._state.put(_note(topic, key), value)

    async def forget(self, topic: str, key: str) -> None:
        """Remove a note."""
        await self._state.purge(_note(topic, key))

    async def kept(self, topic: str) -> dict[str, bytes]:
        """Read the notes of a topic."""
        found = await self._state.read_all(f"state.note.{topic}.*")
        return {bytes.fromhex(message.last_word).decode(): message.data for message in found}

    async def heartbeat(self, instance: str, ttl_s: float) -> float:
        """Announce that a process lives; the time is the server's, which it gave the message."""
        subject = f"state.replica.{instance}"
        message = await self._state.at(await self._state.put(subject, b"", _lasting(ttl_s)))
        if message is None:
            raise LogUnavailable(f"{subject}: what was there a moment ago is gone", LogTrouble.OTHER)
        return datetime.fromisoformat(message.time).timestamp()

    async def withdraw(self, instance: str) -> None:
        """Remove a process's announcement."""
        await self._state.purge(f"state.replica.{instance}")

    async def instances(self) -> frozenset[str]:
        """List the processes whose announcement has not ended."""
        found = await self._state.read_all("state.replica.*")
        return frozenset(message.last_word for message in found)

    def broadcast(self, topic: str, payload: bytes) -> None:
        """Send to the other replicas; dropped, and reported, where too much waits already."""
        self._link.publish(broadcast_subject(topic), payload)

    async def subscribe(self, topic: str, receive: Callable[[bytes], None]) -> Subscription:
        """Receive the broadcasts of a topic."""
        return await self._topics.subscribe(topic, BROADCAST, receive)


def _words(key: str) -> str:
    """Write the words of a key as those of a subject."""
    return key.replace(" ", ".")


def _note(topic: str, key: str) -> str:
    """Name the subject of a note: a key may hold what a subject may not."""
    return f"state.note.{topic}.{key.encode().hex()}"


def _lasting(ttl_s: float) -> dict[str, str]:
    """Have a message removed by the servers after so long, in whole seconds."""
    return {"Nats-TTL": f"{max(1, round(ttl_s))}s"}
