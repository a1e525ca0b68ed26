"""The catalogue: every metric, every log event and every span, declared once.

Instruments, documentation, dashboards, alerts and tests are built from it or checked against it: a signal
enters here first. Labels are closed enums; the number of series never depends on what clients do.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import Final

from app.game import Phase, Verdict
from app.protocol import CLOSE_TABLE, RECEIVED_TYPES, SENT_TYPES
from app.sandbox.messages import Stop
from app.telemetry.tracer import MESSAGE_SPANS
from app.vocabulary import (
    AppendOutcome,
    AuthKind,
    CanaryOutcome,
    ErrorCode,
    FunnelStep,
    HandshakeOutcome,
    HttpRejection,
    KeyRefresh,
    LimitMode,
    LimitScope,
    LogOp,
    LogTrouble,
    MessageOutcome,
    OutboxDepth,
    OverloadCause,
    PingOutcome,
    PlayerStanding,
    Reader,
    ResumeOutcome,
    SpanExport,
    SpanName,
)

PREFIX: Final = "code_racer_"
OTHER: Final = "other"
"""The label value of what a family knows no better name for."""


class Kind(StrEnum):
    """The kinds of metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family; `name` is the exposed one, counters end in ``_total``.

    `rows` lists the valid combinations of label values, in the order of `labels`. An open family's first label takes
    values of the configuration too, until MAX_METRIC_SERIES is reached.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ((),)
    buckets: tuple[float, ...] = ()
    is_open: bool = False

    def values(self, label: str) -> set[str]:
        """The values a label can have."""
        position = self.labels.index(label)
        return {row[position] for row in self.rows if row}


def _rows(*values: object) -> tuple[tuple[str, ...], ...]:
    """All combinations of the given values."""
    return tuple(product(*(tuple(map(str, group)) for group in values)))  # type: ignore[call-overload] # groups are iterables of enums


LATENCY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PAUSE_BUCKETS: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5)
SIZE_BUCKETS: Final = (64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0)
COUNT_BUCKETS: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0, 1000.0, 10000.0)
DURATION_BUCKETS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0, 86400.0)
_CLOSE_ROWS: Final = tuple(
    (str(row.code), row.reason, str(initiator)) for row in CLOSE_TABLE for initiator in row.initiators
)
_MESSAGE_ROWS: Final = (
    *(("in", name) for name in RECEIVED_TYPES),
    *(("out", name) for name in SENT_TYPES),
)


