"""Progress: how far players are, shown to the other members of a room, bounded however much of it comes in.

Of a player only the newest waits. It is shown at once where the last one is long enough ago, else as soon as it is;
whoever has waited longest comes first. What is shown at the same time leaves in one write a member, and a room has only
so many deliveries in one turn of the event loop.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from typing import Final

import msgspec

from app.eventlog import Coordination
from app.protocol import PlayerProgressData, Progress, encode, encode_message, or_unset
from app.realtime.connection.outbox import Sent
from app.realtime.connection.session import Session
from app.settings import LimitSettings
from app.telemetry.observer import Observer
from app.transport import Frame, text_frame

MOST_PER_TURN: Final = 256
"""Deliveries of one room in one turn of the event loop: about a millisecond."""
MOST_TOGETHER: Final = 16
"""Players whose progress leaves in one write."""
TYPE: Final = PlayerProgressData.type
_Turn = tuple[float, int]
"""From when a player may be shown again, and, of those that may from the same moment, who comes first."""
_FIRST: Final[_Turn] = (0.0, 0)


class PlayerProgress(Progress, frozen=True, kw_only=True, omit_defaults=True):
    """Whose progress it is: so one replica sends it to the others."""

    player_id: str


decode_progress: Final = msgspec.json.Decoder(PlayerProgress).decode


def broadcast_progress(coordination: Coordination, topic: str, progress: PlayerProgress) -> None:
    """Send a player's progress to the other replicas, where there may be some."""
    if coordination.shared:
        coordination.broadcast(topic, encode(progress))


class ProgressBoard:
    """Shows the progress of one room's players to its members.

    `broadcast` is called with what was said here, as often as it is shown.
    """

    __slots__ = (
        "_broadcast",
        "_free_at",
        "_left",
        "_members",
        "_newest",
        "_numbers",
        "_observer",
        "_queue",
        "_settings",
        "_shown",
        "_timer",
        "_timer_at",
        "_turns",
    )  # fmt: skip

    def __init__(
        self,
        settings: LimitSettings,
        members: Mapping[str, Session],
        observer: Observer,
        broadcast: Callable[[PlayerProgress], None],
    ) -> None:
        self._settings = settings
        self._members = members
        self._observer = observer
        self._broadcast = broadcast
        self._newest: dict[str, tuple[PlayerProgress, bool]] = {}
        self._queue: list[tuple[_Turn, str]] = []
        self._turns: dict[str, _Turn] = {}
        self._numbers = itertools.count(1)
        self._free_at = 0.0
        self._shown: list[tuple[str, Frame]] = []
        self._left: list[Session] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def show(self, progress: PlayerProgress, *, here: bool) -> None:
        """Show it to the others, now or later; `here`: the player is a member here, not on another replica."""
        player_id = progress.player_id
        if player_id in self._newest:
            self._newest[player_id] = (progress, here)
            self._count(replaced=self._others(here=here))
            return
        now = asyncio.get_running_loop().time()
        turn = max(self._turns.get(player_id, _FIRST), (now, 0))
        if not self._newest and not self._left and max(turn[0], self._free_at) <= now:
            self._begin([(progress, here)], now)
            self._deliver(now)
        else:
            self._newest[player_id] = (progress, here)
            heappush(self._queue, (turn, player_id))
        self._arm()

    def clear(self) -> None:
        """Forget all progress: the race has ended, or nobody is here any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._newest or self._left:
            waiting = sum(self._others(here=here) for _, here in self._newest.values())
            self._count(dropped=waiting + len(self._left) * len(self._shown))
        self._newest.clear()
        self._queue.clear()
        self._turns.clear()
        self._left = []

    def _others(self, *, here: bool) -> int:
        """Return the members who are to see a player's progress."""
        return max(0, len(self._members) - here)

    # ---------------------------------------------------------------- in time

    def _arm(self) -> None:
        """Have the next deliveries made when they may be; one timer a room, while something waits."""
        if not self._left and not self._queue:
            return
        at = self._free_at if self._left else max(self._free_at, self._queue[0][0][0])
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at  # not of the timer itself: uvloop's has none when it is due at once
        self._timer = asyncio.get_running_loop().call_at(at, self._on_time, at)

    def _on_time(self, at: float) -> None:
        self._timer = None
        now = max(at, asyncio.get_running_loop().time())  # the loop's clock may be a little behind its own timers
        try:
            if not self._left:
                self._begin(self._take_due(now), now)
            self._deliver(now)
        finally:
            self._arm()  # whatever went wrong with these, others wait

    def _take_due(self, now: float) -> list[tuple[PlayerProgress, bool]]:
        due: list[tuple[PlayerProgress, bool]] = []
        while self._queue and self._queue[0][0][0] <= now and len(due) < MOST_TOGETHER:
            due.append(self._newest.pop(heappop(self._queue)[1]))
        return due

    def _begin(self, shown: Iterable[tuple[PlayerProgress, bool]], now: float) -> None:
        self._shown = []
        for progress, here in shown:
            self._turns[progress.player_id] = (now + self._settings.progress_interval_s, next(self._numbers))
            self._shown.append((progress.player_id, _frame(progress)))
            if here:
                self._broadcast(progress)
        self._left = list(self._members.values())

    def _deliver(self, now: float) -> None:
        """Deliver to as many of those who are left as one turn allows."""
        most = MOST_PER_TURN // max(1, len(self._shown))
        some, self._left = self._left[:most], self._left[most:]
        some = [one for one in some if one.ended is None]
        if len(self._shown) > 1:
            for session in some:
                session.cork()
        for player_id, frame in self._shown:
            self._put(player_id, frame, some)
        if self._settings.progress_deliveries_per_second:
            self._free_at = now + len(some) * len(self._shown) / self._settings.progress_deliveries_per_second

    def _put(self, player_id: str, frame: Frame, members: list[Session]) -> None:
        """Send to these members but the player; of several to a slow reader only the newest arrives."""
        written = 0
        blocked: Counter[Sent] | None = None
        for session in members:
            if session.player_id == player_id:
                continue
            try:
                if session.outbox.put_now(frame):
                    written += 1
                    continue
                blocked = blocked or Counter()
                blocked[session.outbox.put_droppable(TYPE, player_id, frame)] += 1
            except Exception as error:  # noqa: BLE001 - one member's fault must not reach the others
                session.fail(error)
        if blocked is None:
            self._count(frame.size, written)
        else:
            replaced, dropped = blocked[Sent.REPLACED_OLDER], blocked[Sent.DROPPED]
            self._count(frame.size, written + blocked[Sent.WRITTEN], replaced, dropped)

    def _count(self, size: int = 0, sent: int = 0, replaced: int = 0, dropped: int = 0) -> None:
        """Measure what became of so many deliveries."""
        self._observer.sent_droppable(TYPE, size, sent, replaced, dropped)


def _frame(progress: PlayerProgress) -> Frame:
    data = PlayerProgressData(progress.player_id, or_unset(progress.percent), or_unset(progress.lines))
    return text_frame(encode_message(data))
