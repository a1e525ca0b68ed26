"""Requests for a game that another worker has: which they are, how their connection gets there, and goes on there."""

import asyncio
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from app.aio.tasks import TaskOwner
from app.telemetry.bulkhead import ReportFault
from app.transport.http_head import BadRequest
from app.vocabulary import Handover, HttpRejection
from app.workers import Share
from app.workers.mailbox import MAX_LETTER_BYTES

_BEFORE_GAMES: Final = (["ws"], ["api", "games"])
"""What of a path comes before the id of a game."""


class Handed(Exception):  # noqa: N818 - names what it is
    """A request is another worker's: nobody here goes on with it."""

    def __init__(self, elsewhere: "Elsewhere", owner: int) -> None:
        super().__init__(owner)
        self._elsewhere = elsewhere
        self._owner = owner

    def send(self, transport: asyncio.Transport, data: bytes) -> BadRequest | None:
        """Send the connection to its worker, with what was read of it; return the refusal if that takes it not now."""
        return self._elsewhere.send(self._owner, transport.get_extra_info("socket").fileno(), data)


class Elsewhere:
    """What a worker with a `share` of the games does with requests for those of others.

    `send_socket` gives a worker the descriptor of a connection, and what was read of it; it says whether it could.
    `count` is told what became of each.
    """

    def __init__(
        self, share: Share, send_socket: Callable[[int, int, bytes], bool], count: Callable[[Handover], None]
    ) -> None:
        self._share = share
        self._send_socket = send_socket
        self._count = count

    def check(self, target: bytes) -> None:
        """Raise Handed where a request's target, in origin form, names a game of another worker."""
        try:
            owner = self._share.owner(_game_in(target))
        except ValueError:
            return  # it names none, or what is no game's id, and that is told here
        if owner != self._share.number:
            raise Handed(self, owner)

    def send(self, owner: int, descriptor: int, data: bytes) -> BadRequest | None:
        """Send a connection to its worker, with what was read of it; return the refusal if that takes it not now."""
        outcome = self._send(owner, descriptor, data)
        self._count(outcome)
        if outcome is Handover.SENT:
            return None
        text = "the process that has this game takes no more connections from others; come back in a moment"
        return BadRequest(HttpRejection.WORKER_FULL, HTTPStatus.SERVICE_UNAVAILABLE, text)

    def _send(self, owner: int, descriptor: int, data: bytes) -> Handover:
        if len(data) > MAX_LETTER_BYTES:
            return Handover.TOO_LONG
        return Handover.SENT if self._send_socket(owner, descriptor, data) else Handover.FULL


def _game_in(target: bytes) -> str:
    """Return the id of the game that a target names, read as the application reads it; empty where it names none."""
    path = target.partition(b"?")[0].decode("ascii")
    parts = [part for part in (unquote(path) if "%" in path else path).split("/") if part]
    for before in _BEFORE_GAMES:
        if parts[: len(before)] == before and len(parts) > len(before):
            return parts[len(before)]
    return ""


class Arrivals:
    """Connections that other workers have accepted, and that go on here where those stopped reading.

    `protocol` makes that of a connection of which so much has been read; `count` is told what became of each.
    """

    def __init__(
        self, protocol: Callable[[bytes], asyncio.Protocol], report: ReportFault, count: Callable[[Handover], None]
    ) -> None:
        self._protocol = protocol
        self._tasks = TaskOwner(report)
        self._count = count
        self._unconnected: set[socket.socket] = set()

    def take(self, accepted: socket.socket, data: bytes) -> None:
        """Go on with a connection, of which `data` has been read."""
        self._unconnected.add(accepted)
        self._tasks.spawn(self._connect(accepted, data), "handover")

    def lose(self) -> None:
        """Note that one came without its descriptor."""
        self._count(Handover.LOST)

    async def close(self) -> None:
        """Take none any more; whoever was not connected yet is closed."""
        await self._tasks.close()
        for accepted in self._unconnected:
            accepted.close()
        self._unconnected.clear()

    async def _connect(self, accepted: socket.socket, data: bytes) -> None:
        accepted.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: self._protocol(data), accepted)
        except OSError:
            accepted.close()
            self.lose()
        else:
            self._count(Handover.TAKEN)
        self._unconnected.discard(accepted)
