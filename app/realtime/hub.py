"""The hub: the rooms of this replica, their deadlines, their judging, and the connections in them."""

import asyncio
import contextlib
import random
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

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
    Rejection,
    Rules,
    Tick,
    deadline,
    decide,
    fold,
)
from app.judge import Judge, JudgeProblem
from app.protocol import MAX_BATCH, Close, CloseRow
from app.realtime.appending import append
from app.realtime.judging import Judging, JudgingConfig
from app.realtime.room import Room, RoomSeat, Welcome
from app.realtime.session import Session, SessionLimits
from app.realtime.tasks import TaskOwner
from app.realtime.timers import Timers
from app.realtime.transport import Transport
from app.telemetry.observer import Observer, Opened

_CLOSES: dict[Rejection, CloseRow] = {
    Rejection.GAME_FULL: Close.GAME_FULL,
    Rejection.GAME_RUNNING: Close.GAME_FULL,
    Rejection.GAME_OVER: Close.GAME_OVER,
    Rejection.NOT_ALLOWED: Close.FORBIDDEN,
}


TICK_RETRY_MS = 1_000


@dataclass(frozen=True, slots=True)
class HubConfig:
    """What the hub needs of the settings; times in seconds unless they say otherwise."""

    replica: str
    session: SessionLimits
    judging: JudgingConfig
    max_message_bytes: int
    ping_interval_s: float
    retention_s: float
    sweep_interval_s: float
    finished_linger_s: float
    restart_hint_s: float


