"""The hub: all that one replica runs, wired, started and closed.

Theory of operation. Everything runs on one event loop; no part needs a lock but a room, which decides one command at a
time. The hub is given each port of the outside and the settings; each part what it needs of them, never its owner, and
knows only parts further down:

    Hub         makes all parts; starts and closes them
    Membership  which connection plays in which room
    Sweeper     takes up what a fault, a restart or a replica that died has left undone
    Rooms       the games: loaded while they are used
    Judging     the queue of submissions; it knows no rooms, and hands each verdict to `Rooms`
    KnownGames  the deadlines and the counts of all games, loaded or not
    Connections the sessions; it knows no rooms, and calls `Membership.end` when one is over
    LogHealth   whether the event log takes anything; Replicas, Circle: the other processes; Bans: whom none lets in

States of a hub: made; started (a shared log may still have to be reached: `LogHealth.is_reached`, nobody is let in
before); `draining` (readiness fails); no longer `accepting` (nobody is let in); closed, after all connections have
ended. `Drain` takes a hub from started to closed.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from app.aio.tasks import TaskOwner
from app.eventlog import Coordination, EventLog, LogUnavailable
from app.judge import Judge, JudgeProblem
from app.rate_limits import BUSY_RETRY_S, LimitPolicy, spread_ms
from app.realtime.cluster.bans import Bans
from app.realtime.cluster.circle import Circle
from app.realtime.cluster.log_health import LogHealth
from app.realtime.cluster.replicas import Replicas
from app.realtime.connection.registry import Connections
from app.realtime.identity import Verify
from app.realtime.overload import LoadMonitor
from app.realtime.room.claims import JudgingClaims
from app.realtime.room.judging import Judging
from app.realtime.room.known_games import KnownGames
from app.realtime.room.membership import Membership
from app.realtime.room.pace import Pace
from app.realtime.room.registry import Rooms
from app.realtime.room.sweeper import Sweeper
from app.realtime.room.welcome import Welcome
from app.settings import LimitSettings, Settings
from app.telemetry.bulkhead import Bulkhead
from app.telemetry.observer import Observer
from app.vocabulary import DrainPhase, LimitScope, LogTrouble
from app.workers import Share
from app.workers.share import ALONE

REACH_RETRY_S: Final = 1.0


class Hub:
    """Owns all parts of one replica; `now` is the games' clock in epoch milliseconds.

    It makes games of its `share` alone. `coordination` is among all who serve the same players; the log's own, which
    it is unless said otherwise, among those who serve the same games.

    While it is not `accepting`, `back_in_ms` chooses when one who is refused comes again.
    """

    def __init__(
        self,
        log: EventLog,
        judge: Judge,
        problems: Mapping[str, JudgeProblem],
        settings: Settings,
        replica: str,
        verify: Verify,
        observer: Observer,
        now: Callable[[], int],
        *,
        share: Share = ALONE,
        coordination: Coordination | None = None,
    ) -> None:
        self.serve()
        self.observer = observer
        self.now = now
        self.bulkhead = Bulkhead(observer.fault, "hub")
        self.tasks = TaskOwner(observer.fault)
        self.policy = LimitPolicy(frozenset(map(LimitScope, settings.limits_dry_run)), observer)
        self.log_health = LogHealth(log, observer)
        self.replicas = Replicas(log.coordination, settings.replica_ttl_s, observer, now)
        self.circle = Circle(log.coordination, coordination, self.replicas, settings.replica_ttl_s, observer)
        self.problems = problems
        self.games = KnownGames(self.replicas, now, observer.fault)
        claims = JudgingClaims(log.coordination, settings)
        self.judging = Judging(judge, problems, settings, claims.begin, self.policy)
        self.pace = Pace(settings, self.policy)
        self.rooms = Rooms(log, self.log_health, self.games, self.judging, self.pace, self.tasks, settings)
        self.rooms.share = share
        welcome = Welcome(replica, settings.ping_interval_s, _announced(settings))
        self.coordination = coordination or log.coordination
        self.bans = Bans(self.coordination, observer.fault, self._put_out)
        self.membership = Membership(self.rooms, welcome, self.tasks, self._reports_ends, self.bans)
        self.connections = Connections(settings, verify, self.policy, now, self.membership.end)
        self.load = LoadMonitor(settings, observer, self.connections.shed)
        self.sweeper = Sweeper(
            self.rooms, self.membership.join, log, self.log_health, self.replicas, settings, observer
        )
        self.is_shared = log.shared
        self._log = log
        self._judge = judge
        self._has_left = False
        self._leave_timeout_s = settings.leave_timeout_s
        self._ready_timeout_s = settings.ready_timeout_s

    def serve(self) -> None:
        """Take connections: from the beginning, and again after a drain that was taken back."""
        self.draining = False
        self.drain_phase: DrainPhase | None = None
        self.accepting = True
        self.back_in_ms: Callable[[], int] = lambda: spread_ms(*BUSY_RETRY_S)

    async def start(self) -> None:
        """Open the log and the judge, begin to take up games that were under way; a shared log may be reached later.

        Raises LogUnavailable.
        """
        self._log.listen(self.log_health)
        if not self._log.shared:
            await self._log.open()
        await self._judge.open()
        self.rooms.start()
        self.tasks.spawn(self.load.run(), "load")
        if self._log.shared:
            self.tasks.spawn(self._reach(), "event log")
        else:
            await self._begin()

    async def _reach(self) -> None:
        """Reach a shared log, however long it takes: until then nobody is let in."""
        opened = False
        while True:
            with self.bulkhead:
                try:
                    if not opened:
                        await self._log.open()
                    opened = True
                    await self._begin()
                except LogUnavailable as error:
                    self.observer.event_log_troubled(error.trouble, str(error))
                else:
                    return
            await asyncio.sleep(REACH_RETRY_S)

    async def _begin(self) -> None:
        """Begin, as the log is there: find what is under way, and let players in."""
        await self.replicas.refresh()
        await self.circle.join()
        await self.bans.refresh()
        await self.sweeper.find()  # they are taken up by the first sweep, while players come in already
        self.log_health.reach()
        self.tasks.spawn(self.sweeper.run(), "sweep")
        self.tasks.spawn(self.log_health.watch(self._restored), "event log")
        for name, work in self.circle.work():
            self.tasks.spawn(work, name)
        if self.circle.is_shared:  # else nobody bans but by this process
            self.tasks.spawn(self.bans.run(), "bans")

    async def _restored(self) -> None:
        """Read what was missed at once: the log was away and is back. Raises LogUnavailable."""
        await self.replicas.refresh()
        await self.sweeper.catch_up()

    async def know_games(self) -> None:
        """Wait until the games are known that were under way at the start: limits count them. Raises LogUnavailable."""
        if self.sweeper.has_taken_up.is_set():
            return
        try:
            async with asyncio.timeout(self._ready_timeout_s):
                await self.sweeper.has_taken_up.wait()
        except TimeoutError:
            text = f"{self.sweeper.to_take_up} games are still to be taken up"
            raise LogUnavailable(text, LogTrouble.BUSY) from None

    def _put_out(self, player_id: str, text: str, comes_back: bool) -> int:
        """End the connections of a player whom an operator puts out; how many those were."""
        return self.connections.close_player(player_id, text, comes_back=comes_back)

    def _reports_ends(self) -> bool:
        """Return whether ends of connections are reported to the log.

        Not while draining an embedded one: its players get their grace at the next start.
        """
        return self._log.shared or not self.draining

    async def close(self) -> None:
        """Stop; connections must have ended before."""
        for step in (self.connections.close, self.tasks.close, self.leave, self._judge.close, self._log.close):
            with self.bulkhead:  # what cannot be closed must not keep the rest from it
                await step()

    async def leave(self) -> None:
        """Tell the others that this process ends, once; a log that does not take that is not waited for any more."""
        if self._has_left or not self.log_health.is_reached:
            return
        self._has_left = True
        try:
            async with asyncio.timeout(self._leave_timeout_s):
                await self.circle.leave()
        except LogUnavailable as error:  # the others find out by themselves
            await self._log.abandon(error)
        except TimeoutError:
            text = f"no answer within {self._leave_timeout_s:g} s to one who leaves"
            await self._log.abandon(LogUnavailable(text, LogTrouble.TIMEOUT))


def _announced(settings: LimitSettings) -> dict[str, float]:
    """Return the limits that a ``welcome`` announces."""
    return {
        "max_message_bytes": settings.max_message_bytes,
        "max_batch": settings.max_batch,
        "messages_per_second": settings.messages_per_second,
        "message_burst": settings.message_burst,
    }
