"""Somebody who has nothing to do with it: asks /livez on a fresh and on a kept connection, and pings as a player.

Each probe has its times to be sent at, whatever became of the one before, and its latency counts from then: a stall of
a second is as many slow probes as it made wait (no coordinated omission). Speaks with its starter by lines of JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tools.harness.wire import TEXT, frame, upgrade

OTHERS: Final = "127.0.0.2"
"""Who is not the attacker comes from here: limits by address are the attacker's own."""
MARK: Final = "client=bystander"
HTTP_EVERY_S: Final = 0.02
PING_EVERY_S: Final = 0.025
GIVES_UP_S: Final = 12.0
_GET: Final = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: %s\r\n\r\n"
Probe = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Timeline:
    """The latencies of one kind of probe, and how many had no answer."""

    every_s: float
    latencies: list[float] = field(default_factory=list)
    lost: int = 0

    async def run(self, probe: Probe, over: asyncio.Event) -> None:
        """Probe until it is over; what was due by then and not sent counts as late until now."""
        due = time.monotonic()
        while not over.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                async with asyncio.timeout(GIVES_UP_S):
                    await probe()
            except (OSError, EOFError, ValueError, TimeoutError):
                self.lost += 1
            now = time.monotonic()
            self.latencies.append(now - due)
            due += self.every_s
        missed = int((time.monotonic() - due) / self.every_s)
        self.latencies += [time.monotonic() - due - number * self.every_s for number in range(max(0, missed))]


class Bystander:
    """See the module."""

    def __init__(self, port: int, http_port: int, path: str, token: str) -> None:
        self._port, self._http_port, self._path, self._token = port, http_port, path, token
        self._kept: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._sent = 0

    async def join(self) -> None:
        """Come in as a player."""
        self._reader, self._writer = await _connect(self._port)
        self._writer.write(upgrade(f"{self._path}?{MARK}/1", f"Authorization: Bearer {self._token}"))
        head = await self._reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in head:
            raise ValueError(head.decode("latin-1"))
        await self.ping()

    async def fresh(self) -> None:
        """A request on a connection of its own."""
        reader, writer = await _connect(self._http_port)
        try:
            await _get(reader, writer, b"close")
        finally:
            writer.transport.abort()

    async def kept(self) -> None:
        """A request on the connection of the last one."""
        if self._kept is None:
            self._kept = await _connect(self._http_port)
        try:
            await _get(*self._kept, b"keep-alive")
        except BaseException:  # cancelled too: half an answer must not be read as the next one
            self._kept[1].transport.abort()
            self._kept = None
            raise

    async def ping(self) -> None:
        """A message and its answer."""
        if self._writer.is_closing():
            raise ConnectionError("its connection has ended")
        self._sent += 1
        message = json.dumps({"type": "ping", "data": {"timestamp": self._sent}})
        self._writer.write(frame(TEXT, message.encode()))
        while b'"pong"' not in await self._next():
            pass

    async def _next(self) -> bytes:
        head = await self._reader.readexactly(2)
        length = head[1]
        if length >= 126:
            length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
        payload = await self._reader.readexactly(length)
        if head[0] & 0x0F == 9:  # a ping of the server's
            self._writer.write(frame(10, payload))
        return payload

    async def watch(self, over: asyncio.Event) -> dict[str, Any]:
        """Probe until it is over: latencies and lost ones of each kind."""
        kinds = {
            "livez, fresh": (self.fresh, Timeline(HTTP_EVERY_S)),
            "livez, kept": (self.kept, Timeline(HTTP_EVERY_S)),
            "ping": (self.ping, Timeline(PING_EVERY_S)),
        }
        await asyncio.gather(*(timeline.run(probe, over) for probe, timeline in kinds.values()))
        return {name: {"latencies": line.latencies, "lost": line.lost} for name, (_, line) in kinds.items()}


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(OTHERS, 0))


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: bytes) -> None:
    writer.write(_GET % connection)
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise ValueError(head)
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))


async def _line() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


def _say(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)  # noqa: T201 - how its starter gets to know


async def main() -> None:
    """Told where by the first line; each further pair of lines is the begin and the end of a watch."""
    aim = json.loads(await _line())
    one = Bystander(**aim)
    await one.join()
    _say({"ready": True})
    while await _line():
        over = asyncio.Event()
        watching = asyncio.create_task(one.watch(over))
        await _line()
        over.set()
        _say(await watching)


if __name__ == "__main__":
    asyncio.run(main())
