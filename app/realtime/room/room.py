"""One game on this replica: decide, append, apply, fan out.

Theory of operation. The room's state is a fold over the log. A command is decided by the pure rules against that state,
appended at the room's `cursor`, and applied when the log has accepted it, whether by the answer to the append or by
the subscription, whichever comes first (`deliver`; the other changes nothing). One command is decided at a time (the
lock); if another replica was faster the log answers Conflict, the room reads on and decides again. Commits that come
too early are not applied: the room asks to catch up.

Nobody is sent an event before the log has accepted it, and every member is put every durable frame exactly once, in
order: the frame is encoded once for all. What an event leads to (`_have_effects`) comes after everybody was sent it.
Nothing between reading the state and entering as a member waits, so no frame is lost or doubled.

States: loading (`load`: subscribed, then read; a replay has no effects), live, closed. A room is in use while it has
members, `users` or submissions to be judged (`is_idle`).

Of a player's connections one lives, the newest: that whose Join the log accepted last, on whichever replica. So a
connection is a member as soon as it has entered, but replaces nobody before its own Join is in the log, and is replaced
only by one that comes after it. None is asked for once its connection is closing: it would take the player from one
that lives. (Closed while the log accepts it, it does: closed with 4409 on the other, or lost, its player comes back.)
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from app.eventlog import START, Commit, Conflict, Coordination, Cursor, EventLog, LogUnavailable, Subscription
from app.game import (
    CodeSubmitted,
    Command,
    GameEvent,
    GameFinished,
    GameState,
    Join,
    LeaveReason,
    Phase,
    PlayerCommand,
    PlayerJoined,
    PlayerLeft,
    PlayerReconnected,
    Problem,
    Rejected,
    SubmissionJudged,
    decide,
    evolve,
    public_event,
    public_result,
    refusal,
    unbounded,
)
from app.protocol import MALFORMED, Close, encode_event, encode_message
from app.rate_limits import LimitPolicy
from app.realtime.cluster.log_health import LogHealth
from app.realtime.connection.outbox import Put
from app.realtime.connection.session import Session
from app.realtime.room.pace import Pace
from app.realtime.room.progress import PlayerProgress, ProgressBoard, broadcast_progress, decode_progress
from app.realtime.room.roster import Roster
from app.realtime.room.welcome import Welcome
from app.refusals import REJECTIONS
from app.settings import LimitSettings
from app.telemetry.bulkhead import Bulkhead, ReportFault
from app.telemetry.observer import Observer
from app.telemetry.tracer import Span, Value
from app.transport import Frame, text_frame
from app.vocabulary import LimitScope, Rejection, ResumeOutcome, SpanName


@dataclass(frozen=True, slots=True, eq=False)
class RoomContext:
    """What all rooms of a replica share; `now` is the games' clock in epoch milliseconds.

    `changed` is called when events were applied: the phase, which was the one given, or the deadline may be new;
    `enqueue` with a submission that is to be judged, `fell_behind` when commits were missed: then the room wants
    `catch_up`.
    """

    log: EventLog
    coordination: Coordination
    health: LogHealth
    policy: LimitPolicy
    pace: Pace
    now: Callable[[], int]
    limits: LimitSettings
    bulkhead: Bulkhead
    report: ReportFault
    changed: Callable[["Room", Phase | None], None]
    enqueue: Callable[[str, Problem, CodeSubmitted], None]
    fell_behind: Callable[["Room"], None]


class Room:
    """Holds one game; `state` is None until the first events are applied, `cursor` is how far the log has been.

    `members` are the sessions by connection id; `users` counts those who use the room besides.
    """

    def __init__(self, game_id: str, context: RoomContext) -> None:
        self.game_id = game_id
        self.state: GameState | None = None
        self.members: dict[str, Session] = {}
        self.users = 0
        self._live = False
        self._accepted_at = 0.0
        self._history: list[tuple[str, Frame] | GameEvent] = []
        self.cursor: Cursor = START
        self._context = context
        self._log = context.log
        self._now, self._bulkhead = context.now, context.bulkhead
        self._observer: Observer = context.policy.observer
        self._tracer = self._observer.tracer
        self._roster = Roster(self.members, context.bulkhead)
        self.close_all = self._roster.close_all
        # Not a method of this room: it would refer to itself, and be freed only by a collection.
        tell_others = partial(broadcast_progress, context.coordination, game_id)
        self._progress = ProgressBoard(context.limits, self.members, self._observer, tell_others)
        self.rest = self._progress.clear  # nobody is here, for now
        self._deciding = asyncio.Lock()
        self._subscriptions: list[Subscription] = []

    @property
    def known(self) -> GameState:
        """The state of a loaded room."""
        if self.state is None:
            raise LookupError(f"game {self.game_id} is not loaded")
        return self.state

    @property
    def is_idle(self) -> bool:
        """Whether nothing on this replica needs the room."""
        return not self.members and not self.users and not (self.state and self.state.pending)

    # ---------------------------------------------------------------- life

    async def load(self) -> bool:
        """Subscribe and read the log; False where there is no such game. Raises LogUnavailable."""
        try:
            self._subscriptions.append(await self._log.subscribe(self.game_id, self.deliver))
            others = self._context.coordination
            if others.shared:
                self._subscriptions.append(await others.subscribe(self.game_id, self._receive_progress))
            await self.catch_up()
        except BaseException:  # nobody holds a room that could not be read: nobody would close it
            self.close()
            raise
        if self.state is None:
            self.close()
            return False
        self._live = True
        self._observer.replayed(self.state.seq)
        self._context.changed(self, None)
        for submitted in self.state.pending.values():
            self.request_verdict(submitted)
        return True

    def close(self) -> None:
        """Stop receiving the game's commits."""
        self.rest()
        while self._subscriptions:
            self._subscriptions.pop().close()

    async def catch_up(self) -> None:
        """Read and apply what the log has and this room has not. Raises LogUnavailable."""
        for commit in await self._log.read(self.game_id, self.cursor):
            self.deliver(commit)

    # ---------------------------------------------------------------- commands

    async def join(self, session: Session, name: str) -> None:
        """Have the log say that a member's player is here, unless the connection ends before. Raises as `handle`."""
        await self.handle(Join(session.player_id, name, session.connection_id), lambda: session.is_open)

    async def act(self, command: PlayerCommand) -> int | None:
        """Handle what a player asks for, at the pace of the game; the seq of the event it caused, now or back then.

        Raises TooFast, and as `handle`.
        """
        self._context.pace.take_command(self.game_id, command.player_id, len(self.members))
        await self.handle(command)
        player = self.known.players.get(command.player_id)
        return player.seen.get(command.cause) if player and command.cause else None

    async def handle(self, command: Command, is_wanted: Callable[[], bool] = lambda: True) -> list[GameEvent]:
        """Decide, append, apply, unless it is no longer wanted by then; the events that were accepted.

        Raises:
            Rejected: the rules forbid it.
            LogUnavailable: nothing is known to be accepted.
        """
        async with self._deciding:
            while is_wanted():
                with self._tracer.child(SpanName.DECIDE) as span:
                    events = self._decide(command)
                    if span is not None:
                        span.note({"events": len(events)})
                if not events:
                    return []
                after = self.cursor
                try:
                    with self._context.health.appending():
                        commit = await self._log.append(self.game_id, after, events)
                except Conflict:
                    await self._catch_up_after_conflict(after)
                    continue
                self.deliver(commit)
                end = events[-1]
                if isinstance(end, GameFinished) and self.known.starts_at is not None:
                    self._observer.game_lasted((end.at - self.known.starts_at) / 1000)
                return events
        return []

    def _decide(self, command: Command) -> list[GameEvent]:
        try:
            return decide(self.state, command, self._now())
        except Rejected as rejected:
            if self._is_refused(rejected, getattr(command, "player_id", "")):
                raise
        return decide(unbounded(self.known), command, self._now())

    def joining_refused(self, player_id: str) -> Rejected | None:
        """Return why a player may not join now; None if they may."""
        rejected = refusal(self.known, player_id)
        if rejected is None or self._is_refused(rejected, player_id):
            return rejected
        return refusal(unbounded(self.known), player_id)

    def _is_refused(self, rejected: Rejected, player_id: str) -> bool:
        """Return whether what the rules forbid is refused: not where it is a bound on the game that is only counted."""
        if rejected.code is not Rejection.RATE_LIMITED:
            return True
        retry_ms = REJECTIONS[rejected.code].retry_after_ms()
        return self._context.policy.refuses(LimitScope.EVENTS_PER_GAME, retry_ms, player_id=player_id)

    async def _catch_up_after_conflict(self, refused: Cursor) -> None:
        if self.cursor == refused:  # else what came first has been delivered meanwhile
            await self.catch_up()
        if self.cursor == refused:
            if not await self._log.read(self.game_id):  # deleted and made anew: nobody can go on with the game
                self.close_all(Close.NO_SUCH_GAME, "the game is gone from the event log")
            raise LogUnavailable(f"game {self.game_id}: the log refuses what follows {refused} but holds no more")

    # ---------------------------------------------------------------- events

    def deliver(self, commit: Commit) -> None:
        """Apply a commit of the log; one seen already changes nothing, one too early asks for the missing."""
        seq, before = (self.state.seq, self.state.phase) if self.state else (0, None)
        if commit.events[-1].seq <= seq:
            self.cursor = max(self.cursor, commit.cursor)  # of a game that has ended the log may be written anew
            return
        self._accepted_at = _read_at(commit, self._now()) if commit.accepted_at is None else commit.accepted_at
        if commit.events[0].seq > seq + 1:
            self._context.fell_behind(self)
            return
        if len(commit.events) > 1:
            for member in self.members.values():
                with self._bulkhead:
                    member.cork()
        for event in commit.events:
            if event.seq > seq:
                self._apply(event)
        self.cursor = commit.cursor
        if self._live:
            self._observer.applied(time.time() - self._accepted_at)
            self._context.changed(self, before)

    def _apply(self, event: GameEvent) -> None:
        self.state = evolve(self.state, event)
        if not self._live:  # a replay has no effects; it is encoded should anybody resume from before it
            self._history.append(event)
            return
        encoded = _frame_of(event)
        self._history.append(encoded)
        self._fan_out(event, *encoded)

    def _fan_out(self, event: GameEvent, type: str, frame: Frame) -> None:
        attributes: dict[str, Value] = {"game.id": self.game_id, "event.type": type, "event.seq": event.seq}
        with self._tracer.continued(SpanName.FAN_OUT, event.traceparent, attributes) as span:
            recipients, written = self._put_to_all(event.seq, type, frame, span)
            if span is not None:
                span.note({"recipients": recipients})
        trace_id = span.trace_id if span else None
        self._observer.fanned_out(type, frame.size, recipients, written, time.time() - self._accepted_at, trace_id)
        with self._bulkhead:
            self._have_effects(event)

    def _put_to_all(self, seq: int, type: str, frame: Frame, span: Span | None) -> tuple[int, int]:
        """Send to all members; return to how many, and to how many of them at once."""
        written = waiting = 0
        for session in tuple(self.members.values()):
            try:
                if span is None and session.outbox.put_now(frame):
                    written += 1
                    continue
                put = session.put_event(seq, type, frame, span)
                written += put is Put.WRITTEN
                waiting += put is Put.WAITS
            except Exception as error:  # noqa: BLE001 - one member's fault must not reach the others
                session.fail(error)
        return written + waiting, written

    def _have_effects(self, event: GameEvent) -> None:
        if isinstance(event, CodeSubmitted):
            if self._roster.of(event.player_id) or not self._log.shared:  # else it is judged where it was handed in
                self.request_verdict(event)
        elif isinstance(event, SubmissionJudged):
            data = public_result(event)
            self._roster.send(event.player_id, data.type, text_frame(encode_message(data)))
        elif isinstance(event, (PlayerJoined, PlayerReconnected)):
            self._roster.joined(event)
        elif isinstance(event, PlayerLeft) and event.reason is LeaveReason.REMOVED:
            self._roster.close_player(event.player_id, Close.FORBIDDEN)
        elif isinstance(event, GameFinished):
            self._progress.clear()

    def request_verdict(self, submitted: CodeSubmitted) -> None:
        """Have a submission judged, if it still is to be."""
        if submitted.player_id in self.known.pending:
            self._context.enqueue(self.game_id, self.known.problem, submitted)

    # ---------------------------------------------------------------- members

    def replacements(self, player_id: str, now: int) -> list[int]:
        """Return when connections replaced others of a player that were up, and would do so now (epoch ms).

        Empty where one more would replace none.
        """
        player = self.known.players.get(player_id)
        is_up = player is not None and player.connection_id is not None
        rivals = is_up + sum(not session.has_joined for session in self._roster.of(player_id))
        past = player.replaced_at if player and rivals else ()
        return [*past, *[now] * (rivals - 1)]

    def resume_point(self, last_seq: int | None) -> tuple[int, ResumeOutcome | None]:
        """Find from which seq a connection is replayed, and how that is called: all of it cannot be, if N is ahead."""
        seq = self.known.seq
        if last_seq is None:
            return seq, None
        if last_seq > seq:
            return seq, ResumeOutcome.SNAPSHOT
        return last_seq, ResumeOutcome.RESUMED

    def enter(self, session: Session, name: str, last_seq: int | None, welcome: Welcome) -> None:
        """Make `session` a member: ``welcome``, then what it missed, then live frames; nothing in between.

        One turn of the event loop, so no frame is lost or doubled.
        """
        if self.known.phase is Phase.FINISHED:  # nobody joins any more: the log says nothing of who comes
            for older in self._roster.of(session.player_id):
                self._roster.replace(older)
        start, resume = self.resume_point(last_seq)
        session.stats.resume = resume
        if resume is not None:
            self._observer.resumed(resume)
        resumed = resume is ResumeOutcome.RESUMED
        session.outbox.send(welcome.message(session, name, self.known, resumed, self._now()))
        for index in range(start, len(self._history)):
            type, frame = _frame_at(self._history, index)
            if not session.outbox.send_frame(type, frame):
                break  # it resumes from what it has got
        if session.ended is None:
            self.members[session.connection_id] = session

    def exit(self, session: Session) -> None:
        """Take out a session that is no member any more."""
        self.members.pop(session.connection_id, None)

    def show_progress(self, player_id: str, percent: float | None, lines: int | None) -> None:
        """Show the other members, on whichever replica, how far a player is, while the race runs."""
        if self.known.phase is Phase.RUNNING:
            self._progress.show(PlayerProgress(player_id=player_id, percent=percent, lines=lines), here=True)

    def _receive_progress(self, payload: bytes) -> None:
        """Show a player's progress that another replica sent, under the bounds of what is said here."""
        try:
            progress = decode_progress(payload)
        except MALFORMED as error:
            self._context.report("progress of another replica", error)
            return
        if self._live and self.known.phase is Phase.RUNNING and progress.player_id in self.known.players:
            self._progress.show(progress, here=False)


def _frame_of(event: GameEvent) -> tuple[str, Frame]:
    """Return the type and the frame of the event's message, encoded once for all members."""
    data = public_event(event)
    return data.type, text_frame(encode_event(data, event.seq))


def _frame_at(history: list[tuple[str, Frame] | GameEvent], index: int) -> tuple[str, Frame]:
    """Return the type and the frame of the event of seq `index` + 1, which is encoded when it is first asked for."""
    one = history[index]
    if not isinstance(one, tuple):
        one = history[index] = _frame_of(one)
    return one


def _read_at(commit: Commit, now: int) -> float:
    """Return when a commit that is read again was taken: the games' clock's time stamp from just before."""
    return time.time() - (now - commit.events[-1].at) / 1000
