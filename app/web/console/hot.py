"""The hot lists, the last ends, the slowest messages."""

from http import HTTPStatus
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from app.console.console import Console
from app.console.ends import KEPT, EndRow
from app.console.hot import MOST_SECONDS, HotRow, NoSuchListError
from app.console.slowest import SlowMessage
from app.vocabulary import HotKind, HotMeasure
from app.web.console.forwarding import Others
from app.web.error_answers import refusal


class HotList(Struct, frozen=True):
    """The first of a hot list."""

    by: HotMeasure
    over_s: float
    rows: list[HotRow]


class EndList(Struct, frozen=True):
    """How connections ended and attempts were refused, the newest first; `missing` are replicas that did not answer."""

    rows: list[EndRow]
    missing: list[str] = []


class SlowList(Struct, frozen=True):
    """The slowest messages of the last hour or two, and from how many seconds on one is slow (SLOW_MESSAGE_S)."""

    slow_s: float
    rows: list[SlowMessage]


@get("/hot", forward_timeout_s=MOST_SECONDS + 5)
async def show_hot(
    console: NamedDependency[Console],
    by: FromQuery[HotMeasure] = HotMeasure.MESSAGES,
    kind: FromQuery[HotKind | None] = None,
    over_s: Annotated[float, QueryParameter(ge=0, le=MOST_SECONDS)] = 0,
) -> HotList:
    """List the first twenty by a measure: since they are there, or of what comes `over_s` seconds from now on."""
    try:
        return HotList(by, over_s, await console.hot.top(by, kind, over_s))
    except NoSuchListError as error:
        raise refusal(HTTPStatus.BAD_REQUEST, str(error)) from None


@get("/closes")
async def show_closes(
    console: NamedDependency[Console],
    others: NamedDependency[Others],
    player: Annotated[str | None, QueryParameter(max_length=256)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=KEPT)] = KEPT,
) -> EndList:
    """List the last closes and refusals, of one player or of all."""
    ends = console.lately.ends
    rows = ends.last(limit) if player is None else ends.of_player(player, limit)
    found, missing = await others.answers(EndList)
    rows += [row for one in found for row in one.rows]
    return EndList(sorted(rows, key=lambda row: row.at, reverse=True)[:limit], missing)


@get("/slow")
async def show_slow(console: NamedDependency[Console]) -> SlowList:
    """List the slowest messages of the last hour or two, with the traces that show why."""
    return SlowList(console.slow_s, console.lately.slowest.rows())


HANDLERS = (show_hot, show_closes, show_slow)
