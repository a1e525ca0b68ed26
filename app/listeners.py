"""The addresses that are listened on: bound before anything is started, so that a wrong one is told at once."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from app.settings import CannotStartError, ServerSettings
from app.workers import Inherited
from app.workers.inherited import sockets

ALL = {"", "::"}
"""Hosts that mean every address of both families: a socket for each, so that IPv4 addresses look as ever."""


EVERYWHERE: Final = {"", "::", "0.0.0.0", "127.0.0.1"}  # noqa: S104 - to compare with
"""Hosts by which this machine is reached as localhost."""


class CannotListenError(CannotStartError):
    """An address cannot be listened on; the message says which, and why not."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Sockets of the game and, where they have a port of their own, of probes and metrics."""

    game: list[socket.socket]
    ops: list[socket.socket]

    @property
    def ops_port(self) -> int | None:
        """The port of probes, metrics and the console, if they have one of their own."""
        return port_of(self.ops) if self.ops else None

    @property
    def are_listening(self) -> bool:
        """Whether all of the game's take connections: who binds at the same moment as another may fail to, after it."""
        return all(one.fileno() >= 0 and one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for one in self.game)


def bind(settings: ServerSettings, unsent_bytes: int, unread_bytes: int) -> Listeners:
    """Bind the sockets that the settings ask for; of those that serve TLS the kernel holds `unread_bytes` each.

    Raises CannotListenError.
    """
    host, port, ops_port = settings.host, settings.port, settings.ops_port
    game = bound("PORT", host, port, unsent_bytes, unread_bytes if settings.tls_cert_file else 0)
    return Listeners(game, [] if ops_port is None else bound("OPS_PORT", host, ops_port, unsent_bytes))


def inherit(worker: Inherited) -> Listeners:
    """Take over the sockets that the supervisor has bound for a worker. Raises CannotListenError."""
    try:
        worker.keep()
        return Listeners(sockets(worker.game), sockets(worker.ops))
    except OSError as error:
        raise CannotListenError(
            f"--worker: a descriptor is no socket ({error.strerror}); only `serve --workers` starts one"
        ) from None


def port_of(sockets: list[socket.socket]) -> int:
    """Return the port that the sockets share."""
    return int(sockets[0].getsockname()[1])


def bound(name: str, host: str, port: int, unsent_bytes: int = 0, unread_bytes: int = 0) -> list[socket.socket]:
    """Bind a socket to each address of `host`, all to one port (0: a free one) of setting `name`; none listens yet.

    Connections inherit `unsent_bytes`: else the kernel takes megabytes for a peer that reads nothing, unseen by us; and
    `unread_bytes` (0: the kernel's own), as TLS keeps buffers as large as the largest read.

    Raises:
        CannotListenError: one of the addresses cannot be had.
    """
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in _addresses(host, port):
            one = socket.socket(family, kind, protocol)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _limit_unsent(one, unsent_bytes)
            if unread_bytes:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, unread_bytes)
            one.bind((address[0], sockets[0].getsockname()[1] or port, *address[2:]))
    except OSError as error:
        for one in sockets:
            one.close()
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise CannotListenError(f"cannot listen on {shown(host, port)}: {reason}; set HOST and {name}") from None
    return sockets


def shown(host: str, port: int) -> str:
    """Return host and port as in a URL (RFC 3986 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _addresses(host: str, port: int) -> list[tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]]:
    return socket.getaddrinfo(None if host in ALL else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)  # type: ignore[return-value] # typeshed knows of other families


def _limit_unsent(one: socket.socket, unsent_bytes: int) -> None:
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # Linux and macOS
    if option is not None and unsent_bytes:
        one.setsockopt(socket.IPPROTO_TCP, option, unsent_bytes)


@contextlib.contextmanager
def bounded_tls(settings: ServerSettings, handshake_timeout_s: float, close_timeout_s: float) -> Iterator[None]:
    """Bound the time of TLS handshakes and closes of each listener made in the block.

    uvicorn has none, and those of asyncio are 60 s and 30 s; no protocol is asked before the handshake is over.
    """
    if not settings.tls_cert_file:
        yield
        return
    loop: Any = asyncio.get_running_loop()
    loop.create_server = partial(
        loop.create_server,
        ssl_handshake_timeout=handshake_timeout_s,
        ssl_shutdown_timeout=close_timeout_s,
    )
    try:
        yield
    finally:
        del loop.create_server