class Metrics:
    """All metric families, by name."""

    BUILD_INFO = Metric(
        f"{PREFIX}build_info",
        Kind.GAUGE,
        "Always 1; the labels name version and replica.",
        ("version", "replica"),
    )
    READY = Metric(
        f"{PREFIX}ready", Kind.GAUGE, "1 while /readyz says so: started, not draining, and what READY_GATES names."
    )
    START_TIME = Metric(
        f"{PREFIX}start_time_seconds", Kind.GAUGE, "When the process started, in seconds since the epoch."
    )
    DRAINING = Metric(f"{PREFIX}draining", Kind.GAUGE, "1 while the service is shutting down.")
    CONNECTIONS = Metric(f"{PREFIX}ws_connections", Kind.GAUGE, "Open WebSocket connections.")
    CONNECTIONS_LIMIT = Metric(
        f"{PREFIX}ws_connections_limit", Kind.GAUGE, "The most connections there may be (MAX_CONNECTIONS)."
    )
    HANDSHAKES = Metric(
        f"{PREFIX}ws_handshakes_total",
        Kind.COUNTER,
        "Attempts to connect, by how they ended.",
        ("outcome",),
        _rows(HandshakeOutcome),
    )
    HANDSHAKE_DURATION = Metric(
        f"{PREFIX}ws_handshake_duration_seconds",
        Kind.HISTOGRAM,
        "From the request to its answer.",
        buckets=LATENCY_BUCKETS,
    )
    CONNECTION_DURATION = Metric(
        f"{PREFIX}ws_connection_duration_seconds",
        Kind.HISTOGRAM,
        "How long connections lasted.",
        buckets=DURATION_BUCKETS,
    )
    CLOSES = Metric(
        f"{PREFIX}ws_closes_total",
        Kind.COUNTER,
        "Ended connections, by the rows of the close table and who ended them.",
        ("code", "reason", "initiator"),
        _CLOSE_ROWS,
    )
    PING_RTT = Metric(
        f"{PREFIX}ws_ping_rtt_seconds",
        Kind.HISTOGRAM,
        "Round trip of answered protocol pings, measured by the server.",
        buckets=LATENCY_BUCKETS,
    )
    PINGS = Metric(
        f"{PREFIX}ws_pings_total",
        Kind.COUNTER,
        "Protocol pings, by how they ended.",
        ("outcome",),
        _rows(PingOutcome),
    )
    CLIENT_RTT = Metric(
        f"{PREFIX}ws_client_rtt_seconds",
        Kind.HISTOGRAM,
        "Round trip of the clients' own pings, as they report it.",
        buckets=LATENCY_BUCKETS,
    )
    RESUMES = Metric(
        f"{PREFIX}ws_resumes_total",
        Kind.COUNTER,
        "Reconnects with last_seq: resumed, or answered with a snapshot.",
        ("outcome",),
        _rows(ResumeOutcome),
    )
    MESSAGES = Metric(
        f"{PREFIX}ws_messages_total",
        Kind.COUNTER,
        "Messages received and sent; the items of a batch count one by one beside it.",
        ("direction", "type"),
        _MESSAGE_ROWS,
    )
    MESSAGE_BYTES = Metric(
        f"{PREFIX}ws_message_bytes",
        Kind.HISTOGRAM,
        "Payload bytes of messages received and sent, UTF-8, before framing.",
        ("direction",),
        _rows(("in", "out")),
        SIZE_BUCKETS,
    )
    BATCH_SIZE = Metric(
        f"{PREFIX}ws_batch_size", Kind.HISTOGRAM, "Messages in a received batch.", buckets=COUNT_BUCKETS
    )
    FANOUT_RECIPIENTS = Metric(
        f"{PREFIX}fanout_recipients",
        Kind.HISTOGRAM,
        "Members of this replica that a durable event was put to.",
        buckets=COUNT_BUCKETS,
    )
    EVENT_DELIVERY = Metric(
        f"{PREFIX}event_delivery_seconds",
        Kind.HISTOGRAM,
        "From an event's acceptance by the log to its writing to a member; slow: it waited for the member's socket.",
        ("reader",),
        _rows(Reader),
        LATENCY_BUCKETS,
    )
    OUTBOX_WAIT = Metric(
        f"{PREFIX}ws_outbox_wait_seconds",
        Kind.HISTOGRAM,
        "How long frames waited that could not be written at once.",
        buckets=LATENCY_BUCKETS,
    )
    OUTBOX_FRAMES = Metric(f"{PREFIX}ws_outbox_frames", Kind.GAUGE, "Frames waiting in all outboxes.")
    OUTBOX_BYTES = Metric(f"{PREFIX}ws_outbox_bytes", Kind.GAUGE, "Bytes waiting in all outboxes.")
    OUTBOX_CONNECTIONS = Metric(
        f"{PREFIX}ws_outbox_connections",
        Kind.GAUGE,
        "Connections by how much waits for them.",
        ("depth",),
        _rows(OutboxDepth),
    )
    SLOW_CONSUMER_CLOSES = Metric(
        f"{PREFIX}ws_slow_consumer_closes_total",
        Kind.COUNTER,
        "Connections ended because their outbox was over its limit (4430).",
    )
    MESSAGE_DURATION = Metric(
        f"{PREFIX}ws_message_duration_seconds",
        Kind.HISTOGRAM,
        "From a message's arrival to its answer; submit_code ends when the event log has accepted it.",
        ("type", "outcome"),
        _rows(RECEIVED_TYPES, MessageOutcome),
        LATENCY_BUCKETS,
    )
    ERRORS = Metric(
        f"{PREFIX}ws_errors_total",
        Kind.COUNTER,
        "error messages sent to clients.",
        ("code",),
        _rows(ErrorCode),
    )
    DROPPED = Metric(
        f"{PREFIX}ws_dropped_total",
        Kind.COUNTER,
        "Droppable messages not sent: a member read too slowly, or the race ended first.",
        ("kind",),
        _rows(("player_progress",)),
    )
    COALESCED = Metric(
        f"{PREFIX}ws_coalesced_total",
        Kind.COUNTER,
        "Droppable messages replaced by a newer one of the same player before they were sent to a member.",
        ("kind",),
        _rows(("player_progress",)),
    )
    LIMITED = Metric(
        f"{PREFIX}ws_rate_limited_total",
        Kind.COUNTER,
        "Exceeded limits; in mode dry_run nothing was refused (LIMITS_DRY_RUN).",
        ("scope", "mode"),
        _rows(LimitScope, LimitMode),
    )
    HTTP_REJECTED = Metric(
        f"{PREFIX}http_rejected_total",
        Kind.COUNTER,
        "Requests refused before they reached the application, and answers that nobody took, by what was wrong.",
        ("reason",),
        _rows(HttpRejection),
    )
    LOGINS = Metric(
        f"{PREFIX}ws_message_auths_total",
        Kind.COUNTER,
        "Tokens that came in an auth message and were taken: the first of a connection, or a fresh one.",
        ("kind",),
        _rows(AuthKind),
    )
    TICKETS = Metric(f"{PREFIX}tickets_total", Kind.COUNTER, "Connection tickets made.")
    SIGNING_KEYS = Metric(
        f"{PREFIX}signing_keys", Kind.GAUGE, "Public keys that tokens are verified with; 0 with JWT_JWKS_URL is bad."
    )
    SIGNING_KEYS_AGE = Metric(
        f"{PREFIX}signing_keys_age_seconds", Kind.GAUGE, "Since the public keys were fetched; 0 without JWT_JWKS_URL."
    )
    KEY_FETCHES = Metric(
        f"{PREFIX}signing_key_fetches_total",
        Kind.COUNTER,
        "Fetches of the public keys, by how they ended.",
        ("outcome",),
        _rows(KeyRefresh),
    )
    LOOP_LAG = Metric(
        f"{PREFIX}event_loop_lag_seconds",
        Kind.HISTOGRAM,
        "How late the event loop is for an appointment.",
        buckets=LATENCY_BUCKETS,
    )
    GC_PAUSE = Metric(
        f"{PREFIX}gc_pause_seconds",
        Kind.HISTOGRAM,
        "How long a run of the garbage collector held the process up.",
        buckets=PAUSE_BUCKETS,
    )
    SERIES = Metric(f"{PREFIX}metric_series", Kind.GAUGE, "Series exposed here; the same for as long as this runs.")
    SERIES_LIMIT = Metric(
        f"{PREFIX}metric_series_limit", Kind.GAUGE, "The most series there may be (MAX_METRIC_SERIES)."
    )
    SERIES_OVERFLOWS = Metric(
        f"{PREFIX}metric_series_overflows_total", Kind.COUNTER, "Label values that found the limit reached."
    )
    CONFIG_INFO = Metric(
        f"{PREFIX}config_info", Kind.GAUGE, "Always 1; the label is a hash over all settings but secrets.", ("hash",)
    )
    MEMORY = Metric(f"{PREFIX}memory_bytes", Kind.GAUGE, "Resident memory of the server process.")
    OPEN_FDS = Metric(f"{PREFIX}open_fds", Kind.GAUGE, "Open file descriptors; a connection takes one.")
    MAX_FDS = Metric(f"{PREFIX}max_fds", Kind.GAUGE, "The most file descriptors the process may have (ulimit -n).")
    BACKGROUND_TASKS = Metric(
        f"{PREFIX}background_tasks",
        Kind.GAUGE,
        "Tasks of the hub's own: timers, sweep, judging, disconnects under way.",
    )
    OVERLOADED = Metric(
        f"{PREFIX}overloaded",
        Kind.GAUGE,
        "1 while new connections are refused for this cause.",
        ("cause",),
        _rows(OverloadCause),
    )
    SHED = Metric(f"{PREFIX}ws_shed_total", Kind.COUNTER, "Connections ended because memory ran short.")
    GAMES = Metric(f"{PREFIX}games", Kind.GAUGE, "Games on this replica, by state.", ("state",), _rows(Phase))
    GAME_OVERDUE = Metric(
        f"{PREFIX}game_overdue_seconds",
        Kind.GAUGE,
        "How long the most overdue game is past its deadline (a start, an end, a player's grace) and has not moved on.",
    )
    ROOMS = Metric(f"{PREFIX}rooms", Kind.GAUGE, "Games loaded into memory.")
    PLAYERS = Metric(
        f"{PREFIX}players",
        Kind.GAUGE,
        "Players in the games of this replica: waiting, ready, racing, done (solved it, or the race is over), or lost"
        " (disconnected, in their grace time).",
        ("state",),
        _rows(PlayerStanding),
    )
    TRANSITIONS = Metric(
        f"{PREFIX}game_transitions_total", Kind.COUNTER, "Games that entered a state.", ("to",), _rows(Phase)
    )
    GAME_DURATION = Metric(
        f"{PREFIX}game_duration_seconds", Kind.HISTOGRAM, "From a race's start to its end.", buckets=DURATION_BUCKETS
    )
    FUNNEL = Metric(
        f"{PREFIX}player_steps_total",
        Kind.COUNTER,
        "How far players come: joined a game, got ready, were there at the start and in the final ranking.",
        ("step",),
        _rows(FunnelStep),
    )
    SUBMISSIONS = Metric(
        f"{PREFIX}submissions_total",
        Kind.COUNTER,
        "Judged submissions, by verdict.",
        ("verdict",),
        _rows(Verdict),
    )
    PROBLEM_SUBMISSIONS = Metric(
        f"{PREFIX}problem_submissions_total",
        Kind.COUNTER,
        "Runs of the judge, by problem and verdict; a problem that does not fit under MAX_METRIC_SERIES is other.",
        ("problem", "verdict"),
        _rows((OTHER,), Verdict),
        is_open=True,
    )
    JUDGE_DURATION = Metric(
        f"{PREFIX}judge_duration_seconds",
        Kind.HISTOGRAM,
        "What the judge took for a submission, waiting excluded.",
        ("outcome",),
        _rows(Verdict),
        LATENCY_BUCKETS,
    )
    JUDGE_QUEUE = Metric(f"{PREFIX}judge_queue_depth", Kind.GAUGE, "Submissions waiting for a judge's worker.")
    JUDGE_QUEUE_FULL = Metric(
        f"{PREFIX}judge_queue_full_total", Kind.COUNTER, "Submissions put off because the queue was full."
    )
    JUDGE_STOPS = Metric(
        f"{PREFIX}judge_stops_total",
        Kind.COUNTER,
        "Runs cut short, by what did it: a limit of the sandbox (time, memory, result), the worker had to be killed"
        " (wall) or fell over the code (crash), all the code's doing; it died or was garbled, which is ours.",
        ("cause",),
        _rows(Stop),
    )
    APPEND_DURATION = Metric(
        f"{PREFIX}event_log_append_seconds",
        Kind.HISTOGRAM,
        "What the event log took to answer an append.",
        ("outcome",),
        _rows(AppendOutcome),
        LATENCY_BUCKETS,
    )
    CONFLICTS = Metric(
        f"{PREFIX}event_log_conflicts_total",
        Kind.COUNTER,
        "Appends that came second: the game had moved on, the command was decided again.",
    )
    REPLAYED = Metric(
        f"{PREFIX}event_log_replayed_events",
        Kind.HISTOGRAM,
        "Events of a game when it was loaded from the log.",
        buckets=COUNT_BUCKETS,
    )
    LOG_LAG = Metric(
        f"{PREFIX}event_log_lag_seconds",
        Kind.HISTOGRAM,
        "From a commit's acceptance by the log to its application on this replica; never below 0.",
        buckets=LATENCY_BUCKETS,
    )
    CLOCK_SKEWS = Metric(
        f"{PREFIX}event_log_clock_skews_total",
        Kind.COUNTER,
        "Commits that came from the future: the log's clock is ahead of this replica's.",
    )
    LOG_ERRORS = Metric(
        f"{PREFIX}event_log_errors_total",
        Kind.COUNTER,
        "What the event log was asked to do and could not, by what that was.",
        ("op",),
        _rows(LogOp),
    )
    LOG_TROUBLES = Metric(
        f"{PREFIX}event_log_troubles_total",
        Kind.COUNTER,
        "What was wrong with the event log when it did not do what it was asked, or by itself.",
        ("trouble",),
        _rows(LogTrouble),
    )
    LOG_GAPS = Metric(
        f"{PREFIX}event_log_gaps_total",
        Kind.COUNTER,
        "Times that a game was read again because its commits, which are told at most once, were missed or late.",
    )
    LOG_UNTOLD = Metric(
        f"{PREFIX}event_log_untold_total",
        Kind.COUNTER,
        "Progress of players, and numbers of their connections, that could not be told to the other replicas.",
    )
    CLOCK_OFFSET = Metric(
        f"{PREFIX}event_log_clock_offset_seconds",
        Kind.GAUGE,
        "How far the clock of the event log's machine (SQLite: this one) is ahead of the games' clock of this replica.",
    )
    LOG_BYTES = Metric(f"{PREFIX}event_log_bytes", Kind.GAUGE, "Bytes that the event log takes.")
    LOG_LIMIT = Metric(
        f"{PREFIX}event_log_limit_bytes", Kind.GAUGE, "The most bytes that the event log may take; 0: no limit is set."
    )
    REPLICAS = Metric(
        f"{PREFIX}replicas", Kind.GAUGE, "Server processes that share the event log and live, as this one knows it."
    )
    LOG_CONNECTED = Metric(
        f"{PREFIX}event_log_connected", Kind.GAUGE, "1 while the event log takes appends: it took the last one."
    )
    SPANS = Metric(
        f"{PREFIX}trace_spans_total",
        Kind.COUNTER,
        "Spans, by what became of them: the collector took them, did not, or the queue to it was full.",
        ("outcome",),
        _rows(SpanExport),
    )
    FAULTS = Metric(f"{PREFIX}faults_total", Kind.COUNTER, "Faults of the server that ended up in no answer.")
    LOG_RECORDS = Metric(
        f"{PREFIX}log_records_total",
        Kind.COUNTER,
        "Log records, by level.",
        ("level",),
        _rows(("debug", "info", "warning", "error", "critical")),
    )
    LOG_DROPPED = Metric(f"{PREFIX}log_dropped_total", Kind.COUNTER, "Log records that could not be written.")