class Hub:
    """See the module. `now` is the clock in epoch milliseconds."""

    def __init__(
        self,
        log: EventLog,
        judge: Judge,
        problems: Mapping[str, JudgeProblem],
        config: HubConfig,
        observer: Observer,
        now: Callable[[], int],
    ) -> None:
        self.problems = problems
        self.sessions: set[Session] = set()
        self.draining = False
        self._empty = asyncio.Event()
        self._log = log
        self._judge = judge
        self._config = config
        self._observer = observer
        self._now = now
        self._rooms: dict[str, Room] = {}
        self._loading: dict[str, asyncio.Future[Room | None]] = {}
        self._phases: dict[str, Phase] = {}
        self._timers = Timers(now)
        self._tasks = TaskOwner(observer)
        self._judging = Judging(judge, problems, config.judging, self._record, observer)
        limits = {"max_message_bytes": config.max_message_bytes, "max_batch": MAX_BATCH}
        self._welcome = Welcome(config.replica, config.ping_interval_s, limits)

    # ---------------------------------------------------------------- life

    async def start(self) -> None:
        """Open the log and the judge, take up the games that were under way. Raises LogUnavailable."""
        await self._log.open()
        await self._judge.open()
        await self._recover()
        self._judging.start(self._tasks)
        self._tasks.spawn(self._timers.run(self._fire), "timers")
        self._tasks.spawn(self._sweep(), "sweep")

    async def close(self) -> None:
        """Stop; connections must have ended before."""
        await self._tasks.close()
        await self._judge.close()
        await self._log.close()

    async def drain(self, timeout_s: float) -> None:
        """Take no more connections, end those there are, wait for their end but not longer than `timeout_s`."""
        self.draining = True
        self._empty.clear()
        self._close_sessions(Close.DRAINING)
        if self.sessions:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), timeout_s)

    def _close_sessions(self, row: CloseRow) -> None:
        """End all connections; each is told its own time to come back."""
        for session in tuple(self.sessions):
            wait_ms = round(1000 * self._config.restart_hint_s * random.uniform(1, 2))  # noqa: S311 - jitter
            session.close(row, retry_after_ms=wait_ms)

    # ---------------------------------------------------------------- live figures

    @property
    def room_count(self) -> int:
        """Games loaded on this replica."""
        return len(self._rooms)

    @property
    def judge_queue(self) -> int:
        """Submissions waiting for a worker."""
        return self._judging.depth

    def games_by_phase(self) -> dict[Phase, int]:
        """Games this replica knows to be open, and finished ones still loaded."""
        counts = dict.fromkeys(Phase, 0)
        for phase in self._phases.values():
            counts[phase] += 1
        return counts

    # ---------------------------------------------------------------- games

    def pick_problem(self) -> str:
        """The id of any problem."""
        return random.choice(tuple(self.problems))  # noqa: S311 - a game, not a secret

    async def create(self, host_id: str, problem_id: str, rules: Rules) -> GameState:
        """Make a game. Raises LogUnavailable."""
        game_id = str(uuid.uuid4())
        command = Create(game_id, host_id, self.problems[problem_id].public, rules)
        events = decide(None, command, self._now())
        await append(self._log, self._observer, game_id, START, events)
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
        while room is not None and self._rooms.get(game_id) is not room:
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
        room = self._rooms.get(game_id)
        if room is not None:
            return room
        loading = self._loading.get(game_id)
        if loading is None:
            loading = asyncio.ensure_future(self._read_room(game_id))
            self._loading[game_id] = loading
            loading.add_done_callback(lambda _: self._loading.pop(game_id, None))
        return await asyncio.shield(loading)

    async def _read_room(self, game_id: str) -> Room | None:
        room = Room(game_id, self._log, self, self._observer, self._now)
        if not await room.load():
            return None
        self._rooms[game_id] = room
        return room

    def _release(self, room: Room) -> None:
        if room.is_idle and self._rooms.get(room.game_id) is room:
            del self._rooms[room.game_id]
            room.close()
            if room.known.phase is Phase.FINISHED:
                self._phases.pop(room.game_id, None)

    # ---------------------------------------------------------------- connections

    async def serve(self, room: Room, opened: Opened, name: str, last_seq: int | None, transport: Transport) -> None:
        """Serve one accepted connection to its end."""
        seat = RoomSeat(room, opened.player_id)
        session = Session(opened, transport, seat, self._config.session, self._observer)
        self.sessions.add(session)
        self._observer.opened(opened)
        try:
            room.enter(session, name, last_seq, self._welcome)
            transport.attach(session)
            await self._join(room, seat, session, name)
            await session.run()
        finally:
            room.exit(session)
            self.sessions.discard(session)
            if not self.sessions:
                self._empty.set()
            self._observer.closed(session.summary())
            room.users += 1
            self._tasks.spawn(self._disconnected(room, session), "disconnect")

    async def _join(self, room: Room, seat: RoomSeat, session: Session, name: str) -> None:
        if room.known.phase is Phase.FINISHED:
            self._linger(room)
            return
        try:
            await seat.join(name, session.connection_id)
        except Rejected as rejected:
            session.close(_CLOSES[rejected.code], rejected.message)
        except LogUnavailable:
            session.close(Close.OVERLOADED, "the event log is unavailable", retry_after_ms=1_000)

    async def _disconnected(self, room: Room, session: Session) -> None:
        """Tell the log; not while draining an embedded log: its players get their grace at the next start."""
        try:
            if self.draining and not self._log.shared:
                return
            await room.handle(Disconnect(session.player_id, session.connection_id, session.retry_after_ms))
        finally:
            room.users -= 1
            self._release(room)

    def _linger(self, room: Room) -> None:
        """The game is over: its connections end after a while."""
        asyncio.get_running_loop().call_later(self._config.finished_linger_s, self._end_lingering, room)

    def _end_lingering(self, room: Room) -> None:
        for session in tuple(room.members.values()):
            session.close(Close.NORMAL, "the game is over")

    # ---------------------------------------------------------------- what rooms tell

    def changed(self, room: Room) -> None:
        """See `RoomOwner.changed`."""
        before = self._phases.get(room.game_id)
        self._remember(room.known)
        if room.known.phase is Phase.FINISHED and before not in {None, Phase.FINISHED}:
            self._linger(room)

    def submitted(self, room: Room, event: CodeSubmitted) -> None:
        """See `RoomOwner.submitted`."""
        if event.player_id in room.known.pending:
            self._judging.enqueue(room.game_id, room.known.problem, event)

    def fell_behind(self, room: Room) -> None:
        """See `RoomOwner.fell_behind`."""
        self._tasks.spawn(room.catch_up(), "catch up")

    def _remember(self, state: GameState) -> None:
        self._phases[state.game_id] = state.phase
        self._timers.set(state.game_id, deadline(state))

    # ---------------------------------------------------------------- time

    def _fire(self, game_id: str) -> None:
        self._tasks.spawn(self._tick(game_id), "deadline")

    async def _tick(self, game_id: str) -> None:
        try:
            await self._handle(game_id, Tick())
        except LogUnavailable:
            self._timers.set(game_id, self._now() + TICK_RETRY_MS)
            raise

    async def _handle(self, game_id: str, command: Command) -> None:
        async with self.use(game_id) as room:
            if room is not None:
                await room.handle(command)

    async def _record(self, game_id: str, verdict: RecordVerdict) -> None:
        await self._handle(game_id, verdict)

    async def _recover(self) -> None:
        """After a start: players who were connected get their grace, what was submitted is judged."""
        for game_id in await self._log.open_games():
            async with self.use(game_id) as room:
                if room is not None:
                    await self._reconcile(room)
                    await room.handle(Tick())

    async def _reconcile(self, room: Room) -> None:
        """Players whom the log calls connected and who are not: only where no other replica could have them."""
        if self._log.shared or room.known.phase is Phase.FINISHED:
            return
        for player in room.known.active_players:
            if player.connection_id is not None and player.id not in room.members:
                await room.handle(Disconnect(player.id, player.connection_id))

    async def _sweep(self) -> None:
        """Again and again: what a fault left undone is taken up, and old games are removed."""
        while True:
            await asyncio.sleep(self._config.sweep_interval_s)
            try:
                await self._sweep_once()
            except LogUnavailable as fault:
                self._observer.fault("sweep", fault)

    async def _sweep_once(self) -> None:
        for room in tuple(self._rooms.values()):
            for submitted in room.known.pending.values():
                self._judging.enqueue(room.game_id, room.known.problem, submitted)
            await self._reconcile(room)
            due = deadline(room.known)
            if due is not None and due <= self._now():
                await room.handle(Tick())
        await self._log.expire(self._now() - round(self._config.retention_s * 1000))
