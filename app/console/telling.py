"""What this replica tells its operators of itself: metrics, and log lines as they went out, without tokens or code."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from app.console.lately import Lately

LogLine = Mapping[str, Any]


class LogPage(Struct, frozen=True):
    """Lines, the newest first; of those that are kept, `matched` are what was looked for.

    `missing` are replicas that did not answer.
    """

    rows: list[dict[str, Any]]
    matched: int
    missing: list[str] = []


class RenderExposition(Protocol):
    """A function that renders the metrics for an Accept header: body and content type."""

    async def __call__(self, accept: str, *, is_packed: bool, is_scrape: bool) -> tuple[bytes, str]:
        """Render for whoever accepts `accept`."""


class Telling:
    """Shows what the log's writer keeps of its `lines`, the oldest first, and what `render` makes of the metrics.

    `lately` is what the recorder keeps of what it was told.
    """

    def __init__(self, lines: Callable[[], Sequence[LogLine]], render: RenderExposition, lately: Lately) -> None:
        self.lately = lately
        self._lines = lines
        self._render = render

    def log(self, event: str, level: str | None, limit: int) -> LogPage:
        """List the lines whose event begins so, and of a level, where one is said."""
        found = [
            dict(line)
            for line in reversed(self._lines())
            if str(line.get("event", "")).startswith(event) and level in {None, line.get("level")}
        ]
        return LogPage(found[:limit], len(found))

    async def metrics(self) -> tuple[bytes, str]:
        """Render the metrics as text, with their type."""
        return await self._render("text/plain", is_packed=False, is_scrape=False)
