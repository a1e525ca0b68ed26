"""The hub: the rooms of this replica, their deadlines, their judging, and the connections in them."""

import asyncio
import contextlib
import itertools
import math
import random
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from app.aio.tasks import TaskOwner
from app.aio.timing_wheel import TimingWheel
from app.eventlog import START, EventLog, LogUnavailable
from app.game import (
    CodeSubmitted,
    Command,
    Create,
    Disconnect,
    GameEvent,
    GameState,
    Phase,
    RecordVerdict,
    Rejected,
    Remove,
    Rules,
    Tick,
    deadline,
    decide,
    fold,
)
from app.judge import Judge, JudgeProblem
from app.limits import LimitPolicy
from app.protocol import Close
from app.realtime.cluster.log_health import Appender
from app.realtime.cluster.presence import Presence
from app.realtime.cluster.replicas import Replicas
from app.realtime.connection.outbox import Outboxes
from app.realtime.connection.session import Session, SessionConfig
from app.realtime.identity import Identity, Verify
from app.realtime.overload import LoadConfig, LoadMonitor
from app.realtime.refusals import REFUSED
from app.realtime.room.counts import GameCounts
from app.realtime.room.deadlines import Deadlines
from app.realtime.room.judging import Judging, JudgingConfig
from app.realtime.room.pace import Pace, PaceConfig
from app.realtime.room.progress import ProgressConfig
from app.realtime.room.room import Room, RoomSeat, Welcome
from app.realtime.room.sweeper import Sweeper, SweeperConfig
from app.telemetry.bulkhead import Bulkhead
from app.telemetry.observer import Observer, Opened
from app.telemetry.tracer import Link
from app.transport import Transport
from app.vocabulary import LimitScope, LogTrouble, SpanName

_CLOSING_RANK = {Phase.WAITING: 0, Phase.FINISHED: 0, Phase.COUNTDOWN: 1, Phase.RUNNING: 2}

TICK_RETRY_MS = 1_000
FAULT_RETRY_MS = 30_000
"""A game that something of its own keeps from moving on is tried again, but is not all that is in the log."""
REACH_RETRY_S = 1.0
BACKUP_MS = 500
"""So much later than the replica that leads a game do the others act for it: usually there is nothing left to do."""
TRIES_TTL_S = 86_400.0
"""How often a submission was taken up is remembered so long after the last time: longer than any race lasts."""
SHED_RETRY_S = (5.0, 30.0)


@dataclass(frozen=True, slots=True)
class HubConfig:
    """What the hub needs of the settings; times in seconds unless they say otherwise."""

    replica: str
    session: SessionConfig
    judging: JudgingConfig
    ping_interval_s: float
    sweeper: SweeperConfig
    replica_ttl_s: float
    finished_linger_s: float
    max_connection_age_s: float
    pace: PaceConfig
    progress: ProgressConfig
    load: LoadConfig
    limits_dry_run: frozenset[LimitScope]


@dataclass(slots=True)
class _Stay:
    """What is to be given back at a connection's end: its place at the door, and where it got so far its room."""

    leave: Callable[[], None]
    room: Room | None = None


