"""The stream between supervisor and worker: a worker tells on it that it lives; its end tells that one is gone."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable
from typing import Final, Self

import msgspec
from msgspec import Struct

BEAT_S: Final = 1.0
"""A worker tells that it lives so often: its event loop turns, or it could not."""
_WORD_BYTES: Final = 64


class Beat(Struct, frozen=True):
    """What a worker tells: the checks of its readiness that fail, none where it is ready."""

    failed: tuple[str, ...]

    def encode(self) -> bytes:
        """Write it as one line."""
        return msgspec.json.encode(self) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """Read a line. Raises ValueError: it is none of ours."""
        return msgspec.json.decode(line, type=cls)


async def obey(control: socket.socket, failed: Callable[[], Iterable[str]], beat_s: float = BEAT_S) -> None:
    """Tell again and again which checks have `failed`; return once the supervisor is gone.

    A supervisor that reads nothing is not waited for: it is alive as long as its end of the stream is open.
    """
    control.setblocking(False)
    loop = asyncio.get_running_loop()
    while True:
        with contextlib.suppress(OSError):  # it reads nothing, or is gone: reading tells which
            control.send(Beat(tuple(failed())).encode())
        try:
            async with asyncio.timeout(beat_s):
                if not await loop.sock_recv(control, _WORD_BYTES):
                    return
        except TimeoutError:
            continue
        except OSError:
            return
