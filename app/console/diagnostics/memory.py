"""What takes memory: what is made within some seconds and still there, by the line that made it."""

import tracemalloc
from typing import Final

from msgspec import Struct

from app.console.diagnostics.frames import file_of

TOP: Final = 30


class Allocation(Struct, frozen=True):
    """A line of code: so many bytes in so many blocks that it made are still there."""

    where: str
    bytes: int
    blocks: int


class MemoryTop(Struct, frozen=True):
    """The lines that made the most, of all that was made within `seconds` and is still there."""

    seconds: float
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


def end_tracing(seconds: float) -> MemoryTop:
    """Trace no more; return what was made since. It takes a while: not on the event loop."""
    try:
        peak = tracemalloc.get_traced_memory()[1]
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    lines = snapshot.statistics("lineno")
    return MemoryTop(
        seconds,
        sum(line.size for line in lines),
        sum(line.count for line in lines),
        peak,
        [
            Allocation(f"{file_of(line.traceback[0].filename)}:{line.traceback[0].lineno}", line.size, line.count)
            for line in lines[:TOP]
        ],
    )
