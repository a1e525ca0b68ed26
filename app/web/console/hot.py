"""The hot lists, the last ends, the slowest messages."""

from asyncio import gather
from heapq import nlargest
from http import HTTPStatus
from typing import Annotated, Final

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from app.console.console import Console
from app.console.ends import KEPT, EndRow
from app.console.hot import MOST_SECONDS, TOP, HotRow, NoSuchListError, TooManyWaitError
from app.console.slowest import KEPT as KEPT_SLOW
from app.console.slowest import SlowMessage
from app.vocabulary import HotKind, HotMeasure
from app.web.console.forwarding import Others
from app.web.error_answers import refusal

_SPARE_S: Final = 5
"""A replica that counts for so many seconds has so many more to answer."""


class HotList(Struct, frozen=True):
    """The first of a hot list; `missing` are replicas that did not answer.

    Of all replicas it has the first of theirs, each with its replica: what two know of one key is two rows. It is not
    added up, as each knows of its first alone how much they have.
    """

    by: HotMeasure
    over_s: float
    rows: list[HotRow]
    missing: list[str] = []


class EndList(Struct, frozen=True):
    """How connections ended and attempts were refused, the newest first; `missing` are replicas that did not answer."""

    rows: list[EndRow]
    missing: list[str] = []


class SlowList(Struct, frozen=True):
    """The slowest messages of the last hour or two, and from how many seconds on one is slow (SLOW_MESSAGE_S).

    `missing` are replicas that did not answer.
    """

    slow_s: float
    rows: list[SlowMessage]
    missing: list[str] = []


@get("/hot", takes_long="over_s")
async def show_hot(
    console: NamedDependency[Console],
    others: NamedDependency[Others],
    by: FromQuery[HotMeasure] = HotMeasure.MESSAGES,
    kind: FromQuery[HotKind | None] = None,
    over_s: Annotated[float, QueryParameter(ge=0, le=MOST_SECONDS)] = 0,
) -> HotList:
    """List the first twenty by a measure: since they are there, or of what comes `over_s` seconds from now on."""
    timeout_s = over_s + _SPARE_S if over_s else None
    try:
        rows, (found, missing) = await gather(console.hot.top(by, kind, over_s), others.answers(HotList, timeout_s))
    except NoSuchListError as error:
        raise refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
    except TooManyWaitError as error:
        raise refusal(HTTPStatus.TOO_MANY_REQUESTS, str(error), retry_after_ms=10_000) from None
    rows += [row for one in found for row in one.rows]
    return HotList(by, over_s, nlargest(TOP, rows, key=lambda row: row.count - row.error_bound), missing)


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
async def show_slow(console: NamedDependency[Console], others: NamedDependency[Others]) -> SlowList:
    """List the slowest messages of the last hour or two, with the traces that show why."""
    found, missing = await others.answers(SlowList)
    rows = [*console.lately.slowest.rows(), *(row for one in found for row in one.rows)]
    return SlowList(console.slow_s, nlargest(KEPT_SLOW, rows, key=lambda row: row.duration_s), missing)


HANDLERS = (show_hot, show_closes, show_slow)
