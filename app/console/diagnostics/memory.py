"""What takes memory: what is made within some seconds and still there, by the line that made it."""

import tracemalloc
from typing import Final

from msgspec import Struct

from app.console.diagnostics.frames import file_of

TOP: Final = 30
MOST_TRACES_BYTES: Final = 2_097_152
"""Traces of this size, some 33,000 blocks, end the tracing: to read them holds all threads for some 30 ms."""


class Allocation(Struct, frozen=True):
    """A line of code: so many bytes in so many blocks that it made are still there."""

    where: str
    bytes: int
    blocks: int


class MemoryTop(Struct, frozen=True):
    """The lines that made the most, of all that was made within `seconds` and is still there.

    `ended_early` is whether these are fewer than were asked for: so much was made that more would have held the service
    up, or the service ends.
    """

    seconds: float
    ended_early: bool
    bytes: int
    blocks: int
    peak_bytes: int
    lines: list[Allocation]


def begin_tracing() -> bool:
    """Have each allocation traced from now on, with the line that made it; False where somebody else has that done."""
    if tracemalloc.is_tracing():
        return False
    tracemalloc.start(1)
    return True


def is_enough_traced() -> bool:
    """Tell whether more traces would hold the service up when they are read, as that needs the interpreter's lock."""
    return tracemalloc.get_tracemalloc_memory() > MOST_TRACES_BYTES


def end_tracing(seconds: float, *, ended_early: bool = False) -> MemoryTop:
    """Trace no more; return what was made since. It takes a while: not on the event loop."""
    try:
        peak = tracemalloc.get_traced_memory()[1]
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    lines = snapshot.statistics("lineno")
    return MemoryTop(
        round(seconds, 3),
        ended_early,
        sum(line.size for line in lines),
        sum(line.count for line in lines),
        peak,
        [
            Allocation(f"{file_of(line.traceback[0].filename)}:{line.traceback[0].lineno}", line.size, line.count)
            for line in lines[:TOP]
        ],
    )
