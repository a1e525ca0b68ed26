"""The ends of a connection are those that uvicorn would find, and the event loop keeps none of them."""

import asyncio
import gc
import socket
from pathlib import Path
from typing import cast

import pytest
import uvloop
from uvicorn.protocols.utils import get_local_addr, get_remote_addr

from app.transport.ends import Address, ends

Ends = tuple[Address | None, tuple[str, int] | None]


class Asked(asyncio.Protocol):
    """Asks for its ends as soon as it has them."""

    def __init__(self, found: asyncio.Future[tuple[Ends, int, Ends]]) -> None:
        self._found = found

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        ours = ends(transport)
        kept = sum(isinstance(one, tuple) for one in gc.get_referents(transport.get_extra_info("socket")))
        self._found.set_result((ours, kept, (get_local_addr(transport), get_remote_addr(transport))))
        transport.close()


def found_by(family: socket.AddressFamily, address: str | tuple[str, int]) -> tuple[Ends, int, Ends]:
    """What a connection to this address finds; how many addresses the loop kept of it; what uvicorn finds."""

    async def work() -> tuple[Ends, int, Ends]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[tuple[Ends, int, Ends]] = loop.create_future()
        with socket.socket(family) as listener, socket.socket(family) as client:
            listener.bind(address)
            listener.listen()
            making = loop.create_unix_server if family is socket.AF_UNIX else loop.create_server
            async with await making(lambda: Asked(found), sock=listener):
                client.connect(listener.getsockname())
                return await asyncio.wait_for(found, 10)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0)), (socket.AF_UNIX, "")]
)
def test_they_are_what_uvicorn_finds(
    tmp_path: Path, family: socket.AddressFamily, address: str | tuple[str, int]
) -> None:
    ours, kept, theirs = found_by(family, address or str(tmp_path / "listening"))
    assert ours == theirs
    assert not kept