METRICS: Final[tuple[Metric, ...]] = tuple(value for value in vars(Metrics).values() if isinstance(value, Metric))
"""Those of the service."""


class CanaryMetrics:
    """The metric families of the canary, a process of its own."""

    RACES = Metric(
        f"{PREFIX}canary_races_total",
        Kind.COUNTER,
        "Races that the canary set up and played, by how they ended.",
        ("outcome",),
        _rows(CanaryOutcome),
    )
    RECONNECTS = Metric(
        f"{PREFIX}canary_reconnects_total", Kind.COUNTER, "Times that a player of the canary connected again."
    )
    HANDSHAKE = Metric(
        f"{PREFIX}canary_handshake_seconds",
        Kind.HISTOGRAM,
        "From a canary player's connecting to its welcome.",
        buckets=LATENCY_BUCKETS,
    )
    MESSAGE = Metric(
        f"{PREFIX}canary_message_seconds",
        Kind.HISTOGRAM,
        "From a canary player's message to its acknowledgement.",
        buckets=LATENCY_BUCKETS,
    )
    DELIVERY = Metric(
        f"{PREFIX}canary_delivery_seconds",
        Kind.HISTOGRAM,
        "From a canary player's message to its event at the other player.",
        buckets=LATENCY_BUCKETS,
    )
    RACE = Metric(
        f"{PREFIX}canary_race_seconds",
        Kind.HISTOGRAM,
        "A whole race of the canary that ended as it should.",
        buckets=DURATION_BUCKETS,
    )
    LAST_OK = Metric(
        f"{PREFIX}canary_last_ok_timestamp_seconds",
        Kind.GAUGE,
        "When a race of the canary last ended as it should, in epoch seconds; 0: none has.",
    )


