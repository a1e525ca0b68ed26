"""Storing together what is asked for while something else is under way: one sync of the servers' disk, one answer.

JetStream's atomic batch stores all of it or nothing, each message only after the last one of its subject that it names.
All or nothing is not what is wanted here: where a batch was refused, or nobody knows, each goes alone, as the same
message: if the batch has stored it, that is what is found.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec import Struct

from app.eventlog.nats import replies
from app.eventlog.nats.client import message
from app.eventlog.nats.link import NatsLink
from app.eventlog.port import LogUnavailable

SINCE: Final = (2, 15)
"""The servers' release that was measured; earlier ones know batches since 2.12."""
LEAST: Final = 32
"""Fewer go alone: for each batch the server makes a folder and syncs it, what 20 messages alone take it."""
MOST: Final = 500
"""The servers take 1,000."""
MOST_BYTES: Final = 16_384
"""A longer message goes alone: a connection is ended for one that is too long, if it is not looked at before."""
ATTEMPT_TIMEOUT_S: Final = 2.0
HOLD_S: Final = 0.25
"""What takes longer holds nobody up: who waits for its answer does not wait any more."""


class Publication(Struct):
    """A message to be stored until `deadline` (monotonic); `unsure` where an earlier try may have stored it."""

    subject: str
    payload: bytes
    headers: dict[str, str]
    deadline: float
    unsure: bool = False


_Pending = tuple[Publication, "asyncio.Future[int | None]"]


class Together:
    """Sends one `alone` at once, and those that come until it is answered in a batch whose name begins with `name`."""

    def __init__(self, link: NatsLink, alone: Callable[[Publication], Awaitable[int]], name: str) -> None:
        self._link = link
        self._alone = alone
        self._name = name
        self._batches = 0
        self._under_way: asyncio.TimerHandle | None = None
        self._waiting: list[_Pending] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def store(self, one: Publication) -> int:
        """Store; the sequence. Raises Conflict, LogUnavailable."""
        if len(one.payload) > MOST_BYTES:
            return await self._alone(one)
        if self._under_way is None:
            hold = self._hold()
            try:
                return await self._alone(one)
            finally:
                self._release(hold)
        answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, answer))
        seq = await answer
        return await self._alone(one) if seq is None else seq

    def _hold(self) -> asyncio.TimerHandle:
        self._under_way = hold = asyncio.get_running_loop().call_later(HOLD_S, self._next)
        return hold

    def _release(self, hold: asyncio.TimerHandle) -> None:
        if hold is self._under_way:
            hold.cancel()
            self._next()

    def _next(self) -> None:
        """Send what waits for what was under way."""
        self._under_way = None
        waiting = [one for one in self._waiting if not one[1].done()]
        batch, self._waiting = waiting[:MOST], waiting[MOST:]
        if len(batch) < LEAST:
            _tell(batch, None)
            return
        task = asyncio.get_running_loop().create_task(self._send(batch, self._hold()), name="nats batch")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, batch: list[_Pending], hold: asyncio.TimerHandle) -> None:
        first: int | None = None
        try:
            first = await self._store_all([one for one, _ in batch])
        except LogUnavailable:  # it may have been stored all the same: each is told when it goes alone
            pass
        finally:
            _tell(batch, first)
            self._release(hold)

    async def _store_all(self, batch: Sequence[Publication]) -> int | None:
        """Store a batch; the sequence of the first, None where it was refused. Raises LogUnavailable."""
        self._batches += 1
        name = f"{self._name}{self._batches:x}"
        for one in batch:
            one.unsure = True
        *others, last = [
            (one, one.headers | {"Nats-Batch-Id": name, "Nats-Batch-Sequence": str(number)})
            for number, one in enumerate(batch, 1)
        ]
        one, headers = last
        left_s = min(one.deadline for one in batch) - time.monotonic()
        answer = await self._link.request(
            one.subject,
            one.payload,
            min(ATTEMPT_TIMEOUT_S, left_s),
            headers | {"Nats-Batch-Commit": "1"},
            ahead=b"".join([message(other.subject, other.payload, headers=theirs) for other, theirs in others]),
        )
        ack = replies.pub_ack(answer)
        if ack.error is not None or ack.count != len(batch):
            return None
        return ack.seq - len(batch) + 1


def _tell(batch: Sequence[_Pending], first: int | None) -> None:
    """Tell each its sequence, or to go alone."""
    for number, (_, answer) in enumerate(batch):
        if not answer.done():
            answer.set_result(None if first is None else first + number)
