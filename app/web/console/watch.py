"""The live stream over HTTP."""

from collections.abc import AsyncIterator
from http import HTTPStatus

from litestar import get
from litestar.di import NamedDependency
from litestar.response import Stream

from app.console.console import Console
from app.console.watch import TooManyWatchersError, Watch, Watcher
from app.web.error_answers import refusal


@get("/watch", media_type="text/event-stream", is_own_alone=True)
async def watch(console: NamedDependency[Console]) -> Stream:
    """Stream how this replica is, each second, as server-sent events named `replica`, until the service ends."""
    try:
        watcher = console.watch.join()
    except TooManyWatchersError as error:
        raise refusal(HTTPStatus.TOO_MANY_REQUESTS, f"{error} (OPS_MAX_WATCHERS)", retry_after_ms=10_000) from None
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return Stream(_events(console.watch, watcher), media_type="text/event-stream", headers=headers)


async def _events(watch: Watch, watcher: Watcher) -> AsyncIterator[bytes]:
    try:
        yield b"retry: 2000\n\n"  # at once, so that a reader knows that it is connected
        async for event in watcher.events():
            yield event
    finally:
        watch.leave(watcher)


HANDLERS = (watch,)
