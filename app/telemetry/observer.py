"""The observer: the few points at which the service is measured, as one typed interface.

The service calls it and knows nothing else: no metric name, no logger, no vendor. Every part is handed one observer,
which has the methods of all areas.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct

from app.game import GameEvent, Verdict
from app.protocol import CloseRow, Hello
from app.telemetry.tracer import Handshake, Link, Span, Tracer
from app.vocabulary import (
    ActionOutcome,
    AppendOutcome,
    ClientClass,
    ClientTrouble,
    DrainPhase,
    ErrorCode,
    Handover,
    HandshakeOutcome,
    HttpRejection,
    HttpRoute,
    Initiator,
    KeyRefresh,
    LimitScope,
    LogOp,
    LogTrouble,
    MessageOutcome,
    OperatorAction,
    OverloadCause,
    PingOutcome,
    ResumeOutcome,
    Stop,
)


@dataclass(frozen=True, slots=True)
class Limited:
    """A limit that was exceeded; where it is not `enforced` (dry run), nothing was refused."""

    scope: LimitScope
    enforced: bool
    retry_after_ms: int
    client: str | None = None
    player_id: str | None = None
    connection_id: str | None = None


class Opened(Struct, frozen=True, gc=False):
    """A connection that came up; without a player where the first message has to bring the token.

    `client` is its address, `release` what program it is, `link` the handshake that its traces point at.
    """

    connection_id: str
    game_id: str
    player_id: str | None
    client: str
    resume: ResumeOutcome | None = None
    release: str = ClientClass.NONE
    link: Link | None = None


class Closed(Struct, frozen=True):
    """The whole life of a connection, in one record; `trace_id` is of its handshake's span, where it has one.

    `client` is its address; `said` is how the close was explained to it, empty where nothing could be said.
    """

    connection_id: str
    game_id: str
    player_id: str | None
    client: str
    row: CloseRow
    said: str
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
    messages_discarded: int
    deepest_outbox_bytes: int
    resume: ResumeOutcome | None
    trace_id: str | None
    release: str


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request over HTTP and its answer; without a `status` the client went before it.

    `reason` and `detail` say why it was refused, where it was; they hold no token and no raw input.
    """

    route: HttpRoute
    method: str
    status: int
    duration_s: float
    client: str
    reason: str | None = None
    detail: str | None = None
    game_id: str | None = None
    player_id: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Operated:
    """An operator's action: who did what to whom or what, why, and what came of it, in words too (`detail`)."""

    operator: str
    action: OperatorAction
    subject: str
    reason: str
    outcome: ActionOutcome
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and how long its submission waited, how long it ran, and how long all took, tries again included."""

    verdict: Verdict
    waited_s: float
    ran_s: float
    took_s: float


class MessageTrail(Struct):
    """What is measured of one received message, from its arrival (`time.perf_counter`) to its answer.

    `traceparent` is its client's; `raw` is kept of one that is malformed; `error` is what it is refused with, if it is,
    and `trouble` what its connection is counted for with that, the first time.
    Whoever handles a message adds to this what it needs itself: so there is one object a message.
    """

    arrived: float
    traceparent: str | None = None
    span: Span | None = None
    error: ErrorCode | None = None
    trouble: ClientTrouble | None = None
    raw: bytes = b""


class _Traced:
    """The tracer of an observer, which samples nothing until another takes its place."""

    tracer: Tracer = Tracer()


class ConnectionsObserver(_Traced):
    """What happens to connections, and before there is one."""

    def handshake(self, handshake: Handshake) -> Link | None:  # noqa: ARG002 - the interface's
        """Note how the application answered an attempt to connect; return what the connection's traces link to."""
        return None

    def handshake_refused(self, outcome: HandshakeOutcome, status: int, detail: str, client: str) -> None:
        """Note that the transport refused an attempt to connect, without asking the application."""

    def opened(self, opened: Opened) -> None:
        """Note that a connection came up."""

    def closed(self, closed: Closed) -> None:
        """Note that a connection ended, by whomever."""

    def resumed(self, outcome: ResumeOutcome) -> None:
        """Note how it went with a connection that came with ``last_seq``."""

    def http_rejected(self, reason: HttpRejection, status: int | None, detail: str, client: str) -> None:
        """Note that a request was refused before it reached the application; without `status` it was cut off."""

    def handed_over(self, outcome: Handover) -> None:
        """Note what became of a connection that was accepted by another worker than its game's."""

    def http_request(self, request: HttpRequest) -> None:
        """Note how the application answered a request over HTTP."""

    def limited(self, limited: Limited) -> None:
        """Note that a limit was exceeded."""

    def authenticated(self, connection_id: str, player_id: str, *, refresh: bool) -> None:
        """Note that a message brought a valid token: the first one of a connection, or (`refresh`) a fresh one."""

    def ticket(self) -> None:
        """Count a ticket that was made."""

    def signing_keys(self, outcome: KeyRefresh, detail: str) -> None:
        """Note how a fetch of the signing keys ended."""

    def ping(self, outcome: PingOutcome, rtt_s: float) -> None:
        """Note how a protocol ping ended; `rtt_s` is its round trip, if it was answered."""

    def client_rtt(self, rtt_s: float) -> None:
        """Note the round trip that a client has measured."""

    def hello(self, release: str, hello: Hello) -> None:
        """Note what a client of a release says that it met on its way; it may lie."""


