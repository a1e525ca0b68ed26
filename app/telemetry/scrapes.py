"""Scrapes share renderings: whoever asks gets the figures of after the question, and many cost no more than one."""

import asyncio
import gzip
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Final

from prometheus_client.exposition import choose_encoder

from app.telemetry import protobuf

Exposition = tuple[bytes, str]
Wanted = tuple[str, bool, bool]
"""The text format asked for, whether protobuf is asked for before it, and whether with gzip."""
_LEVEL: Final = 1
"""A tenth is left, in under a millisecond (of a thread: the event loop goes on); the default level takes four times as
long to leave a little less."""
_TURN_S: Final = 0.0002
"""For so long the event loop writes at a time; what it has to do besides comes in between."""


class Scrapes:
    """At most one rendering each `interval_s`; it answers all who ask for its format before it begins.

    `begin` reads all figures and returns what writes them. `count` is how often a scraper was answered.
    """

    def __init__(self, begin: Callable[[str], tuple[Iterable[bytes], str]], interval_s: float) -> None:
        self.count = 0
        self._begin = begin
        self._interval_s = interval_s
        self._free_at = 0.0
        self._next: dict[Wanted, asyncio.Task[Exposition]] = {}

    async def render(self, accept: str, *, is_packed: bool = False, is_scrape: bool = True) -> Exposition:
        """Render the exposition in the format asked for, with gzip if `is_packed`; return it with its content type.

        It `is_scrape` unless only the head is asked for.
        """
        text = choose_encoder(accept)[1]
        kind = text, protobuf.is_preferred(accept), is_packed  # of a closed list, whatever is asked for
        rendering = self._next.get(kind)
        if rendering is None:
            rendering = self._next[kind] = asyncio.create_task(self._in_time(kind, accept), name="scrape")
        exposition = await asyncio.shield(rendering)
        self.count += is_scrape
        return exposition

    async def _in_time(self, kind: Wanted, accept: str) -> Exposition:
        now = asyncio.get_running_loop().time()
        begin = max(now, self._free_at)
        self._free_at = begin + self._interval_s
        try:
            await asyncio.sleep(begin - now)
        finally:
            del self._next[kind]  # who asks from now on is answered by the next
        parts, content_type = self._begin(accept)
        body = await _joined(parts)
        is_packed = kind[-1]
        return (await asyncio.to_thread(gzip.compress, body, _LEVEL) if is_packed else body), content_type


async def _joined(parts: Iterable[bytes]) -> bytes:
    """Join what is written in many turns of the event loop."""
    written: list[bytes] = []
    turn_ends = perf_counter() + _TURN_S
    for part in parts:
        written.append(part)
        if perf_counter() >= turn_ends:
            await asyncio.sleep(0)
            turn_ends = perf_counter() + _TURN_S
    return b"".join(written)
