"""The recorder: the observer that writes metrics and logs."""

import time
import traceback
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any, Final

from app.game import (
    CountdownCancelled,
    CountdownStarted,
    GameCreated,
    GameEvent,
    GameFinished,
    GameStarted,
    Phase,
    PlayerJoined,
    PlayerReady,
    SubmissionJudged,
    Verdict,
)
from app.protocol import Close
from app.sandbox.messages import Stop
from app.telemetry.catalogue import LATENCY_BUCKETS, Events, LogEvent, Metrics
from app.telemetry.metrics import MetricStore
from app.telemetry.observer import Closed, Limited, Live, Opened, Refusal
from app.telemetry.repeats import Repeats
from app.telemetry.tracer import NullTracer, Tracer
from app.vocabulary import (
    AppendOutcome,
    AuthKind,
    DrainPhase,
    ErrorCode,
    FunnelStep,
    HandshakeOutcome,
    HttpRejection,
    KeyRefresh,
    LimitMode,
    LogOp,
    LogTrouble,
    MessageOutcome,
    OverloadCause,
    PingOutcome,
    Reader,
    ResumeOutcome,
    SpanExport,
)

_OK: Final = MessageOutcome.OK


def write_event(logger: Any, event: LogEvent, **fields: object) -> None:  # noqa: ANN401 - see `Recorder`
    """Write a log line of the catalogue, where there is a logger; fields that are None are left out.

    Raises:
        ValueError: a field that the catalogue does not list.
    """
    unknown = fields.keys() - event.fields
    if unknown:
        raise ValueError(f"{event.name}: the catalogue does not list {sorted(unknown)}")
    if logger is not None:
        present = {key: value for key, value in fields.items() if value is not None}
        getattr(logger, event.level)(event.name, **present)