class MessagesObserver(_Traced):
    """What comes in, what goes out, and how long it waits."""

    def received(self, type: str, size: int) -> None:
        """Count a message of `size` payload bytes that came in."""

    def echoed(
        self,
        received: int,
        sent: int,
        rtt_ms: float | None,
        arrived: float,
        traceparent: str | None,
        span: Span | None,
        opened: Opened,
    ) -> None:
        """Note that a ``ping`` was received and answered, at once, by a ``pong``; sizes are of payloads in bytes.

        `rtt_ms` is what its client has measured, the rest what a `MessageTrail` has.
        """

    def batch(self, types: Sequence[str]) -> None:
        """Count the messages of a batch by their types; its bytes are counted as those of one message."""

    def answered(self, type: str, outcome: MessageOutcome, trail: MessageTrail, opened: Opened) -> None:
        """Note that a message has just been answered, with an ``error`` where the trail has one."""

    def sent(self, type: str, count: int, size: int) -> None:
        """Count one message of `size` payload bytes that was written at once to `count` connections."""

    def fanned_out(
        self, type: str, size: int, recipients: int, written: int, since_accepted_s: float, trace_id: str | None = None
    ) -> None:
        """Note that a durable event of `size` payload bytes was put into the outboxes of all `recipients`.

        To `written` of them it was written at once, `since_accepted_s` after the log accepted it.
        """

    def sent_late(self, type: str, size: int, waited_s: float, event: bool, trace_id: str | None = None) -> None:
        """Note that a message was written that had to wait; `event` says whether it is a durable event."""

    def sent_droppable(self, type: str, size: int, sent: int, replaced: int, dropped: int) -> None:
        """Count deliveries of a droppable message of `size` payload bytes, by what became of them.

        Those in `sent` were written at once; the others were `replaced` by newer ones before they were written, or
        `dropped`, as the receiver reads too slowly or the race has ended. What waits is counted when it is written.
        """


class GamesObserver:
    """What happens to games, and in the judge."""

    def event(self, game_id: str, event: GameEvent) -> None:
        """Note an event that this replica has appended."""

    def game_lasted(self, duration_s: float) -> None:
        """Note how long a race took that has ended."""

    def judged(self, problem: str, judged: Judged, trace_id: str | None = None) -> None:
        """Note what the judge answered, and how long that took."""

    def judge_queue_full(self) -> None:
        """Note that a submission has to wait for the next sweep because the queue is full."""

    def judge_stopped(self, cause: Stop, *, worker_ended: bool) -> None:
        """Note that a run was cut short; `worker_ended` says whether its worker was ended too, or found dead."""


class EventLogObserver:
    """What happens to the event log."""

    def append(self, outcome: AppendOutcome, duration_s: float, trace_id: str | None = None) -> None:
        """Note how the event log answered an append, and how long it took."""

    def event_log(self, reachable: bool, fault: str) -> None:
        """Note that the event log was lost, or that it takes appends again."""

    def event_log_failed(self, op: LogOp, trouble: LogTrouble) -> None:
        """Note that the event log did not do what it was asked."""

    def event_log_troubled(self, trouble: LogTrouble, detail: str) -> None:
        """Note that something is wrong with the event log, though it was not asked for anything."""

    def log_gap(self) -> None:
        """Note that a game's commits were missed, or are late: they are read again."""

    def broadcast_dropped(self) -> None:
        """Note that a broadcast to the other replicas, such as progress, was not sent."""

    def clock_skewed(self, offset_s: float) -> None:
        """Note how far the event log's clock is ahead of this replica's."""

    def applied(self, lag_s: float) -> None:
        """Note how long after the log accepted it a commit was applied here; negative where clocks differ."""

    def replayed(self, events: int) -> None:
        """Note that a game of so many events was loaded from the log."""


class RuntimeObserver:
    """What happens to the process."""

    def load(self, lag_s: float, causes: frozenset[OverloadCause], shed: int | None) -> None:
        """Take a reading: how late the event loop was, and for which `causes` new connections are refused.

        `shed` counts the connections that were ended because memory ran short; None where it did not.
        """

    def gc_pause(self, pause_s: float) -> None:
        """Note how long the garbage collector held the process up."""

    def draining(self, phase: DrainPhase, connections: int, **details: float) -> None:
        """Note that the drain has come to a phase; `details` are fields of ``app.drain_progressed``."""

    def certificate(self, ends: str | None, error: str | None) -> None:
        """Note that the certificate was read again: until when it is valid (RFC 3339), or why it cannot be used."""

    def secrets(self, changed: Sequence[str], error: str | None) -> None:
        """Note that files of secrets were read again: the settings that are others now, or why none is used."""

    def operated(self, operated: Operated) -> None:
        """Note what an operator did, and what came of it."""

    def fault(self, where: str, error: BaseException, game_id: str | None = None) -> None:
        """Note a fault that nobody else answers for, of one game where there is a `game_id`."""


class Observer(ConnectionsObserver, MessagesObserver, GamesObserver, EventLogObserver, RuntimeObserver):
    """An observer that does nothing with all it is called with; the recorder overrides it.

    Where there is a `trace_id`, the measurement is an example of that trace.
    """
