"""The observer: the few points at which the service is measured, as one typed interface.

The service calls it and knows nothing else: no metric name, no logger, no vendor.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.game import GameEvent, Verdict
from app.protocol import CloseRow
from app.sandbox.messages import Stop
from app.telemetry.tracer import Tracer
from app.vocabulary import (
    AppendOutcome,
    DrainPhase,
    ErrorCode,
    HandshakeOutcome,
    HttpRejection,
    Initiator,
    KeyRefresh,
    LimitScope,
    LogOp,
    LogTrouble,
    MessageOutcome,
    OverloadCause,
    PingOutcome,
    ResumeOutcome,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An attempt to connect that was refused; `detail` holds no token and no raw input."""

    outcome: HandshakeOutcome
    status: int
    detail: str
    client: str
    game_id: str | None
    player_id: str | None


@dataclass(frozen=True, slots=True)
class Limited:
    """A limit that was exceeded; where it is not `enforced` (dry run), nothing was refused."""

    scope: LimitScope
    enforced: bool
    retry_after_ms: int
    client: str | None = None
    player_id: str | None = None
    connection_id: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection that came up; without a player where the first message has to bring the token."""

    connection_id: str
    game_id: str
    player_id: str | None
    client: str
    resume: ResumeOutcome | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """The whole life of a connection, in one record."""

    connection_id: str
    game_id: str
    player_id: str | None
    row: CloseRow
    received_code: int
    initiator: Initiator
    duration_s: float
    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int
    errors: int
    rtt_p50_s: float | None
    rtt_p95_s: float | None
    deepest_outbox_bytes: int
    resume: ResumeOutcome | None


class ConnectionsObserver:
    """Sees what happens to connections, and before there is one."""

    def handshake(self, outcome: HandshakeOutcome, duration_s: float, trace_id: str | None = None) -> None:
        """An attempt to connect was answered."""

    def refused(self, refusal: Refusal) -> None:
        """An attempt to connect was refused before the upgrade."""

    def opened(self, opened: Opened) -> None:
        """A connection came up."""

    def closed(self, closed: Closed) -> None:
        """A connection ended, by whomever."""

    def resumed(self, outcome: ResumeOutcome) -> None:
        """A connection came with ``last_seq``."""

    def http_rejected(self, reason: HttpRejection, status: int | None, detail: str, client: str) -> None:
        """A request was refused before it reached the application; no `status`: the connection was cut."""

    def limited(self, limited: Limited) -> None:
        """A limit was exceeded."""

    def authenticated(self, connection_id: str, player_id: str, *, refresh: bool) -> None:
        """A token came in a message: the first one of a connection, or (`refresh`) a fresh one."""

    def ticket(self) -> None:
        """A ticket was made."""

    def signing_keys(self, outcome: KeyRefresh, detail: str) -> None:
        """The signing keys were fetched, or not."""

    def ping(self, outcome: PingOutcome, rtt_s: float) -> None:
        """A protocol ping ended; `rtt_s` counts where it was answered."""

    def client_rtt(self, rtt_s: float) -> None:
        """A client told the round trip it had measured."""

    def shed(self, count: int) -> None:
        """Connections were ended because memory ran short."""


class MessagesObserver:
    """Sees what comes in, what goes out, and how long it waits."""

    def received(self, type: str, size: int) -> None:
        """A message of `size` payload bytes came in."""

    def batch(self, types: Sequence[str]) -> None:
        """A batch of messages of these types came in, whose bytes are counted."""

    def handled(self, type: str, outcome: MessageOutcome, duration_s: float, trace_id: str | None = None) -> None:
        """A message was answered, `duration_s` after it came in."""

    def rejected(self, code: ErrorCode, type: str, connection_id: str, size: int, digest: str) -> None:
        """An ``error`` was sent; `digest` names a malformed frame without showing it."""

    def sent(self, type: str, count: int, size: int) -> None:
        """One message of `size` payload bytes was put into `count` outboxes."""

    def fanned_out(
        self, type: str, size: int, recipients: int, written: int, since_accepted_s: float, trace_id: str | None = None
    ) -> None:
        """A durable event of `size` payload bytes was put into the outboxes of so many members.

        To some it was written at once, so long after the log took it.
        """

    def outbox_wait(self, waited_s: float, event: bool, trace_id: str | None = None) -> None:
        """A frame was written that had to wait; `event`: it is a durable event."""

    def skipped(self, type: str, replaced: int, dropped: int) -> None:
        """Droppable messages were not sent, counted for each receiver.

        Some were replaced by newer ones before they were written; the others dropped, as the receiver reads too slowly
        or the race has ended.
        """


class GamesObserver:
    """Sees games, and the judge."""

    def event(self, game_id: str, event: GameEvent) -> None:
        """This replica appended an event."""

    def game_lasted(self, duration_s: float) -> None:
        """A race ended, so long after its start."""

    def judged(self, problem: str, verdict: Verdict, duration_s: float, trace_id: str | None = None) -> None:
        """The judge answered."""

    def judge_queue_full(self) -> None:
        """A submission has to wait for the next sweep because the queue is full."""

    def judge_stopped(self, cause: Stop, *, worker_ended: bool) -> None:
        """A run was cut short; `worker_ended`: its worker had to be replaced, or was found dead."""


class EventLogObserver:
    """Sees the event log."""

    def append(self, outcome: AppendOutcome, duration_s: float, trace_id: str | None = None) -> None:
        """The event log answered an append."""

    def event_log(self, reachable: bool, fault: str) -> None:
        """The event log was lost, or takes appends again."""

    def event_log_failed(self, op: LogOp, trouble: LogTrouble) -> None:
        """The event log did not do what it was asked."""

    def event_log_troubled(self, trouble: LogTrouble, detail: str) -> None:
        """Something is wrong with the event log, though it was not asked for anything."""

    def log_gap(self) -> None:
        """A game's commits were missed, or are late: they are read again."""

    def log_untold(self) -> None:
        """Progress, or the like, could not be told to other replicas."""

    def clock_skewed(self, offset_s: float) -> None:
        """The event log's clock is so far ahead of this replica's."""

    def applied(self, lag_s: float) -> None:
        """A commit was applied here, so long after the log took it; negative where clocks differ."""

    def replayed(self, events: int) -> None:
        """A game of so many events was loaded from the log."""


class RuntimeObserver:
    """Sees the process."""

    def overload(self, causes: frozenset[OverloadCause]) -> None:
        """The service became overloaded, or (none) is so no more."""

    def loop_lag(self, lag_s: float) -> None:
        """The event loop was so late for an appointment."""

    def gc_pause(self, pause_s: float) -> None:
        """The garbage collector held the process up."""

    def draining(self, phase: DrainPhase, connections: int, **details: float) -> None:
        """The drain has come to a phase; `details` are of the phase (``app.drain_progressed``)."""

    def fault(self, where: str, error: BaseException, game_id: str | None = None) -> None:
        """Something went wrong that nobody else answers for, with one game where there is `game_id`."""


class Observer(ConnectionsObserver, MessagesObserver, GamesObserver, EventLogObserver, RuntimeObserver):
    """Sees everything and does nothing; the recorder overrides it.

    Where there is a `trace_id`, the measurement is an example of that trace.
    """

    tracer: Tracer = Tracer()
