"""The hot lists: who sends, is sent, waits, errs and comes again the most.

Nothing is counted for them: each connection has its counts anyway, and they are walked over in slices when somebody
looks. What is gone is known by the sketches of `Ends`. So a list is exact for connections; for players, games and
addresses it is as exact as its `error_bound` says, whatever their number.
"""

import asyncio
from collections.abc import Callable, Iterable
from heapq import heappush, heappushpop
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from app.console.ends import Ends
from app.console.sketch import Estimate, HeavyHitters
from app.console.slices import in_slices
from app.rate_limits import address_key
from app.realtime import Session
from app.vocabulary import HotKind, HotMeasure

TOP: Final = 20
MOST_SECONDS: Final = 60
MOST_AT_ONCE: Final = 4
"""So many may wait for what comes: each keeps a count of every connection meanwhile."""
_KEPT: Final = 500
_COUNTS: Final[dict[HotMeasure, Callable[[Session], int]]] = {
    HotMeasure.MESSAGES: lambda session: session.stats.messages_in + session.outbox.messages_out,
    HotMeasure.BYTES: lambda session: session.stats.bytes_in + session.outbox.bytes_out,
    HotMeasure.OUTBOX: lambda session: session.outbox.bytes,
    HotMeasure.ERRORS: lambda session: session.stats.errors,
}
_KEYS: Final[dict[HotKind, Callable[[Session], str]]] = {
    HotKind.CONNECTION: lambda session: session.connection_id,
    HotKind.PLAYER: lambda session: session.player_id,
    HotKind.GAME: lambda session: session.opened.game_id,
    HotKind.ADDRESS: lambda session: address_key(session.opened.client),
}
_GONE: Final = {HotMeasure.RECONNECTS, HotMeasure.REFUSALS}
"""What only those have who are gone."""
_MOMENTS: Final = {HotMeasure.OUTBOX}
"""What is as it is now, and no sum over time."""
DEFAULT_KINDS: Final = {HotMeasure.RECONNECTS: HotKind.PLAYER, HotMeasure.REFUSALS: HotKind.ADDRESS}
"""Whose list it is where that is not said; of the others, connections'."""


class HotRow(Struct, frozen=True):
    """One of a hot list: it has `count` at the most on `replica`, and `error_bound` less at the least."""

    key: str
    kind: HotKind
    count: int
    error_bound: int = 0
    player_id: str | None = None
    game_id: str | None = None
    address: str | None = None
    replica: str = ""


class NoSuchListError(ValueError):
    """There is no such list: what it would count is not known of those whose it would be."""


class TooManyWaitError(Exception):
    """As many wait for what comes as may."""


class Hot:
    """Makes hot lists of the connections that are open, and of the `ends` of those that are gone."""

    def __init__(self, connections: Iterable[Session], ends: Ends) -> None:
        self._connections = connections
        self._ends = ends
        self._waiting = 0

    async def top(self, by: HotMeasure, kind: HotKind | None = None, over_s: float = 0.0) -> list[HotRow]:
        """List the first by a measure, since they are there, or with `over_s` of what comes within these seconds.

        Raises NoSuchListError, TooManyWaitError.
        """
        return [replace(row, replica=self._ends.replica) for row in await self._top(by, kind, over_s)]

    async def _top(self, by: HotMeasure, kind: HotKind | None, over_s: float) -> list[HotRow]:
        kind = kind or DEFAULT_KINDS.get(by, HotKind.CONNECTION)
        if by in _GONE:
            return self._gone(by, kind)
        if by in _MOMENTS and over_s:
            raise NoSuchListError(f"{by} is what waits now: there is no such list of {over_s:g} seconds")
        before = await self._counts_before(by, over_s) if over_s else {}
        if kind is HotKind.CONNECTION:
            return await self._connections_by(by, before)
        return await self._sums(by, kind, before)

    async def _counts_before(self, by: HotMeasure, over_s: float) -> dict[str, int]:
        """Take down what each connection has, and wait. Raises TooManyWaitError."""
        if self._waiting >= MOST_AT_ONCE:
            raise TooManyWaitError(f"{MOST_AT_ONCE} wait already for what comes: ask later, or without over_s")
        self._waiting += 1
        try:
            before = await self._counts(by)
            await asyncio.sleep(over_s)
        finally:
            self._waiting -= 1
        return before

    async def _counts(self, by: HotMeasure) -> dict[str, int]:
        """Take down what each connection has: as much as there are connections, for as long as the list takes."""
        count = _COUNTS[by]
        return {
            session.connection_id: count(session) async for part in in_slices(self._connections) for session in part
        }

    async def _connections_by(self, by: HotMeasure, before: dict[str, int]) -> list[HotRow]:
        count = _COUNTS[by]
        first: list[tuple[int, str, Session]] = []
        async for part in in_slices(self._connections):
            for session in part:
                more = count(session) - before.get(session.connection_id, 0)
                if more <= 0 or (len(first) == TOP and more <= first[0][0]):
                    continue
                item = (more, session.connection_id, session)
                if len(first) < TOP:
                    heappush(first, item)
                else:
                    heappushpop(first, item)
        return [_row(more, session) for more, _, session in sorted(first, key=lambda item: item[:2], reverse=True)]

    async def _sums(self, by: HotMeasure, kind: HotKind, before: dict[str, int]) -> list[HotRow]:
        count, key = _COUNTS[by], _KEYS[kind]
        sums: HeavyHitters[str] = HeavyHitters(_KEPT)
        async for part in in_slices(self._connections):
            for session in part:
                more = count(session) - before.get(session.connection_id, 0)
                if more > 0:
                    sums.add(key(session), more)
        is_of_gone_too = by is HotMeasure.ERRORS and kind is HotKind.ADDRESS and not before
        return _rows(kind, sums.top(TOP, *(self._ends.errors.both if is_of_gone_too else ())))

    def _gone(self, by: HotMeasure, kind: HotKind) -> list[HotRow]:
        """List what is counted of those who are gone, within the last ten to twenty minutes. Raises NoSuchListError."""
        players, addresses = self._ends.came_again
        found = {
            (HotMeasure.RECONNECTS, HotKind.PLAYER): players,
            (HotMeasure.RECONNECTS, HotKind.ADDRESS): addresses,
            (HotMeasure.REFUSALS, HotKind.ADDRESS): self._ends.refusals,
        }.get((by, kind))
        if found is None:
            raise NoSuchListError(f"{by} are not counted by {kind}")
        now, earlier = found.both
        return _rows(kind, now.top(TOP, earlier))


def _row(count: int, session: Session) -> HotRow:
    opened = session.opened
    return HotRow(
        session.connection_id,
        HotKind.CONNECTION,
        count,
        0,
        session.player_id or None,
        opened.game_id,
        opened.client,
    )


def _rows(kind: HotKind, found: list[tuple[str, Estimate]]) -> list[HotRow]:
    return [HotRow(key, kind, estimate.most, estimate.error) for key, estimate in found if key]
