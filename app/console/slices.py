"""Long walks in short steps: between them the event loop has its turn."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

SLICE: Final = 500
"""Rows that are looked at before others have their turn of the event loop: about a millisecond."""
T = TypeVar("T")


async def in_slices(items: Iterable[T], size: int = SLICE) -> AsyncIterator[list[T]]:
    """Hand out all that there is at the beginning, so many at a time; some may be over when their turn comes."""
    everything = list(items)
    for start in range(0, len(everything), size):
        if start:
            await asyncio.sleep(0)  # the turn of others is the point
        yield everything[start : start + size]