class Hub:
    """See the module. `now` is the games' clock in epoch milliseconds."""

    def __init__(
        self,
        log: EventLog,
        judge: Judge,
        problems: Mapping[str, JudgeProblem],
        config: HubConfig,
        verify: Verify,
        observer: Observer,
        now: Callable[[], int],
    ) -> None:
        self.problems = problems
        self.sessions: dict[Session, _Stay] = {}
        self.draining = False
        self.accepting = True
        self.policy = LimitPolicy(config.limits_dry_run, observer)
        self.pace = Pace(config.pace, self.policy)
        self.load = LoadMonitor(config.load, observer, self._shed)
        self.something_ended = asyncio.Event()
        self._empty = asyncio.Event()
        self.verify = verify
        self.wheel = TimingWheel(observer.fault)
        self.appender = Appender(log, observer)
        self.replicas = Replicas(log, config.replica_ttl_s, observer, now)
        self.presence = Presence(log, self.replicas.instance, self.replicas.lives, observer.fault)
        self._reached = asyncio.Event()
        self.outboxes = Outboxes(observer)
        self._log = log
        self.bulkhead = Bulkhead(observer.fault, "hub")
        self._judge = judge
        self._config = config
        self.observer = observer
        self.now = now
        self.rooms: dict[str, Room] = {}
        self._loading: dict[str, asyncio.Future[Room | None]] = {}
        self.counts = GameCounts()
        self._deadlines = Deadlines(now, observer.fault)
        self.sweeper = Sweeper(self, log, self.replicas, self._deadlines, config.sweeper, observer, now)
        self._catching_up: set[str] = set()
        self._judged_here: set[tuple[str, int]] = set()
        self._tasks = TaskOwner(observer)
        self._handling = TaskOwner(observer)
        self._judging = Judging(judge, problems, config.judging, self._record, self._take_judging, self.policy)
        quota = config.session.inbox.quota
        limits = {
            "max_message_bytes": quota.max_message_bytes,
            "max_batch": quota.max_batch,
            "messages_per_second": quota.messages_per_second,
            "message_burst": quota.message_burst,
        }
        self._welcome = Welcome(config.replica, config.ping_interval_s, limits)

    # ---------------------------------------------------------------- life

    async def start(self) -> None:
        """Open the log and the judge, take up the games that were under way; a shared log may be reached later.

        Raises LogUnavailable.
        """
        self._log.listen(self)
        if not self._log.shared:
            await self._log.open()
        await self._judge.open()
        self._judging.start(self._tasks)
        self._tasks.spawn(self._deadlines.run(self._fire), "timers")
        self._tasks.spawn(self.load.run(), "load")
        if self._log.shared:
            self._tasks.spawn(self._reach(), "event log")
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
                    self.troubled(error.trouble, str(error))
                else:
                    return
            await asyncio.sleep(REACH_RETRY_S)

    async def _begin(self) -> None:
        """The log is there: take up what was under way, and let players in."""
        await self.replicas.refresh()
        await self.sweeper.adopt()
        self._reached.set()
        self.appender.reach()
        self._tasks.spawn(self.sweeper.run(), "sweep")
        self._tasks.spawn(self.appender.watch(self._restored), "event log")
        if self._log.shared:
            self._tasks.spawn(self.replicas.run(), "fleet")
            self._tasks.spawn(self.presence.run(), "presence")

    @property
    def reached(self) -> bool:
        """Whether the event log has been reached, once: nobody is let in before."""
        return self._reached.is_set()

    async def wait_reached(self) -> None:
        """Wait for that."""
        await self._reached.wait()

    async def _restored(self) -> None:
        """The log was away and is back: what was missed is read at once. Raises LogUnavailable."""
        await self.replicas.refresh()
        await self.sweeper.catch_up()

    async def close(self) -> None:
        """Stop; connections must have ended before."""
        for step in (self._handling.close, self._tasks.close, self._leave, self._judge.close, self._log.close):
            with self.bulkhead:  # what cannot be closed must not keep the rest from it
                await step()

    async def _leave(self) -> None:
        if self.reached:
            with contextlib.suppress(LogUnavailable):  # then the others find out by themselves
                await self.replicas.leave()

    # ---------------------------------------------------------------- going away

    def games_ending_within(self, seconds: float) -> list[str]:
        """Races with members here whose end is near: their time runs out, or they are decided."""
        until = self.now() + seconds * 1000
        return [room.game_id for room in self.rooms.values() if room.members and _ends_by(room.known, until)]

    def closing_order(self) -> list[Session]:
        """All connections, those first whose end disturbs nobody: of no game, of waiting ones, of races."""
        rank = {
            session: _CLOSING_RANK[room.known.phase]
            for room in self.rooms.values()
            for session in room.members.values()
        }
        return sorted(self.sessions, key=lambda session: rank.get(session, 0))

    async def wait_empty(self, timeout_s: float) -> None:
        """Wait for the end of all connections; those of peers that do not answer are cut after a while anyway."""
        self._empty.clear()
        if self.sessions:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._empty.wait()

    def _shed(self, share: float) -> int:
        """End the newest connections: a share of all, at least one."""
        count = math.ceil(len(self.sessions) * share)
        newest = list(itertools.islice((one for one in reversed(self.sessions) if one.ended is None), count))
        for session in newest:
            with self.bulkhead:
                session.close(Close.OVERLOADED, retry_after_ms=round(1000 * random.uniform(*SHED_RETRY_S)))  # noqa: S311 - jitter
        return len(newest)

    # ---------------------------------------------------------------- live figures

    @property
    def room_count(self) -> int:
        """Games loaded on this replica."""
        return len(self.rooms)

    @property
    def background_tasks(self) -> int:
        """Tasks under way that are of no connection."""
        return len(self._tasks)

    @property
    def judge_queue(self) -> int:
        """Submissions waiting for a worker."""
        return self._judging.depth

    @property
    def game_overdue_s(self) -> float:
        """How long the most overdue game is past its deadline."""
        return self._deadlines.overdue_s

    # ---------------------------------------------------------------- games

    def pick_problem(self) -> str:
        """The id of any problem."""
        return random.choice(tuple(self.problems))  # noqa: S311 - a game, not a secret

    async def create(self, host_id: str, problem_id: str, rules: Rules) -> GameState:
        """Make a game. Raises LogUnavailable."""
        game_id = str(uuid.uuid4())
        command = Create(game_id, host_id, self.problems[problem_id].public, rules)
        events = decide(None, command, self.now())
        with self.observer.tracer.root(SpanName.CREATE, attributes={"game.id": game_id, "player.id": host_id}):
            await self.appender.append(game_id, START, events)
        state = fold(events)
        if state is None:
            raise LookupError(game_id)  # a fold over game_created is a game
        self._remember(state)
        return state

    async def state(self, game_id: str) -> GameState | None:
        """The state of a game, None where there is none. Raises LogUnavailable."""
        async with self.use(game_id) as room:
            return room.known if room else None

    async def events(self, game_id: str) -> list[GameEvent]:
        """All events of a game, hidden parts included. Raises LogUnavailable."""
        return [event for commit in await self._log.read(game_id) for event in commit.events]

    @contextlib.asynccontextmanager
    async def use(self, game_id: str) -> AsyncIterator[Room | None]:
        """The room of a game, loaded and kept for the block; None where there is no such game.

        Raises LogUnavailable.
        """
        room = await self._load(game_id)
        while room is not None and self.rooms.get(game_id) is not room:
            room = await self._load(game_id)  # released between being loaded and being handed to us
        if room is None:
            yield None
            return
        room.users += 1
        try:
            yield room
        finally:
            room.users -= 1
            self._release(room)

    async def _load(self, game_id: str) -> Room | None:
        room = self.rooms.get(game_id)
        if room is not None:
            return room
        loading = self._loading.get(game_id)
        if loading is None:
            loading = asyncio.ensure_future(self._read_room(game_id))
            self._loading[game_id] = loading
        return await asyncio.shield(loading)

    async def _read_room(self, game_id: str) -> Room | None:
        room = Room(game_id, self._log, self.appender, self, self.observer, self.now, self._config.progress)
        try:
            if not await room.load():
                return None
        finally:
            del self._loading[game_id]  # at once: whoever found it done and its room released would ask it for ever
        self.rooms[game_id] = room
        return room

    def _release(self, room: Room) -> None:
        if room.is_idle and self.rooms.get(room.game_id) is room:
            del self.rooms[room.game_id]
            room.close()
            if room.known.phase is Phase.FINISHED or self._log.shared:  # else it goes on here, and only here
                self.counts.forget(room.game_id)

    # ---------------------------------------------------------------- connections

    def open(
        self, opened: Opened, transport: Transport, link: Link | None = None, leave: Callable[[], None] = lambda: None
    ) -> Session:
        """One accepted connection, accounted for from here to its end; its traces point at `link`.

        Whoever calls this calls `Session.begin` after it, whatever happens; `leave` is called at the end.
        """
        session = Session(opened, transport, self._config.session, self)
        session.link = link
        if self._config.max_connection_age_s:
            session.expiry.end_at_age(self._config.max_connection_age_s * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
        self.sessions[session] = _Stay(leave)
        self.observer.opened(opened)
        session.attach()
        return session

    async def play(self, session: Session, room: Room, identity: Identity, last_seq: int | None) -> None:
        """Give a connection its place in the game, which it has to its end."""
        seat = RoomSeat(room, identity.player_id, self.pace)
        self.sessions[session].room = room
        room.users += 1
        session.sit(identity, seat)
        room.enter(session, identity.name, last_seq, self._welcome)
        session.start()
        await self._join(room, session, identity.name)

    def handle(self, messages: Coroutine[Any, Any, None]) -> None:
        """See `SessionOwner.handle`."""
        self._handling.spawn(messages, "messages")

    def finished(self, session: Session) -> None:
        """See `SessionOwner.finished`."""
        stay = self.sessions.pop(session)
        room = stay.room
        if room is not None:
            room.exit(session)
            self.something_ended.set()
            self._tasks.spawn(self._disconnected(room, session), "disconnect")
        session.expiry.stop()
        with self.bulkhead:  # whatever is wrong with its record, its place is free
            self.observer.closed(session.summary())
        if not self.sessions:
            self._empty.set()
        stay.leave()
        session.forget()

    async def remove(self, game_id: str, player_id: str) -> None:
        """Put a player out of a game. Raises Rejected, LogUnavailable."""
        with self.observer.tracer.root(SpanName.REMOVE, attributes={"game.id": game_id, "player.id": player_id}):
            await self._handle(game_id, Remove(player_id))

    async def _join(self, room: Room, session: Session, name: str) -> None:
        if room.known.phase is Phase.FINISHED:
            self._linger(room)
            return
        try:
            with self.observer.tracer.root(SpanName.JOIN, session.link):
                await room.join(session, name)
        except Rejected as rejected:
            refused = REFUSED[rejected.code]
            session.close(refused.close, rejected.message, refused.retry_after_ms)
        except LogUnavailable:
            session.close(Close.OVERLOADED, "the event log is unavailable", retry_after_ms=1_000)

    async def _disconnected(self, room: Room, session: Session) -> None:
        """Tell the log; not while draining an embedded log: its players get their grace at the next start."""
        try:
            if self.draining and not self._log.shared:
                return
            with self.observer.tracer.root(SpanName.DISCONNECT, session.link):
                await room.handle(Disconnect(session.player_id, session.connection_id, session.retry_after_ms))
        finally:
            room.users -= 1
            self._release(room)

    async def rejoin(self, room: Room, session: Session, name: str) -> None:
        """See `Rooms.rejoin`."""
        await self._join(room, session, name)

    def _linger(self, room: Room) -> None:
        """The game is over: its connections end after a while."""
        asyncio.get_running_loop().call_later(self._config.finished_linger_s, self._end_lingering, room)

    def _end_lingering(self, room: Room) -> None:
        room.end_all(Close.NORMAL, "the game is over")

    # ---------------------------------------------------------------- what rooms tell

    def changed(self, room: Room, before: Phase | None) -> None:
        """See `RoomOwner.changed`."""
        self._remember(room.known)
        if room.known.phase is Phase.FINISHED and before not in {None, Phase.FINISHED}:
            self.something_ended.set()
            self._linger(room)

    def submitted(self, room: Room, event: CodeSubmitted) -> None:
        """See `RoomOwner.submitted`."""
        if event.player_id in room.known.pending:
            self._judging.enqueue(room.game_id, room.known.problem, event)

    def fell_behind(self, room: Room) -> None:
        """See `RoomOwner.fell_behind`."""
        self.observer.log_gap()
        if room.game_id not in self._catching_up:
            self._catching_up.add(room.game_id)
            self._tasks.spawn(self._catch_up(room), "catch up")

    async def _catch_up(self, room: Room) -> None:
        try:
            await room.catch_up()
        except LogUnavailable as error:
            self.log_failed("catch up", error)  # the sweep tries again
        finally:
            self._catching_up.discard(room.game_id)

    def _remember(self, state: GameState) -> None:
        """Keep what has changed. The game is counted, and its time kept first, by the replica that leads it."""
        due = deadline(state)
        leads = self.replicas.leads(state)
        self._deadlines.set(state.game_id, due if leads or due is None else due + BACKUP_MS)
        if leads or due is None:
            self.counts.note(state)
        if not leads:
            self.counts.forget(state.game_id)

    # ---------------------------------------------------------------- what the log tells

    def troubled(self, trouble: LogTrouble, detail: str) -> None:
        """See `LogOwner.troubled`."""
        self.observer.event_log_troubled(trouble, detail)
        if trouble is LogTrouble.UNREACHABLE and self.reached:
            self.appender.doubt()

    def untold(self) -> None:
        """See `LogOwner.untold`."""
        self.observer.log_untold()

    def failed(self, where: str, error: BaseException) -> None:
        """See `LogOwner.failed`."""
        self.observer.fault(where, error)

    def log_failed(self, where: str, error: LogUnavailable) -> None:
        """See `Rooms.log_failed`: where it is away, that is told as such, once."""
        if error.is_away:
            self.appender.lose(str(error))
        else:
            self.observer.fault(where, error)

    def returned(self) -> None:
        """See `LogOwner.returned`: once it takes something, what was missed is read."""
        if self.reached:
            self.appender.doubt()

    # ---------------------------------------------------------------- time

    def _fire(self, game_id: str) -> None:
        self._tasks.spawn(self._tick(game_id), "deadline")

    async def _tick(self, game_id: str) -> None:
        try:
            with self.observer.tracer.root(SpanName.TICK, attributes={"game.id": game_id}):
                due = await self._handle(game_id, Tick())
        except LogUnavailable:
            self._deadlines.retry(game_id, self.now() + TICK_RETRY_MS)
            raise
        except Exception:  # no sweep looks at a game that is not loaded: forgotten here, it would never end
            self._deadlines.retry(game_id, self.now() + FAULT_RETRY_MS)
            raise
        if due is None or due > self.now():  # else it should have moved on: it stays overdue
            self._deadlines.set(game_id, due)

    async def _handle(self, game_id: str, command: Command) -> int | None:
        """Handle a command; the game's deadline after it."""
        async with self.use(game_id) as room:
            if room is None:
                return None
            await room.handle(command)
            return deadline(room.known)

    async def _record(self, game_id: str, verdict: RecordVerdict) -> None:
        await self._handle(game_id, verdict)

    async def _take_judging(self, game_id: str, seq: int) -> int:
        """Begin a try of judging a submission: which one, over all replicas and restarts; 0 where it is another's."""
        if not await self._claim_judging(game_id, seq):
            return 0
        return await self._log.count(f"judge {game_id} {seq}", TRIES_TTL_S)

    async def _claim_judging(self, game_id: str, seq: int) -> bool:
        """Whether a submission is to be judged here: where others share the log, the first to ask does it."""
        if not self._log.shared or (game_id, seq) in self._judged_here:
            return True
        ttl_s = self._config.judging.claim_s
        granted = await self._log.claim(f"judge {game_id} {seq}", ttl_s)
        if granted:
            self._judged_here.add((game_id, seq))
            asyncio.get_running_loop().call_later(ttl_s, self._judged_here.discard, (game_id, seq))
        return granted


def _ends_by(state: GameState, until: float) -> bool:
    """Whether a race ends by `until` (epoch ms), without anybody doing anything more."""
    if state.phase is not Phase.RUNNING or state.ends_at is None:
        return False
    return state.decided_at is not None or state.ends_at <= until
