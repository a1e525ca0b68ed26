"""Scrapes share renderings: whoever asks gets the figures of after the question, and many cost no more than one."""

import asyncio
from collections.abc import Callable

from prometheus_client.exposition import choose_encoder

Exposition = tuple[bytes, str]


class Scrapes:
    """At most one rendering each `interval_s`; it answers all who ask for its format before it begins."""

    def __init__(self, render: Callable[[str], Exposition], interval_s: float) -> None:
        self._render = render
        self._interval_s = interval_s
        self._free_at = 0.0
        self._next: dict[str, asyncio.Task[Exposition]] = {}

    async def render(self, accept: str) -> Exposition:
        """The exposition in the format asked for, and its content type."""
        kind = choose_encoder(accept)[1]  # of a closed list, whatever is asked for
        rendering = self._next.get(kind)
        if rendering is None:
            rendering = self._next[kind] = asyncio.create_task(self._in_time(kind, accept), name="scrape")
        return await asyncio.shield(rendering)

    async def _in_time(self, kind: str, accept: str) -> Exposition:
        now = asyncio.get_running_loop().time()
        begin = max(now, self._free_at)
        self._free_at = begin + self._interval_s
        try:
            await asyncio.sleep(begin - now)
        finally:
            del self._next[kind]  # who asks from now on is answered by the next
        return self._render(accept)