class Recorder:
    """See the module. `logger` may be any structlog logger; None records metrics only."""

    def __init__(self, store: MetricStore, logger: Any = None, repeats_per_s: int = 20) -> None:  # noqa: ANN401 - structlog's loggers have no common type
        self.store = store
        self.tracer: Tracer = NullTracer()
        self._logger = logger
        # Only what is needed with every message is kept here: attributes are looked up faster where they are few.
        self._received = store.sized("in", Metrics.MESSAGES, Metrics.MESSAGE_BYTES)
        self._sent = store.sized("out", Metrics.MESSAGES, Metrics.MESSAGE_BYTES)
        self._message_durations = store.histogram(Metrics.MESSAGE_DURATION).rows
        self._answered = {type: cells for (type, outcome), cells in self._message_durations.items() if outcome == _OK}
        self._keys_fetched: bool | None = None
        self._overloaded: frozenset[OverloadCause] = frozenset()
        self._repeats = Repeats(repeats_per_s)
        store.report = self.fault

    def live(self, read: Callable[[], Live], *, version: str, replica: str, config_hash: str) -> None:
        """Have the gauges of live things read from `read`, once a scrape."""
        store = self.store
        live = read()

        def look() -> None:
            nonlocal live
            live = read()

        store.before_scrape(look)
        store.gauge(Metrics.SERIES, lambda: {(): store.series})
        store.gauge(Metrics.SERIES_LIMIT, lambda: {(): store.max_series})
        store.folding(store.counter(Metrics.SERIES_OVERFLOWS), lambda: {(): store.overflows})
        store.gauge(Metrics.CONFIG_INFO, lambda: {(config_hash,): 1})
        store.gauge(Metrics.OUTBOX_FRAMES, lambda: {(): live.outbox_frames})
        store.gauge(Metrics.OUTBOX_BYTES, lambda: {(): live.outbox_bytes})
        store.gauge(
            Metrics.OUTBOX_CONNECTIONS, lambda: {(depth,): count for depth, count in live.outbox_depths.items()}
        )
        store.gauge(Metrics.BUILD_INFO, lambda: {(version, replica): 1})
        started = time.time()
        store.gauge(Metrics.START_TIME, lambda: {(): started})
        store.gauge(Metrics.READY, lambda: {(): all(live.checks.values())})
        store.gauge(Metrics.DRAINING, lambda: {(): live.draining})
        store.gauge(Metrics.CONNECTIONS, lambda: {(): live.connections})
        store.gauge(Metrics.CONNECTIONS_LIMIT, lambda: {(): live.max_connections})
        store.gauge(Metrics.GAME_OVERDUE, lambda: {(): live.game_overdue_s})
        store.gauge(Metrics.ROOMS, lambda: {(): live.rooms})
        store.gauge(Metrics.GAMES, lambda: {(str(phase),): count for phase, count in live.games.items()})
        store.gauge(Metrics.PLAYERS, lambda: {(str(one),): count for one, count in live.players.items()})
        store.gauge(Metrics.OPEN_FDS, lambda: {(): live.open_fds})
        store.gauge(Metrics.MAX_FDS, lambda: {(): live.max_fds})
        store.gauge(Metrics.JUDGE_QUEUE, lambda: {(): live.judge_queue})
        store.gauge(Metrics.CLOCK_OFFSET, lambda: {(): live.event_log_clock_offset_s})
        store.gauge(Metrics.LOG_BYTES, lambda: {(): live.event_log_bytes})
        store.gauge(Metrics.LOG_LIMIT, lambda: {(): live.event_log_limit_bytes})
        store.gauge(Metrics.REPLICAS, lambda: {(): live.replicas})
        store.gauge(Metrics.LOG_CONNECTED, lambda: {(): live.event_log_connected})
        store.gauge(Metrics.SIGNING_KEYS, lambda: {(): live.signing_keys})
        store.gauge(Metrics.SIGNING_KEYS_AGE, lambda: {(): live.signing_keys_age_s})
        store.gauge(Metrics.BACKGROUND_TASKS, lambda: {(): live.background_tasks})
        store.gauge(Metrics.MEMORY, lambda: {(): live.memory_bytes})
        store.gauge(Metrics.OVERLOADED, lambda: {(cause,): cause in self._overloaded for cause in OverloadCause})

    def knows_problems(self, ids: Iterable[str]) -> None:
        """These are the problems that games can be about."""
        self.store.configure(Metrics.PROBLEM_SUBMISSIONS, ((id, verdict) for id in ids for verdict in Verdict))

    def traces_with(self, tracer: Tracer, counts: Callable[[], dict[SpanExport, int]]) -> None:
        """Have messages traced; `counts` are of spans."""
        self.tracer = tracer
        self.store.folding(
            self.store.counter(Metrics.SPANS), lambda: {(outcome,): count for outcome, count in counts().items()}
        )

    def traces_exported(self, works: bool) -> None:
        """The collector takes no spans any more, or takes them again."""
        self.log(Events.TRACES_RESTORED if works else Events.TRACES_LOST)

    def log(self, event: LogEvent, **fields: object) -> None:
        """Write a log line of the catalogue.

        Raises:
            ValueError: a field that the catalogue does not list.
        """
        write_event(self._logger, event, **fields)

    def _log_repeated(self, event: LogEvent, kind: str, **fields: object) -> None:
        """Write a line that others can cause as often as they like: of one kind only so many a second."""
        suppressed = self._repeats.suppressed(f"{event.name} {kind}")
        if suppressed is not None:
            self.log(event, suppressed=suppressed or None, **fields)

    # ---------------------------------------------------------------- Observer

    def handshake(self, outcome: HandshakeOutcome, duration_s: float, trace_id: str | None = None) -> None:
        """See `Observer.handshake`."""
        self.store.counter(Metrics.HANDSHAKES).inc((outcome,))
        self.store.histogram(Metrics.HANDSHAKE_DURATION).observe(duration_s, (), trace_id)

    def refused(self, refusal: Refusal) -> None:
        """See `Observer.refused`."""
        self._log_repeated(
            Events.WS_REFUSED,
            refusal.outcome,
            outcome=refusal.outcome,
            status=refusal.status,
            detail=refusal.detail,
            client=refusal.client,
            game_id=refusal.game_id,
            player_id=refusal.player_id,
        )

    def opened(self, opened: Opened) -> None:
        """See `Observer.opened`."""
        self.log(
            Events.WS_OPENED,
            connection_id=opened.connection_id,
            game_id=opened.game_id,
            player_id=opened.player_id,
            client=opened.client,
            resume=opened.resume,
        )

    def closed(self, closed: Closed) -> None:
        """See `Observer.closed`."""
        row = closed.row
        self.store.counter(Metrics.CLOSES).inc((str(row.code), row.reason, closed.initiator))
        self.store.histogram(Metrics.CONNECTION_DURATION).observe(closed.duration_s)
        if row is Close.SLOW_CONSUMER:
            self.store.counter(Metrics.SLOW_CONSUMER_CLOSES).inc()
        self.log(
            Events.WS_CLOSED,
            connection_id=closed.connection_id,
            game_id=closed.game_id,
            player_id=closed.player_id,
            code=row.code,
            reason=row.reason,
            received_code=closed.received_code or None,
            initiator=closed.initiator,
            duration_s=round(closed.duration_s, 3),
            messages_in=closed.messages_in,
            messages_out=closed.messages_out,
            bytes_in=closed.bytes_in,
            bytes_out=closed.bytes_out,
            errors=closed.errors,
            rtt_p50_s=closed.rtt_p50_s,
            rtt_p95_s=closed.rtt_p95_s,
            deepest_outbox_bytes=closed.deepest_outbox_bytes,
            resume=closed.resume,
        )

    def http_rejected(self, reason: HttpRejection, status: int | None, detail: str, client: str) -> None:
        """See `Observer.http_rejected`."""
        self.store.counter(Metrics.HTTP_REJECTED).inc((reason,))
        self._log_repeated(Events.HTTP_REJECTED, reason, reason=reason, status=status, detail=detail, client=client)

    def authenticated(self, connection_id: str, player_id: str, *, refresh: bool) -> None:
        """See `Observer.authenticated`."""
        kind = AuthKind.REFRESH if refresh else AuthKind.LOGIN
        self.store.counter(Metrics.LOGINS).inc((kind,))
        self.log(Events.WS_AUTHENTICATED, connection_id=connection_id, player_id=player_id, kind=kind)

    def resumed(self, outcome: ResumeOutcome) -> None:
        """See `Observer.resumed`."""
        self.store.counter(Metrics.RESUMES).inc((outcome,))

    def limited(self, limited: Limited) -> None:
        """See `Observer.limited`."""
        mode = LimitMode.ENFORCED if limited.enforced else LimitMode.DRY_RUN
        self.store.counter(Metrics.LIMITED).inc((limited.scope, mode))
        self._log_repeated(
            Events.LIMIT_EXCEEDED,
            limited.scope,
            scope=limited.scope,
            enforced=limited.enforced,
            retry_after_ms=limited.retry_after_ms or None,
            client=limited.client,
            player_id=limited.player_id,
            connection_id=limited.connection_id,
        )

    def overload(self, causes: frozenset[OverloadCause]) -> None:
        """See `Observer.overload`."""
        self._overloaded = causes
        if causes:
            self.log(Events.APP_OVERLOADED, causes=sorted(causes))
        else:
            self.log(Events.APP_RELIEVED)

    def loop_lag(self, lag_s: float) -> None:
        """See `Observer.loop_lag`."""
        self.store.histogram(Metrics.LOOP_LAG).observe(lag_s)

    def shed(self, count: int) -> None:
        """See `Observer.shed`."""
        self.store.counter(Metrics.SHED).inc(by=count)
        self.log(Events.WS_SHED, connections=count)

    def signing_keys(self, outcome: KeyRefresh, detail: str) -> None:
        """See `Observer.signing_keys`."""
        self.store.counter(Metrics.KEY_FETCHES).inc((outcome,))
        fetched = outcome is KeyRefresh.FETCHED
        if fetched is self._keys_fetched:
            return  # only changes are told; the counter has them all
        self._keys_fetched = fetched
        if fetched:
            self.log(Events.KEYS_FETCHED, detail=detail)
        else:
            self.log(Events.KEYS_FAILED, error=detail)

    def ticket(self) -> None:
        """See `Observer.ticket`."""
        self.store.counter(Metrics.TICKETS).inc()

    def draining(self, phase: DrainPhase, connections: int, **details: float) -> None:
        """See `Observer.draining`."""
        self.log(Events.APP_DRAIN_PROGRESSED, phase=phase, connections=connections, **details)

    def received(self, type: str, size: int | None) -> None:
        """See `Observer.received`."""
        if size is None:
            self.store.counter(Metrics.MESSAGES).inc(("in", type))
        else:
            self._received[type][size] += 1

    def handled(self, type: str, outcome: MessageOutcome, duration_s: float, trace_id: str | None = None) -> None:
        """See `Observer.handled`."""
        # once a message: `Histogram.observe` without the call, and without making a row of what is usual
        cells = self._answered[type] if outcome is _OK else self._message_durations[type, outcome]
        cells[bisect_left(LATENCY_BUCKETS, duration_s)] += 1
        cells[-1] += duration_s
        if trace_id is not None:
            self.store.histogram(Metrics.MESSAGE_DURATION).exemplify(duration_s, (type, outcome), trace_id)

    def rejected(self, code: ErrorCode, type: str, connection_id: str, size: int, digest: str) -> None:
        """See `Observer.rejected`."""
        self.store.counter(Metrics.ERRORS).inc((code,))
        self._log_repeated(
            Events.MESSAGE_REJECTED,
            code,
            code=code,
            type=type,
            connection_id=connection_id,
            size_bytes=size or None,
            sha256_prefix=digest or None,
        )

    def sent(self, type: str, count: int, size: int) -> None:
        """See `Observer.sent`."""
        self._sent[type][size] += count

    def batch(self, size: int) -> None:
        """See `Observer.batch`."""
        self.store.histogram(Metrics.BATCH_SIZE).observe(size)

    def fanned_out(self, recipients: int, written: int, since_accepted_s: float, trace_id: str | None = None) -> None:
        """See `Observer.fanned_out`."""
        self.store.histogram(Metrics.FANOUT_RECIPIENTS).observe(recipients)
        self.store.histogram(Metrics.EVENT_DELIVERY).observe_many(
            max(0.0, since_accepted_s), written, (Reader.PROMPT,), trace_id
        )

    def outbox_wait(self, waited_s: float, event: bool, trace_id: str | None = None) -> None:
        """See `Observer.outbox_wait`."""
        self.store.histogram(Metrics.OUTBOX_WAIT).observe(waited_s, (), trace_id)
        if event:
            self.store.histogram(Metrics.EVENT_DELIVERY).observe(waited_s, (Reader.SLOW,), trace_id)

    def replayed(self, events: int) -> None:
        """See `Observer.replayed`."""
        self.store.histogram(Metrics.REPLAYED).observe(events)

    def game_lasted(self, duration_s: float) -> None:
        """See `Observer.game_lasted`."""
        self.store.histogram(Metrics.GAME_DURATION).observe(duration_s)

    def gc_pause(self, pause_s: float) -> None:
        """See `Observer.gc_pause`."""
        self.store.histogram(Metrics.GC_PAUSE).observe(pause_s)

    def dropped(self, type: str, count: int) -> None:
        """See `Observer.dropped`."""
        self.store.counter(Metrics.DROPPED).inc((type,), count)

    def coalesced(self, type: str, count: int) -> None:
        """See `Observer.coalesced`."""
        self.store.counter(Metrics.COALESCED).inc((type,), count)

    def ping(self, outcome: PingOutcome, rtt_s: float) -> None:
        """See `Observer.ping`."""
        self.store.counter(Metrics.PINGS).inc((outcome,))
        if outcome is PingOutcome.ANSWERED:
            self.store.histogram(Metrics.PING_RTT).observe(rtt_s)

    def client_rtt(self, rtt_s: float) -> None:
        """See `Observer.client_rtt`."""
        self.store.histogram(Metrics.CLIENT_RTT).observe(rtt_s)

    def append(self, outcome: AppendOutcome, duration_s: float, trace_id: str | None = None) -> None:
        """See `Observer.append`."""
        if outcome is AppendOutcome.CONFLICT:
            self.store.counter(Metrics.CONFLICTS).inc()
        self.store.histogram(Metrics.APPEND_DURATION).observe(duration_s, (outcome,), trace_id)

    def event_log_failed(self, op: LogOp, trouble: LogTrouble) -> None:
        """See `Observer.event_log_failed`."""
        self.store.counter(Metrics.LOG_ERRORS).inc((op,))
        self.store.counter(Metrics.LOG_TROUBLES).inc((trouble,))

    def event_log_troubled(self, trouble: LogTrouble, detail: str) -> None:
        """See `Observer.event_log_troubled`."""
        self.store.counter(Metrics.LOG_TROUBLES).inc((trouble,))
        self._log_repeated(Events.EVENT_LOG_TROUBLED, trouble, trouble=trouble, error=detail)

    def log_gap(self) -> None:
        """See `Observer.log_gap`."""
        self.store.counter(Metrics.LOG_GAPS).inc()

    def log_untold(self) -> None:
        """See `Observer.log_untold`."""
        self.store.counter(Metrics.LOG_UNTOLD).inc()

    def log_slow(self, duration_s: float) -> None:
        """See `Observer.log_slow`."""
        self._log_repeated(Events.EVENT_LOG_SLOWED, "", duration_s=round(duration_s, 3))

    def clock_skewed(self, offset_s: float) -> None:
        """See `Observer.clock_skewed`."""
        self.log(Events.CLOCK_SKEWED, offset_s=round(offset_s, 3))

    def applied(self, lag_s: float) -> None:
        """See `Observer.applied`."""
        self.store.histogram(Metrics.LOG_LAG).observe(max(0.0, lag_s))
        if lag_s < 0:
            self.store.counter(Metrics.CLOCK_SKEWS).inc()

    def event_log(self, reachable: bool, fault: str) -> None:
        """See `Observer.event_log`."""
        if reachable:
            self.log(Events.EVENT_LOG_RESTORED)
        else:
            self.log(Events.EVENT_LOG_LOST, error=fault)

    def event(self, game_id: str, event: GameEvent) -> None:
        """See `Observer.event`."""
        if isinstance(event, GameCreated):
            self.store.counter(Metrics.TRANSITIONS).inc((Phase.WAITING,))
            self.log(Events.GAME_CREATED, game_id=game_id, player_id=event.host_id, problem=event.problem.id)
        elif isinstance(event, CountdownStarted):
            self.store.counter(Metrics.TRANSITIONS).inc((Phase.COUNTDOWN,))
        elif isinstance(event, CountdownCancelled):
            self.store.counter(Metrics.TRANSITIONS).inc((Phase.WAITING,))
        elif isinstance(event, PlayerJoined):
            self.store.counter(Metrics.FUNNEL).inc((FunnelStep.JOINED,))
        elif isinstance(event, PlayerReady):
            self.store.counter(Metrics.FUNNEL).inc((FunnelStep.READY,), int(event.ready))
        elif isinstance(event, GameStarted):
            self.store.counter(Metrics.TRANSITIONS).inc((Phase.RUNNING,))
            self.store.counter(Metrics.FUNNEL).inc((FunnelStep.STARTED,), len(event.players))
            self.log(Events.GAME_STARTED, game_id=game_id, players=len(event.players), problem=event.problem.id)
        elif isinstance(event, SubmissionJudged):
            self._judged_event(game_id, event)
        elif isinstance(event, GameFinished):
            self.store.counter(Metrics.TRANSITIONS).inc((Phase.FINISHED,))
            self.store.counter(Metrics.FUNNEL).inc((FunnelStep.FINISHED,), len(event.ranking))
            self.log(
                Events.GAME_FINISHED,
                game_id=game_id,
                reason=event.reason,
                winner=event.winner,
                players=len(event.ranking),
            )

    def _judged_event(self, game_id: str, event: SubmissionJudged) -> None:
        self.store.counter(Metrics.SUBMISSIONS).inc((event.verdict,))
        self.log(
            Events.SUBMISSION_JUDGED,
            game_id=game_id,
            player_id=event.player_id,
            attempt=event.attempt,
            verdict=event.verdict,
            tests_passed=event.tests_passed,
            tests_total=event.tests_total,
            duration_s=event.duration_ms / 1000,
        )

    def judged(self, problem: str, verdict: Verdict, duration_s: float, trace_id: str | None = None) -> None:
        """See `Observer.judged`."""
        self.store.histogram(Metrics.JUDGE_DURATION).observe(duration_s, (verdict,), trace_id)
        self.store.counter(Metrics.PROBLEM_SUBMISSIONS).inc((problem, verdict))

    def judge_queue_full(self) -> None:
        """See `Observer.judge_queue_full`."""
        self.store.counter(Metrics.JUDGE_QUEUE_FULL).inc()
        self.log(Events.JUDGE_QUEUE_FULL)

    def judge_stopped(self, cause: Stop, *, worker_ended: bool) -> None:
        """See `Observer.judge_stopped`."""
        self.store.counter(Metrics.JUDGE_STOPS).inc((cause,))
        if worker_ended:
            self.log(Events.JUDGE_WORKER_ENDED, cause=cause)

    def fault(self, where: str, error: BaseException, game_id: str | None = None) -> None:
        """See `Observer.fault`."""
        self.store.counter(Metrics.FAULTS).inc()
        self._log_repeated(
            Events.APP_FAULT,
            where,
            where=where,
            error=f"{type(error).__name__}: {error}",
            exception="".join(traceback.format_exception(error)),
            game_id=game_id,
        )
