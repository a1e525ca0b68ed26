"""The log events: every kind of line that the service and the canary write."""

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One kind of log line: its constant name, its level, its fields besides the common ones, its meaning.

    One that `is_always_written` is so whatever the least level is: it says who did what, and must not be silenced.
    """

    name: str
    level: str
    help: str
    fields: frozenset[str] = field(default_factory=frozenset)
    is_always_written: bool = False


def _event(name: str, level: str, help: str, *fields: str, is_always_written: bool = False) -> LogEvent:
    return LogEvent(name, level, help, frozenset(fields), is_always_written)


class Events:
    """All log events, by name."""

    # ------------------------------------------------------------------------------------- the service

    APP_STARTED = _event(
        "app.started", "info", "The service takes connections.", "address", "startup_s", "page", "ops_port"
    )
    APP_SIGNALLED = _event("app.signalled", "info", "A signal came by which nothing changes.", "signal")
    APP_DIAGNOSED = _event(
        "app.diagnosed",
        "info",
        "SIGUSR2: how the process is, in figures; `app.stack` lines follow it.",
        "tasks",
        "threads",
        "descriptors",
        "memory_bytes",
        "gc_collections",
        "loop_lag_s",
        "worst_loop_lag_s",
    )
    APP_STACK = _event(
        "app.stack",
        "info",
        "SIGUSR2: where a thread is, or so many tasks with the same name wait: files, lines and functions, no values.",
        "kind",
        "name",
        "count",
        "stack",
    )
    CERTIFICATE_LOADED = _event(
        "certificate.loaded",
        "info",
        "SIGHUP: new connections are served with the certificate that is in the files now; until when it is valid.",
        "ends",
    )
    CERTIFICATE_REFUSED = _event(
        "certificate.refused",
        "error",
        "SIGHUP: the files hold no certificate that could be used; the one before is served on.",
        "error",
    )
    SECRETS_LOADED = _event(
        "secrets.loaded",
        "info",
        "SIGHUP: files of secrets, and of who connects to NATS, are in use as they are now; the secrets that changed.",
        "changed",
    )
    SECRETS_REFUSED = _event(
        "secrets.refused",
        "error",
        "SIGHUP: a file of secrets, or of who connects to NATS, is of no use; all those before stay in use.",
        "error",
    )
    OPERATOR_ACTED = _event(
        "operator.acted",
        "warning",
        "An operator acted by the console: who, what, on whom or what, why, and what came of it.",
        "operator",
        "action",
        "subject",
        "reason",
        "outcome",
        "detail",
        is_always_written=True,
    )
    APP_DRAINING = _event("app.draining", "info", "The service was told to stop.", "connections", "signal")
    SUPERVISOR_STARTED = _event(
        "supervisor.started", "info", "All workers take connections.", "workers", "address", "page", "ops_port"
    )
    SUPERVISOR_SIGNALLED = _event(
        "supervisor.signalled", "info", "A signal came to the supervisor; those that end go to all workers.", "signal"
    )
    SUPERVISOR_RELOADED = _event(
        "supervisor.reloaded", "info", "SIGHUP: all workers were started again, one after the other."
    )
    SUPERVISOR_REFUSED = _event(
        "supervisor.refused",
        "error",
        "SIGHUP: with the settings and files as they are now no worker would start; those that run go on.",
        "error",
    )
    SUPERVISOR_GAVE_UP = _event(
        "supervisor.gave_up", "error", "A worker cannot be kept running; the others drain, and all ends.", "error"
    )
    SUPERVISOR_STOPPED = _event("supervisor.stopped", "info", "All workers have ended.", "uptime_s")
    WORKER_STARTED = _event("worker.started", "info", "The supervisor has started a worker.", "worker", "pid")
    WORKER_SILENT = _event(
        "worker.silent", "error", "A worker said nothing for WORKER_TIMEOUT_S and was killed.", "worker", "pid"
    )
    WORKER_STOPPED = _event(
        "worker.stopped", "info", "A worker ended, as it was told to.", "worker", "pid", "exit_code", "lived_s"
    )
    WORKER_DIED = _event(
        "worker.died",
        "error",
        "A worker ended though nobody told it to: -9 is SIGKILL. The next one is started after the pause.",
        "worker",
        "pid",
        "exit_code",
        "lived_s",
        "pause_s",
    )
    GAMES_MOVED = _event(
        "games.moved",
        "info",
        "At the start: the number of workers is another, and this file's games moved to the present ones' files.",
        "file",
        "games",
    )
    SUPERVISOR_LOST = _event(
        "supervisor.lost",
        "error",
        "A worker's supervisor is gone: nobody would start it again or tell it to stop, so it drains and ends.",
    )
    APP_DRAIN_PROGRESSED = _event(
        "app.drain_progressed",
        "info",
        "The drain has come to its next phase: delay, games, closing, scrape, done.",
        "phase",
        "connections",
        "games",
    )
    APP_STOPPED = _event("app.stopped", "info", "The service has stopped.", "uptime_s")
    APP_OVERLOADED = _event("app.overloaded", "warning", "New connections are refused until this is over.", "causes")
    APP_RELIEVED = _event("app.relieved", "info", "New connections are taken again.")
    WS_SHED = _event("ws.shed", "warning", "The newest connections were ended: memory ran short.", "connections")
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
    LOG_SUPPRESSED = _event(
        "log.suppressed",
        "info",
        "So many lines of an event, of one kind, were not written, being too many; no such line followed to tell it.",
        "of",
        "kind",
        "suppressed",
    )
    TRACES_LOST = _event("traces.lost", "warning", "The collector takes no spans; they are counted and forgotten.")
    TRACES_RESTORED = _event("traces.restored", "info", "The collector takes spans again.")

    # ------------------------------------------------------------------------------------- connections

    WS_OPENED = _event(
        "ws.opened",
        "info",
        "A connection came up.",
        "connection_id",
        "game_id",
        "player_id",
        "client",
        "resume",
        "trace_id",
        "release",
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
        "trace_id",
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
        "messages_discarded",
        "deepest_outbox_bytes",
        "resume",
        "trace_id",
        "release",
    )
    WS_AUTHENTICATED = _event(
        "ws.authenticated",
        "info",
        "A token came in an auth message and was taken.",
        "connection_id",
        "player_id",
        "kind",
    )
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
    HTTP_REFUSED = _event(
        "http.refused",
        "info",
        "The application answered a request over HTTP with a problem; the route is its template, not its path.",
        "route",
        "method",
        "status",
        "reason",
        "detail",
        "client",
        "game_id",
        "player_id",
        "suppressed",
    )
    KEYS_FETCHED = _event("keys.fetched", "info", "The public keys were fetched, first or again.", "detail")
    KEYS_FAILED = _event("keys.failed", "warning", "The public keys cannot be fetched.", "error")

    # ---------------------------------------------------------------------------------------- messages

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

    # ----------------------------------------------------------------------------- games and the judge

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
    JUDGE_QUEUE_FULL = _event("judge.queue_filled", "warning", "A submission waits because the queue is full.")
    JUDGE_WORKER_ENDED = _event(
        "judge.worker_ended", "warning", "A worker of the judge was ended, or found dead; it is replaced.", "cause"
    )

    # ----------------------------------------------------------------------------------- the event log

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

    # -------------------------------------------------------------------------------------- the canary

    CANARY_STARTED = _event("canary.started", "info", "The canary races from now on.", "url", "every_s", "address")
    CANARY_RACED = _event(
        "canary.raced",
        "info",
        "A race of the canary ended as it should.",
        "url",
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
        "url",
        "outcome",
        "step",
        "detail",
        "game_id",
    )


REPEATED: Final = tuple(
    value.name
    for name, value in vars(Events).items()
    if isinstance(value, LogEvent) and "suppressed" in value.fields and name != "LOG_SUPPRESSED"
)
"""The events of which only so many lines are written a second."""
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
"""Of lines that were written while a sampled span was current; those on a connection's life name its handshake's."""
FOREIGN_FIELDS: Final = frozenset({"logger", "exception"})
"""Of records of the standard library's logging; their `event` is free text."""
