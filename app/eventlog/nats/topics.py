"""What happens now in each game, or under another topic: commits as they are stored, and broadcasts.

Both come over one NATS subscription a topic, however many subscribe to it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from app.eventlog.coordination import Subscription
from app.eventlog.nats.durable import Durable
from app.eventlog.nats.link import LinkSubscription, NatsLink
from app.eventlog.nats.streams import live_subjects
from app.telemetry.bulkhead import Bulkhead

Receive = Callable[[Any], None]
Decode = Callable[[str, bytes, bytes], Any]
"""Makes something of a message: its subject, its headers, and what it says."""


class Topics:
    """Knows the topics subscribed to; a subscriber that raises is reported, and the others get theirs.

    A message's kind is the last word of its subject. Received is what `decoders` make of a message of that kind, once
    for all; nothing, where they make None of it or do not know the kind.
    """

    def __init__(self, link: NatsLink, decoders: Mapping[str, Decode], durable: Durable) -> None:
        self.decoders = decoders
        self.durable = durable
        self.bulkhead = Bulkhead(link.report, "subscriber")
        self._link = link
        self._topics: dict[str, _Topic] = {}

    async def subscribe(self, topic: str, kind: str, receive: Receive) -> Subscription:
        """Call `receive` with what comes of a kind from now on. Raises LogUnavailable."""
        one = self._topics.get(topic)
        if one is not None:
            return _Receiver(one, kind, receive)
        one = _Topic(self, topic)
        receiver = _Receiver(one, kind, receive)
        one.subscription = await self._link.subscribe(live_subjects(topic), one.take)
        self._topics.setdefault(topic, one)  # of two made at once each keeps its own: who comes later joins the first
        return receiver

    def forget(self, topic: str, one: "_Topic") -> None:
        """Remove a topic that nobody is subscribed to any more."""
        if self._topics.get(topic) is one:
            del self._topics[topic]


class _Topic:
    __slots__ = ("_name", "_topics", "receivers", "subscription")

    def __init__(self, topics: Topics, name: str) -> None:
        self.receivers: tuple[_Receiver, ...] = ()
        self.subscription: LinkSubscription | None = None
        self._topics = topics
        self._name = name

    def take(self, subject: str, headers: bytes, data: bytes) -> None:
        kind = subject.rpartition(".")[2]
        decode = self._topics.decoders.get(kind)
        received = decode(subject, headers, data) if decode is not None else None
        if received is not None:
            self._topics.durable.take(headers, partial(self._deliver, kind, received))

    def _deliver(self, kind: str, received: object) -> None:
        for receiver in self.receivers:
            if receiver.kind == kind:
                with self._topics.bulkhead:
                    receiver.receive(received)

    def remove(self, receiver: "_Receiver") -> None:
        if receiver in self.receivers:
            self.receivers = tuple(one for one in self.receivers if one is not receiver)
            if not self.receivers and self.subscription is not None:
                self.subscription.close()
                self._topics.forget(self._name, self)


class _Receiver:
    __slots__ = ("_topic", "kind", "receive")

    def __init__(self, topic: _Topic, kind: str, receive: Receive) -> None:
        self.kind = kind
        self.receive = receive
        self._topic = topic
        topic.receivers += (self,)

    def close(self) -> None:
        self._topic.remove(self)
