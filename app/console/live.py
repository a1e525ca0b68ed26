"""What the live stream tells: how the replica is, who is hot, and who has gone."""

import asyncio
from typing import Final

from msgspec import Struct

from app.console.ends import KEPT, EndRow, Ends
from app.console.hot import Hot, HotRow
from app.console.replica import ReplicaStatus, ReplicaView
from app.vocabulary import HotMeasure, Right

OVER_S: Final = 5.0


class HotNow(Struct, frozen=True):
    """The hot lists of connections, of what came within `over_s`; those who came again, within some minutes."""

    over_s: float
    messages: list[HotRow]
    errors: list[HotRow]
    outbox: list[HotRow]
    reconnects: list[HotRow]


class Live:
    """Makes parts of the stream, one after the other for all who watch."""

    def __init__(self, view: ReplicaView, hot: Hot, ends: Ends) -> None:
        self._view = view
        self._hot = hot
        self._ends = ends
        self._told = ends.count

    async def replica(self) -> ReplicaStatus:
        """Show the replica; to nobody in particular, as it is told to all."""
        return self._view.show("", Right.READ)

    async def hot(self) -> HotNow:
        """Make the hot lists, which takes some seconds."""
        messages, errors = await asyncio.gather(
            self._hot.top(HotMeasure.MESSAGES, over_s=OVER_S), self._hot.top(HotMeasure.ERRORS, over_s=OVER_S)
        )
        outbox = await self._hot.top(HotMeasure.OUTBOX)
        return HotNow(OVER_S, messages, errors, outbox, await self._hot.top(HotMeasure.RECONNECTS))

    async def ends(self) -> list[EndRow] | None:
        """Tell of the ends since the last time, the newest first and no more than are kept; None without any."""
        new, self._told = self._ends.count - self._told, self._ends.count
        return self._ends.last(min(new, KEPT)) if new else None