CANARY_METRICS: Final[tuple[Metric, ...]] = tuple(
    value for value in vars(CanaryMetrics).values() if isinstance(value, Metric)
)
"""Those of the canary."""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One kind of log line: its constant name, its level, its fields besides the common ones, its meaning."""

    name: str
    level: str
    help: str
    fields: frozenset[str] = field(default_factory=frozenset)


def _event(name: str, level: str, help: str, *fields: str) -> LogEvent:
    return LogEvent(name, level, help, frozenset(fields))


class Events:
    """All log events, by name."""

    APP_STARTED = _event(
        "app.started", "info", "The service takes connections.", "address", "startup_s", "page", "ops_port"
    )
    APP_SIGNALLED = _event("app.signalled", "info", "A signal came by which nothing changes.", "signal")
    APP_DRAINING = _event("app.draining", "info", "The service was told to stop.", "connections", "signal")
    APP_DRAIN_PROGRESSED = _event(
        "app.drain_progressed",
        "info",
        "The drain has come to its next phase: delay, games, closing, scrape, done.",
        "phase",
        "connections",
        "games",
    )
    APP_OVERLOADED = _event("app.overloaded", "warning", "New connections are refused until this is over.", "causes")
    APP_RELIEVED = _event("app.relieved", "info", "New connections are taken again.")
    EVENT_LOG_LOST = _event(
        "event_log.lost", "error", "The event log takes nothing; new connections are refused.", "error"
    )
    EVENT_LOG_RESTORED = _event("event_log.restored", "info", "The event log takes appends again.")
    EVENT_LOG_TROUBLED = _event(
        "event_log.troubled",
        "warning",
        "Something is wrong with the event log: the connection, the permissions, how a stream is set up.",
        "trouble",
        "error",
        "suppressed",
    )
    EVENT_LOG_SLOWED = _event(
        "event_log.slowed",
        "warning",
        "The event log took over a second to answer an append.",
        "duration_s",
        "suppressed",
    )
    CLOCK_SKEWED = _event(
        "clock.skewed",
        "warning",
        "The event log's clock is over a second ahead of this replica's or behind; SQLite: this machine's was set.",
        "offset_s",
    )
    KEYS_FAILED = _event("keys.failed", "warning", "The public keys cannot be fetched.", "error")
    KEYS_FETCHED = _event("keys.fetched", "info", "The public keys were fetched, first or again.", "detail")
    LIMIT_EXCEEDED = _event(
        "limit.exceeded",
        "info",
        "A limit was exceeded; with enforced=false nothing was refused.",
        "scope",
        "enforced",
        "retry_after_ms",
        "client",
        "player_id",
        "connection_id",
        "suppressed",
    )
    HTTP_REJECTED = _event(
        "http.rejected",
        "info",
        "A request was refused before it reached the application; without a status the connection was cut.",
        "reason",
        "status",
        "detail",
        "client",
        "suppressed",
    )
    WS_SHED = _event("ws.shed", "warning", "The newest connections were ended: memory ran short.", "connections")
    WS_AUTHENTICATED = _event(
        "ws.authenticated",
        "info",
        "A token came in an auth message and was taken.",
        "connection_id",
        "player_id",
        "kind",
    )
    APP_STOPPED = _event("app.stopped", "info", "The service has stopped.", "uptime_s")
    APP_FAULT = _event(
        "app.fault",
        "error",
        "A fault that nobody else answers for.",
        "where",
        "exception",
        "error",
        "game_id",
        "suppressed",
    )
    WS_OPENED = _event(
        "ws.opened",
        "info",
        "A connection came up.",
        "connection_id",
        "game_id",
        "player_id",
        "client",
        "resume",
    )
    WS_REFUSED = _event(
        "ws.refused",
        "info",
        "An attempt to connect was refused.",
        "outcome",
        "status",
        "detail",
        "client",
        "game_id",
        "player_id",
        "suppressed",
    )
    WS_CLOSED = _event(
        "ws.closed",
        "info",
        "A connection ended: its whole life in one line.",
        "connection_id",
        "game_id",
        "player_id",
        "code",
        "reason",
        "received_code",
        "initiator",
        "duration_s",
        "messages_in",
        "messages_out",
        "bytes_in",
        "bytes_out",
        "errors",
        "rtt_p50_s",
        "rtt_p95_s",
        "deepest_outbox_bytes",
        "resume",
    )
    MESSAGE_REJECTED = _event(
        "message.rejected",
        "info",
        "A message was answered with an error; of a malformed one only size and hash are told.",
        "code",
        "type",
        "connection_id",
        "size_bytes",
        "sha256_prefix",
        "suppressed",
    )
    GAME_CREATED = _event("game.created", "info", "A game was made.", "game_id", "player_id", "problem")
    GAME_STARTED = _event("game.started", "info", "A race began.", "game_id", "players", "problem")
    GAME_FINISHED = _event("game.finished", "info", "A game ended.", "game_id", "reason", "winner", "players")
    SUBMISSION_JUDGED = _event(
        "submission.judged",
        "info",
        "The judge answered.",
        "game_id",
        "player_id",
        "attempt",
        "verdict",
        "tests_passed",
        "tests_total",
        "duration_s",
    )
    TRACES_LOST = _event("traces.lost", "warning", "The collector takes no spans; they are counted and forgotten.")
    TRACES_RESTORED = _event("traces.restored", "info", "The collector takes spans again.")
    CANARY_STARTED = _event("canary.started", "info", "The canary races from now on.", "url", "every_s", "address")
    CANARY_RACED = _event(
        "canary.raced",
        "info",
        "A race of the canary ended as it should.",
        "game_id",
        "duration_s",
        "handshake_s",
        "message_s",
        "delivery_s",
    )
    CANARY_FAILED = _event(
        "canary.failed",
        "warning",
        "A race of the canary did not end as it should: how, at which step, and why.",
        "outcome",
        "step",
        "detail",
        "game_id",
    )
    JUDGE_WORKER_ENDED = _event(
        "judge.worker_ended", "warning", "A worker of the judge was ended, or found dead; it is replaced.", "cause"
    )
    JUDGE_QUEUE_FULL = _event("judge.queue_filled", "warning", "A submission waits because the queue is full.")


class SpanKind(StrEnum):
    """OpenTelemetry's kinds of span."""

    SERVER = "server"
    INTERNAL = "internal"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


