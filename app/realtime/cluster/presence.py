"""How many connections a player, or an address, has on other replicas, so that a limit holds over all of them.

Each replica reports to the others what has changed, gathered for a moment, and everything once a minute and when one
that is new asks. A report may be lost or late: for that long, a player may have a connection too many. Workers of one
machine are replicas here.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec import Struct

from app.eventlog import Coordination, LogUnavailable, Subscription
from app.telemetry.bulkhead import Bulkhead, ReportFault

TOPIC: Final = "presence"
GATHER_S: Final = 0.05
RETRY_S: Final = 1.0
WHOLE_EVERY_S: Final = 60.0
CHUNK: Final = 200
"""Players in one message, so that it stays under what one between workers may hold, however long their ids are."""


class _PresenceReport(Struct, omit_defaults=True):
    """Names the players of a server process: `whole` replaces all its reports before, `asks` wants everybody's.

    `more` is set where the rest of a whole one follows.
    """

    instance: str
    players: dict[str, int] = {}
    whole: bool = False
    asks: bool = False
    more: bool = False


class Presence:
    """Counts the connections of players, or of whatever is told on `topic`, here and elsewhere.

    `is_alive` says whether a server process lives.
    """

    def __init__(
        self,
        coordination: Coordination,
        instance: str,
        is_alive: Callable[[str], bool],
        report: ReportFault,
        topic: str = TOPIC,
    ) -> None:
        self._coordination = coordination
        self._instance = instance
        self._topic = topic
        self._is_alive = is_alive
        self._bulkhead = Bulkhead(report, "presence")
        self._own: dict[str, int] = {}  # a Counter asks for what is missing in Python
        self._others: dict[str, dict[str, int]] = {}
        self._named: dict[str, set[str]] = {}
        self._changed: set[str] = set()
        self._due = asyncio.Event()
        self._is_whole_due = True
        self._subscription: Subscription | None = None
        self._decode = msgspec.json.Decoder(_PresenceReport).decode

    def count(self, player_id: str) -> int:
        """Count the connections of a player on all replicas."""
        elsewhere = sum(players.get(player_id, 0) for one, players in self._others.items() if self._is_alive(one))
        return self._own.get(player_id, 0) + elsewhere

    def add(self, player_id: str, number: int) -> None:
        """Note that a player has so many connections more here."""
        own = self._own.get(player_id, 0) + number
        if own:
            self._own[player_id] = own
        else:
            self._own.pop(player_id, None)
        if self._coordination.shared:
            self._changed.add(player_id)
            self._due.set()

    async def run(self) -> None:
        """Send and receive reports, for ever; only where there may be other replicas."""
        while self._subscription is None:
            try:
                self._subscription = await self._coordination.subscribe(self._topic, self._receive)
            except LogUnavailable:
                await asyncio.sleep(RETRY_S)
        self._send(_PresenceReport(self._instance, asks=True))
        loop = asyncio.get_running_loop()
        whole_at = loop.time()
        while True:
            with self._bulkhead:
                if self._is_whole_due or loop.time() >= whole_at:
                    self._is_whole_due, whole_at = False, loop.time() + WHOLE_EVERY_S
                    self._changed.clear()
                    await self._send_whole()
                elif self._changed:
                    changed, self._changed = self._changed, set()
                    self._send_changes(changed)
            await asyncio.sleep(GATHER_S)  # whatever else changes meanwhile goes into the same message
            if not (self._changed or self._is_whole_due):
                self._due.clear()
                await self._wait_until(whole_at)

    async def _wait_until(self, when: float) -> None:
        try:
            async with asyncio.timeout_at(when):
                await self._due.wait()
        except TimeoutError:
            return

    async def _send_whole(self) -> None:
        """Send all, with time between: what workers tell each other at once has to fit into a socket's buffer."""
        names = tuple(self._own)
        for begin in range(0, max(1, len(names)), CHUNK):
            end = begin + CHUNK
            chunk, more = self._counts(names[begin:end]), end < len(names)
            self._send(_PresenceReport(self._instance, chunk, whole=begin == 0, more=more))
            if more:
                await asyncio.sleep(GATHER_S)

    def _counts(self, players: Iterable[str]) -> dict[str, int]:
        return {one: self._own.get(one, 0) for one in players}

    def _send_changes(self, changed: set[str]) -> None:
        players = iter(changed)
        while chunk := self._counts(itertools.islice(players, CHUNK)):
            self._send(_PresenceReport(self._instance, chunk))

    def _send(self, report: _PresenceReport) -> None:
        self._coordination.broadcast(self._topic, msgspec.json.encode(report))

    def _receive(self, payload: bytes) -> None:
        report = self._decode(payload)
        if report.asks:
            self._is_whole_due = True
            self._due.set()
            return
        players = self._others.setdefault(report.instance, {})
        if report.whole:
            self._named[report.instance] = set()
        for player_id, count in report.players.items():
            if count:
                players[player_id] = count
            else:
                players.pop(player_id, None)
        named = self._named.get(report.instance)
        if named is not None:
            named.update(report.players)
            if not report.more:
                self._forget(report.instance, named)

    def _forget(self, instance: str, named: set[str]) -> None:
        """Forget the players whom a whole report did not name, and the processes that are gone."""
        del self._named[instance]
        players = self._others[instance]
        self._others = {one: counts for one, counts in self._others.items() if self._is_alive(one)}
        self._named = {one: names for one, names in self._named.items() if one in self._others}
        self._others[instance] = {one: count for one, count in players.items() if one in named}
