"""Several writes in one."""

from collections.abc import Callable
from typing import Final

MAX_HELD_BYTES: Final = 16_384
"""Beyond this the socket must be able to say that it is full."""


class Cork:
    """Holds what is written until `flush`; from then on it goes straight to the socket's `write`."""

    __slots__ = ("_held", "_write")

    def __init__(self, write: Callable[[bytes | bytearray], object]) -> None:
        self._write = write
        self._held: bytearray | None = bytearray()

    def write(self, data: bytes) -> None:
        """Hold bytes, or write them where somebody has looked this method up before the flush."""
        if self._held is None:
            self._write(data)
            return
        self._held += data
        if len(self._held) > MAX_HELD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        held, self._held = self._held, None
        if held:
            self._write(held)
