"""Metrics of the event log, and of the replicas that share it."""

from app.telemetry.catalogue.model import (
    COUNT_BUCKETS,
    FINE_LATENCY_BUCKETS,
    LATENCY_BUCKETS,
    PREFIX,
    Kind,
    Metric,
    rows,
)
from app.vocabulary import AppendOutcome, LogOp, LogTrouble


class EventLogMetrics:
    """Metrics of the event log, and of the replicas that share it."""

    LOG_CONNECTED = Metric(
        f"{PREFIX}event_log_connected", Kind.GAUGE, "1 while the event log takes appends: it took the last one."
    )
    APPEND_DURATION = Metric(
        f"{PREFIX}event_log_append_seconds",
        Kind.HISTOGRAM,
        "What the event log took to answer an append.",
        ("outcome",),
        rows(AppendOutcome),
        LATENCY_BUCKETS,
        is_native=True,
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
        buckets=FINE_LATENCY_BUCKETS,
        is_native=True,
    )
    CLOCK_SKEWS = Metric(
        f"{PREFIX}event_log_clock_skews_total",
        Kind.COUNTER,
        "Commits that came from the future: the log's clock is ahead of this replica's.",
    )
    CLOCK_OFFSET = Metric(
        f"{PREFIX}event_log_clock_offset_seconds",
        Kind.GAUGE,
        "How far the clock of the event log's machine (SQLite: this one) is ahead of the games' clock of this replica.",
    )
    LOG_ERRORS = Metric(
        f"{PREFIX}event_log_errors_total",
        Kind.COUNTER,
        "What the event log was asked to do and could not, by what that was.",
        ("op",),
        rows(LogOp),
    )
    LOG_TROUBLES = Metric(
        f"{PREFIX}event_log_troubles_total",
        Kind.COUNTER,
        "What was wrong with the event log when it did not do what it was asked, or by itself.",
        ("trouble",),
        rows(LogTrouble),
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
    LOG_BYTES = Metric(f"{PREFIX}event_log_bytes", Kind.GAUGE, "Bytes that the event log takes.")
    LOG_LIMIT = Metric(
        f"{PREFIX}event_log_limit_bytes", Kind.GAUGE, "The most bytes that the event log may take; 0: no limit is set."
    )
    DISK_FREE = Metric(
        f"{PREFIX}event_log_disk_free_bytes",
        Kind.GAUGE,
        "Bytes left on the disk of the event log's file; 0 where it is no file.",
    )
    DISK_SIZE = Metric(
        f"{PREFIX}event_log_disk_bytes",
        Kind.GAUGE,
        "Bytes that the disk of the event log's file has; 0 where it is no file.",
    )
    REPLICAS = Metric(
        f"{PREFIX}replicas",
        Kind.GAUGE,
        "Server processes that share the event log, or are workers of one service, and live, as this one knows it.",
    )
