"""Questions that are waited for: each is bounded in time, and all of them end where nobody is asked any more."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from app.eventlog.nats.client import headers_of
from app.eventlog.port import LogUnavailable
from app.vocabulary import LogTrouble

Got = TypeVar("Got")


class Gathering(Protocol[Got]):
    """What the messages that answer a question come to: the last one completes `done`."""

    done: asyncio.Future[Got]

    def take(self, headers: bytes, data: bytes) -> None:
        """Take one message; none that comes once `done` is."""


class OneReply:
    """The one message that answers; NO_LEADER where nobody is there to answer."""

    def __init__(self) -> None:
        self.done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def take(self, headers: bytes, data: bytes) -> None:
        """Take it."""
        if headers and headers_of(headers).get("Status") == "503":
            self.done.set_exception(LogUnavailable("nobody answers", LogTrouble.NO_LEADER))
        else:
            self.done.set_result(data)


class ReplyInbox:
    """Knows what is asked, by the last word of the subject that the answer comes to; all begin with `subject`."""

    def __init__(self) -> None:
        self.subject = f"_INBOX.{uuid.uuid4().hex}"
        self._waiting: dict[str, Gathering[Any]] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._waiting)

    async def to(self, ask: Callable[[str], None], gathering: Gathering[Got], timeout_s: float) -> Got:
        """Ask, saying which subject to answer to, and wait for what is gathered. Raises TimeoutError."""
        self._number += 1
        token = str(self._number)
        timer = asyncio.get_running_loop().call_later(timeout_s, _expire, gathering)
        self._waiting[token] = gathering
        try:
            ask(f"{self.subject}.{token}")
            return await gathering.done
        finally:
            timer.cancel()
            del self._waiting[token]

    def take(self, subject: str, headers: bytes, data: bytes) -> None:
        """Hand a message to whom it answers; nobody may wait for it any more."""
        gathering = self._waiting.get(subject.rpartition(".")[2])
        if gathering is not None and not gathering.done.done():
            gathering.take(headers, data)

    def end(self) -> None:
        """Have all of them time out now."""
        for gathering in self._waiting.values():
            _expire(gathering)


def _expire(gathering: Gathering[Any]) -> None:
    if not gathering.done.done():
        gathering.done.set_exception(TimeoutError())
