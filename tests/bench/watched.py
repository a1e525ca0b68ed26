"""The service, of which a benchmark can be told how long its event loop was away. For measuring only.

While somebody is connected to the Unix socket WATCHED_AT a callback runs in every turn of the loop, which never sleeps
then: what passes between two of its runs is one turn, in which whatever was ready besides was done. Noted of each is
the processor time of the loop's thread, so that it is little disturbed by what else the machine does, and the time by
the clock less what the thread waited for a core: there a lock that another thread holds shows too.
"""

import asyncio
import json
import os
import socket
import sys
import time
from array import array
from typing import Final, cast

from app import server
from app.__main__ import main
from app.process import waited_for_processor_s

NOTED_FROM_S: Final = 20e-6
"""Shorter turns are not kept."""
SETTING: Final = "WATCHED_AT"


class Watch(asyncio.Protocol):
    """Notes the turns; each line that comes is answered with those since the line before."""

    _transport: asyncio.Transport
    _next: asyncio.Handle

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begin()

    def _begin(self) -> None:
        self._used, self._away = array("d"), array("d")
        self._began = time.perf_counter()
        self._last = _now()

    def _turn(self) -> None:
        before, self._last = self._last, _now()
        for kept, begin, end in zip((self._used, self._away), before, self._last, strict=True):
            if end - begin > NOTED_FROM_S:
                kept.append(end - begin)
        self._next = self._loop.call_soon(self._turn)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._next = self._loop.call_soon(self._turn)

    def data_received(self, _data: bytes) -> None:
        """Tell, and begin anew."""
        told = {"seconds": time.perf_counter() - self._began, "used": list(self._used), "away": list(self._away)}
        self._transport.write(json.dumps(told).encode() + b"\n")
        self._begin()

    def connection_lost(self, _error: Exception | None) -> None:
        """End."""
        self._next.cancel()


def _now() -> tuple[float, float]:
    return time.thread_time(), time.perf_counter() - waited_for_processor_s()


class Watched(server.Server):
    """Listens on that socket too."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """See there."""
        async with await asyncio.get_running_loop().create_unix_server(Watch, os.environ[SETTING]):
            await super().serve(sockets)


if __name__ == "__main__":
    vars(server)["Server"] = Watched
    sys.exit(main())
