"""A page of many rows: chosen in slices, so that nobody is held up, and never with all of them sorted.

What is listed changes while it is listed. A page goes on behind the place of the last row seen, not behind a number of
rows: so none comes twice because another has gone.
"""

import base64
import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from app.console.slices import in_slices
from app.vocabulary import SortOrder

MAX_CURSOR: Final = 1_024
"""More than that of the longest id of a player takes."""
Entry = TypeVar("Entry")
RowPlace = tuple[tuple[float, ...], str]
"""Where a row stands: the figures that it is listed by, the smallest first, then its id, which no other has."""


class Page(Struct, frozen=True, kw_only=True):
    """A page of `rows`: of `total` rows `matched` are what was looked for; `next` is the `after` of the next page.

    `missing` names the replicas that did not answer, where all were asked.
    """

    rows: Sequence[Any]
    total: int
    matched: int
    next: str | None
    missing: list[str] = []


AnyPage = TypeVar("AnyPage", bound=Page)


class BadCursor(ValueError):  # noqa: N818 - an answer
    """What is given as the place to go on from is none."""


class Chosen(Struct, Generic[Entry], frozen=True):
    """A page, each row with its place; of `total` rows `matched` are what was looked for, and there may be `more`."""

    rows: list[tuple[RowPlace, Entry]]
    total: int
    matched: int
    more: bool

    @property
    def next(self) -> str | None:
        """The cursor of the next page."""
        return cursor_of(self.rows[-1][0]) if self.more and self.rows else None


async def choose(
    items: Sequence[Entry], place: Callable[[Entry], RowPlace | None], after: str, limit: int
) -> Chosen[Entry]:
    """Choose the first `limit` of the items behind `after`; one without a place is not what is looked for.

    Raises BadCursor.
    """
    last = place_of(after) if after else None
    best: list[tuple[RowPlace, Entry]] = []
    matched = 0
    async for part in in_slices(items):
        found = [(where, item) for item in part if (where := place(item)) is not None]
        matched += len(found)
        behind: Iterable[tuple[RowPlace, Entry]] = found if last is None else (one for one in found if one[0] > last)
        best = heapq.nsmallest(limit + 1, chain(best, behind), key=itemgetter(0))
    return Chosen(best[:limit], len(items), matched, len(best) > limit)


def merged(pages: Sequence[AnyPage], limit: int) -> AnyPage:
    """Make one page of those of several replicas, all listed alike."""
    rows = [row for page in pages for row in page.rows]
    first = heapq.nsmallest(limit, rows, key=lambda row: place_of(row.cursor))
    more = len(first) < len(rows) or any(page.next is not None for page in pages)
    return replace(
        pages[0],
        rows=first,
        total=sum(page.total for page in pages),
        matched=sum(page.matched for page in pages),
        next=first[-1].cursor if more and first else None,
    )


def placed(figures: tuple[float, ...], id: str, order: SortOrder) -> RowPlace:
    """Make the place of a row that is listed by `figures`, the largest or the smallest first."""
    return (tuple(-one for one in figures) if order is SortOrder.DESCENDING else figures), id


def cursor_of(place: RowPlace) -> str:
    """Write a place as what a client sends back to go on from there."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_of(cursor: str) -> RowPlace:
    """Read what `cursor_of` wrote. Raises BadCursor."""
    if len(cursor) > MAX_CURSOR:
        raise BadCursor("`after` is too long")
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        figures, id = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=RowPlace)
    except (ValueError, msgspec.MsgspecError):
        raise BadCursor("`after` is the `next` of a page, or a row's `cursor`") from None
    if not all(map(math.isfinite, figures)):
        raise BadCursor("`after` has no such figures")
    return figures, id
