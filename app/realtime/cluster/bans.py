"""Bans: players whom operators put out, on whichever replica: from now on, for a time or for good, or only now.

A ban is a note that all replicas share (`Coordination.keep`), so it outlives them. Whoever bans tells the others at
once, by a broadcast; as one may be lost, each reads all bans again every few seconds. Who is banned is asked of memory
alone: before a connection is taken, when it enters its game, and with each request to the API, whatever has been found
out of the token before.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from app.eventlog import Coordination, LogUnavailable, Subscription
from app.telemetry.bulkhead import Bulkhead, ReportFault

TOPIC: Final = "bans"
CLOSED: Final = "an operator has closed this connection"
READ_EVERY_S: Final = 2.0
MAX_BANS: Final = 10_000
"""So many are kept in memory, and read every few seconds."""
_FORGET_AFTER_MS: Final = 60_000
"""So long after its end a ban is removed: clocks differ, and nobody may ban the player anew at that very moment."""


class Ban(Struct, frozen=True):
    """A player who is let in no more until `until` (epoch ms), or for good; `reason` is for operators alone."""

    player_id: str
    since: int
    until: int | None
    reason: str
    by: str

    @property
    def text(self) -> str:
        """What the player is told."""
        if self.until is None:
            return "you are banned from this server"
        until = time.strftime("%Y-%m-%d %H:%M", time.gmtime(self.until / 1000))
        return f"you are banned from this server until {until} UTC"

    def is_over(self, now: int) -> bool:
        """Tell whether its time is over, by `now` (epoch ms)."""
        return self.until is not None and self.until <= now


class _Order(Struct, frozen=True):
    """What is told of a player who is not banned: their connections end now."""

    player_id: str
    comes_back: bool


class TooManyBans(Exception):  # noqa: N818 - an answer
    """There are as many as are kept: one has to be lifted before another is made."""


PutOut = Callable[[str, str, bool], int]
"""Ends the connections here of a player, who is told why and whether to come back; how many those were."""


class Bans:
    """Knows who is banned; `put_out` is called for each ban that is new here, and for who is put out without one."""

    def __init__(self, coordination: Coordination, report: ReportFault, put_out: PutOut) -> None:
        self._coordination = coordination
        self._bulkhead = Bulkhead(report, "bans")
        self._put_out = put_out
        self._bans: dict[str, Ban] = {}
        self._due = asyncio.Event()
        self._subscription: Subscription | None = None
        self._decode = msgspec.json.Decoder(Ban).decode
        self._decode_order = msgspec.json.Decoder(_Order).decode

    def __len__(self) -> int:
        return len(self.active)

    @property
    def active(self) -> list[Ban]:
        """The bans whose time is not over."""
        now = _now()
        return [ban for ban in self._bans.values() if not ban.is_over(now)]

    def find(self, player_id: str) -> Ban | None:
        """Return the ban of a player; None if there is none, or none any more."""
        if not self._bans:  # as nearly always, and asked with each request
            return None
        ban = self._bans.get(player_id)
        return None if ban is None or ban.is_over(_now()) else ban

    async def ban(self, player_id: str, for_s: float | None, reason: str, by: str) -> Ban:
        """Ban a player from now on, in place of an earlier ban. Raises TooManyBans, LogUnavailable."""
        if len(self._bans) >= MAX_BANS:
            await self.refresh()  # those that have ended count no more
        if len(self) >= MAX_BANS and self.find(player_id) is None:
            raise TooManyBans
        now = _now()
        ban = Ban(player_id, now, None if for_s is None else now + round(for_s * 1000), reason, by)
        await self._coordination.keep(TOPIC, player_id, msgspec.json.encode(ban))
        self._take({**self._bans, player_id: ban})
        self._coordination.broadcast(TOPIC, b"")
        return ban

    async def lift(self, player_id: str) -> Ban | None:
        """End a player's ban; the one that there was. Raises LogUnavailable."""
        await self.refresh()
        ban = self.find(player_id)
        if ban is not None:
            await self._coordination.forget(TOPIC, player_id)
            self._bans = {name: one for name, one in self._bans.items() if name != player_id}
            self._coordination.broadcast(TOPIC, b"")
        return ban

    def close(self, player_id: str, *, comes_back: bool) -> int:
        """End a player's connections on all replicas; how many of them were here. One that is cut off may not hear."""
        self._coordination.broadcast(TOPIC, msgspec.json.encode(_Order(player_id, comes_back)))
        return self._put_out(player_id, CLOSED, comes_back)

    async def refresh(self) -> None:
        """Read all bans, and remove those that have been over for a while. Raises LogUnavailable."""
        known, found = self._bans, dict[str, Ban]()
        over = _now() - _FORGET_AFTER_MS
        for player_id, note in (await self._coordination.kept(TOPIC)).items():
            with self._bulkhead:  # one that another release wrote otherwise must not let in all the others
                found[player_id] = self._decode(note)
        self._take(found if self._bans is known else self._with_newer(known, found))
        for player_id, ban in found.items():
            if ban.is_over(over):
                await self._coordination.forget(TOPIC, player_id)

    async def run(self) -> None:
        """Read what others have decided, for ever: at once where they tell it, else every few seconds."""
        while True:
            with self._bulkhead, contextlib.suppress(LogUnavailable):  # the log is measured; what is known goes on
                if self._subscription is None:
                    self._subscription = await self._coordination.subscribe(TOPIC, self._hear)
                await self.refresh()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(READ_EVERY_S):
                    await self._due.wait()
            self._due.clear()

    def _hear(self, payload: bytes) -> None:
        if not payload:  # there is something new to read
            self._due.set()
            return
        order = self._decode_order(payload)
        self._put_out(order.player_id, CLOSED, order.comes_back)

    def _with_newer(self, known: dict[str, Ban], found: dict[str, Ban]) -> dict[str, Ban]:
        """Put into what was read what was decided here since it was begun: it may be from before."""
        changed = {name for name in known.keys() | self._bans.keys() if known.get(name) != self._bans.get(name)}
        kept = {name: ban for name, ban in found.items() if name not in changed}
        return kept | {name: ban for name, ban in self._bans.items() if name in changed}

    def _take(self, bans: dict[str, Ban]) -> None:
        before, self._bans = self._bans, bans
        now = _now()
        for player_id, ban in bans.items():
            if before.get(player_id) != ban and not ban.is_over(now):
                with self._bulkhead:
                    self._put_out(ban.player_id, ban.text, False)


def _now() -> int:
    """Tell the time that a ban ends by, the machine's (epoch ms): it goes on while no process runs."""
    return round(time.time() * 1000)