@dataclass(frozen=True, slots=True)
class Span:
    """One kind of span: its name, its kind, its meaning, the attributes it may have."""

    name: str
    kind: SpanKind
    help: str
    attributes: frozenset[str]


def _span(name: str, kind: SpanKind, help: str, *attributes: str) -> Span:
    return Span(name, kind, help, frozenset((*attributes, "error.type")))


_WHO: Final = ("connection.id", "game.id", "player.id")
_COMMAND: Final = "A command that no message caused, in a trace of its own: "
_SPANS: Final = (
    _span(
        SpanName.HANDSHAKE,
        SpanKind.SERVER,
        "From the request to its answer; the spans of the connection's messages link to it.",
        "outcome",
        "http.response.status_code",
        *_WHO,
    ),
    *(
        _span(
            name,
            SpanKind.SERVER,
            f"A {type} message, from its arrival to its answer.",
            "message.outcome",
            "error.code",
            "late",
            *_WHO,
        )
        for type, name in MESSAGE_SPANS.items()
    ),
    _span(SpanName.CREATE, SpanKind.SERVER, _COMMAND + "a game is made.", *_WHO),
    _span(SpanName.JOIN, SpanKind.SERVER, _COMMAND + "a player comes in, or comes back.", *_WHO),
    _span(SpanName.DISCONNECT, SpanKind.INTERNAL, _COMMAND + "a player's connection has ended.", *_WHO),
    _span(SpanName.REMOVE, SpanKind.SERVER, _COMMAND + "a player is put out.", *_WHO),
    _span(SpanName.TICK, SpanKind.INTERNAL, _COMMAND + "a deadline has come.", *_WHO),
    _span(SpanName.DECIDE, SpanKind.INTERNAL, "The rules decide what follows from a command.", "events"),
    _span(
        SpanName.APPEND,
        SpanKind.PRODUCER,
        "The event log takes one commit; its events carry this span's context to the replicas.",
        "game.id",
        "events",
    ),
    _span(
        SpanName.FAN_OUT,
        SpanKind.CONSUMER,
        "One replica gives one event to all its members of the game.",
        "game.id",
        "event.type",
        "event.seq",
        "recipients",
    ),
    _span(
        SpanName.DELIVER,
        SpanKind.PRODUCER,
        "The event's frame, until a member's socket has taken it; links to that connection's handshake.",
        "event.type",
        "event.seq",
        "waited",
        *_WHO,
    ),
    _span(
        SpanName.JUDGE,
        SpanKind.CONSUMER,
        "A submission, from a worker's taking it to its verdict in the log.",
        "game.id",
        "player.id",
        "attempt",
        "verdict",
    ),
    _span(SpanName.JUDGE_RUN, SpanKind.CLIENT, "The sandbox runs the code against the tests.", "problem"),
)
SPANS: Final[dict[str, Span]] = {span.name: span for span in _SPANS}
"""All spans, by name."""

EVENTS: Final[tuple[LogEvent, ...]] = tuple(value for value in vars(Events).values() if isinstance(value, LogEvent))
COMMON_FIELDS: Final = (
    "timestamp",
    "level",
    "event",
    "service.name",
    "service.version",
    "deployment.environment.name",
    "replica",
)
TRACE_FIELDS: Final = frozenset({"trace_id", "span_id"})
"""Of lines that were written while a sampled span was current."""
FOREIGN_FIELDS: Final = frozenset({"logger", "exception"})
"""Of records of the standard library's logging; their `event` is free text."""
