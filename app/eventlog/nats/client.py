"""The client library, with a shorter way for messages: written as bytes, received where they are read.

The library has a queue and a task for each subscription, looks at every line with up to eight regular expressions and
at every header with two: most of what a durable event cost. What is rare stays its own: connecting, who connects,
pings, errors, and connecting again with all subscriptions.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final

from nats.aio.client import Client
from nats.aio.subscription import Subscription as NatsSubscription
from nats.errors import BadSubjectError
from nats.protocol.parser import Parser

from app.telemetry.bulkhead import ReportFault

Hear = Callable[[str, bytes, bytes], None]
"""Takes the subject of a message, its headers as they came (`headers_of`), and what it says."""

_MESSAGES: Final = (b"MSG ", b"HMSG ")
_SUBJECT: Final = re.compile(r"[^\s\x00]+").fullmatch
_VERSION: Final = "NATS/1.0"
_FULL_READ: Final = 32_768
"""The most that the library reads at once: where so much came, there may be more."""


def headers_of(raw: bytes) -> dict[str, str]:
    """Read the headers of a message; where it has a status, that is `Status`, and `Description` its text."""
    status, *lines = raw.decode("utf-8", "replace").split("\r\n")
    found = dict(line.split(": ", 1) for line in lines if ": " in line)
    if len(status) > len(_VERSION):
        found["Status"], _, found["Description"] = status[len(_VERSION) + 1 :].partition(" ")
    return found


def message(subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None) -> bytes:
    """Write a message as it is sent. Raises BadSubjectError."""
    if not _SUBJECT(subject):  # a line's end in it would begin another command
        raise BadSubjectError
    if not headers:
        return b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), reply.encode(), len(payload), payload)
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    head = f"{_VERSION}\r\n{lines}\r\n".encode()
    size = len(head)
    return b"HPUB %b %b %d %d\r\n%b%b\r\n" % (
        subject.encode(), reply.encode(), size, size + len(payload), head, payload,
    )  # fmt: skip


class QuickClient(Client):
    """A client whose messages take the shorter way; `report` is told what a receiver raises, and the others get theirs.

    What is sent in one turn of the event loop, by whomever, goes out together.
    """

    def __init__(self, report: ReportFault) -> None:
        super().__init__()
        self._ps = _QuickParser(self)
        self._report = report

    def send(self, command: bytes) -> None:
        """Send what `message` wrote; where the connection is lost meanwhile, when there is one again."""
        self._pending.append(command)
        self._pending_data_size += len(command)
        if self._flush_queue is not None and self._flush_queue.empty():
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())

    def forget(self) -> None:
        """Send nothing that still waits: at its end the library would write it to the connection that was lost."""
        self._pending.clear()
        self._pending_data_size = 0

    async def receive(self, subject: str, receive: Hear) -> NatsSubscription:
        """Call `receive` with every message from now on, in the order in which they come. Raises BadSubjectError."""
        if not _SUBJECT(subject):
            raise BadSubjectError
        self._sid += 1
        self._subs[self._sid] = subscription = _Direct(self, self._sid, subject, receive)
        await self._send_subscribe(subscription)
        return subscription

    def take(self, sid: int, subject: bytes, headers: bytes, payload: bytes) -> None:
        """Hand a message to whom it is for."""
        subscription = self._subs.get(sid)
        if not isinstance(subscription, _Direct):  # it has just ended
            return
        try:
            subscription.receive(subject.decode(), headers, payload)
        except Exception as error:  # noqa: BLE001 - whoever raises must not end the reading for all
            self._report("nats receive", error)


class _Direct(NatsSubscription):
    """A subscription whose queue is not used, without a task; the library subscribes with it anew."""

    def __init__(self, client: Client, sid: int, subject: str, receive: Hear) -> None:
        super().__init__(client, sid, subject)
        self.receive = receive


class _QuickParser(Parser):
    """Reads messages by the length that they name, and leaves every other line to the library."""

    nc: QuickClient

    async def parse(self, data: bytes = b"") -> None:
        if self.buf:
            self.buf += data
            data = bytes(self.buf)
            self.buf.clear()
        at = 0
        while (end := data.find(b"\r\n", at)) >= 0:
            begin = end + 2
            if not data.startswith(_MESSAGES, at):
                await super().parse(data[at:begin])
                at = begin
                continue
            words = data[at:end].split()
            last = begin + int(words[-1])
            if len(data) < last + 2:
                break
            body = begin + int(words[-2]) if words[0] == b"HMSG" else begin
            self.nc.take(int(words[2]), words[1], data[begin:body], data[body:last])
            at = last + 2
        self.buf += data[at:]
        if len(data) >= _FULL_READ:
            await asyncio.sleep(0)  # reading on at once would keep everybody else waiting
