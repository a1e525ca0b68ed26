"""The two ends of a connection."""

import asyncio
import socket

from uvicorn.protocols.utils import get_local_addr, get_remote_addr

Address = tuple[str, int | None]


def ends(transport: asyncio.Transport) -> tuple[Address | None, tuple[str, int] | None]:
    """Return the addresses of a connection, ours and the peer's, as far as it has any.

    The system is asked for them here: uvloop, asked as uvicorn does it, keeps its answers for as long as the connection
    lives, 300 bytes of each.
    """
    held = transport.get_extra_info("socket")
    if held is None:
        return get_local_addr(transport), get_remote_addr(transport)
    asked = socket.socket(held.family, held.type, held.proto, fileno=held.fileno())
    try:
        return _local(asked.getsockname()), _remote(asked)
    finally:
        asked.detach()


def _local(name: object) -> Address | None:
    if isinstance(name, str):  # of a Unix socket
        return name, None
    return (name[0], name[1]) if isinstance(name, tuple) else None


def _remote(asked: socket.socket) -> tuple[str, int] | None:
    try:
        name = asked.getpeername()
    except OSError:  # it has gone already
        return None
    return (name[0], name[1]) if isinstance(name, tuple) else None
