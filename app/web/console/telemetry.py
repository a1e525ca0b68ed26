"""What this replica tells of itself, shown to operators: the last lines of its log, and its metrics."""

from typing import Literal

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from app.console.console import Console
from app.console.telling import LogLine, LogPage
from app.web.console.forwarding import Others
from app.web.console.listing import Limit, Sought


@get("/log")
async def list_log_lines(
    console: NamedDependency[Console],
    others: NamedDependency[Others],
    event: Sought = "",
    level: FromQuery[Literal["debug", "info", "warning", "error", "critical"] | None] = None,
    limit: Limit = 50,
) -> LogPage:
    """List the last lines of the log, the newest first: of events whose name begins so, of one level."""
    own = console.telling.log(event, level, limit)
    found, missing = await others.answers(LogPage)
    pages = [own, *found]
    rows = sorted((row for page in pages for row in page.rows), key=_time_of, reverse=True)
    return LogPage(rows[:limit], sum(page.matched for page in pages), missing)


def _time_of(line: LogLine) -> str:
    return str(line.get("timestamp", ""))


@get("/metrics")
async def show_metrics(console: NamedDependency[Console]) -> Response[bytes]:
    """Show the metrics, as /metrics does to Prometheus, to whoever reaches another replica alone."""
    body, content_type = await console.telling.metrics()
    return Response(body, headers={"content-type": content_type})


HANDLERS = (list_log_lines, show_metrics)
