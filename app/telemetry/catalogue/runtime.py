"""Metrics of the process: its build, its health, what it uses, and how its logs and traces do."""

from app.settings import SECRETS
from app.telemetry.catalogue.log_events import REPEATED
from app.telemetry.catalogue.model import FINE_LATENCY_BUCKETS, PAUSE_BUCKETS, PREFIX, Kind, Metric, rows
from app.vocabulary import LASTING_ACTIONS, ActionOutcome, OperatorAction, OverloadCause, SpanExport


class RuntimeMetrics:
    """Metrics of the process: its build, its health, what it uses, and how its logs and traces do."""

    BUILD_INFO = Metric(
        f"{PREFIX}build_info",
        Kind.GAUGE,
        "Always 1; the labels name the version, the commit that it was built from (REVISION) and the replica.",
        ("version", "revision", "replica"),
    )
    CONFIG_INFO = Metric(
        f"{PREFIX}config_info", Kind.GAUGE, "Always 1; the label is a hash over all settings but secrets.", ("hash",)
    )
    SECRET_INFO = Metric(
        f"{PREFIX}secret_info",
        Kind.GAUGE,
        "Always 1; the fingerprint is the same where the secret is, and `none` where there is none.",
        ("name", "fingerprint"),
        rows(SECRETS),
    )
    START_TIME = Metric(
        f"{PREFIX}start_time_seconds", Kind.GAUGE, "When the process started, in seconds since the epoch."
    )
    READY = Metric(
        f"{PREFIX}ready", Kind.GAUGE, "1 while /readyz says so: started, not draining, and what READY_GATES names."
    )
    DRAINING = Metric(
        f"{PREFIX}draining", Kind.GAUGE, "1 while the service is shutting down, or an operator drains it."
    )
    OVERLOADED = Metric(
        f"{PREFIX}overloaded",
        Kind.GAUGE,
        "1 while new connections are refused for this cause.",
        ("cause",),
        rows(OverloadCause),
    )
    SHED = Metric(f"{PREFIX}ws_shed_total", Kind.COUNTER, "Connections ended because memory ran short.")
    LOOP_LAG = Metric(
        f"{PREFIX}event_loop_lag_seconds",
        Kind.HISTOGRAM,
        "How late the event loop is for an appointment.",
        buckets=FINE_LATENCY_BUCKETS,
        is_native=True,
    )
    GC_PAUSE = Metric(
        f"{PREFIX}gc_pause_seconds",
        Kind.HISTOGRAM,
        "How long a run of the garbage collector held the process up.",
        buckets=PAUSE_BUCKETS,
        is_native=True,
    )
    MEMORY = Metric(f"{PREFIX}memory_bytes", Kind.GAUGE, "Resident memory of the server process.")
    OPEN_FDS = Metric(f"{PREFIX}open_fds", Kind.GAUGE, "Open file descriptors; a connection takes one.")
    MAX_FDS = Metric(f"{PREFIX}max_fds", Kind.GAUGE, "The most file descriptors the process may have (ulimit -n).")
    CPU = Metric(
        "process_cpu_seconds_total",
        Kind.COUNTER,
        "Processor time of the server process; the judge's workers have theirs.",
    )
    CPU_WITHHELD = Metric(
        f"{PREFIX}cpu_withheld_seconds_total",
        Kind.COUNTER,
        "Time in which the event loop was ready to run and had no processor: others had it, or the container's limit.",
        ("cause",),
        rows(("busy", "throttled")),
    )
    CLOCK_AHEAD = Metric(
        f"{PREFIX}clock_ahead_seconds",
        Kind.GAUGE,
        "By how much the machine's clock was set ahead of the games', which follow it slowly; of its own it is 0.",
    )
    PROCESS_MEMORY = Metric("process_resident_memory_bytes", Kind.GAUGE, "As code_racer_memory_bytes.")
    VIRTUAL_MEMORY = Metric("process_virtual_memory_bytes", Kind.GAUGE, "Address space of the server process.")
    PROCESS_FDS = Metric("process_open_fds", Kind.GAUGE, "As code_racer_open_fds.")
    PROCESS_MAX_FDS = Metric("process_max_fds", Kind.GAUGE, "As code_racer_max_fds.")
    PROCESS_START = Metric(
        "process_start_time_seconds", Kind.GAUGE, "When the system started the process, in seconds since the epoch."
    )
    BACKGROUND_TASKS = Metric(
        f"{PREFIX}background_tasks",
        Kind.GAUGE,
        "Tasks of the hub's own: timers, sweep, judging, disconnects under way.",
    )
    FAULTS = Metric(f"{PREFIX}faults_total", Kind.COUNTER, "Faults of the server that ended up in no answer.")
    LOG_RECORDS = Metric(
        f"{PREFIX}log_records_total",
        Kind.COUNTER,
        "Log records, by level.",
        ("level",),
        rows(("debug", "info", "warning", "error", "critical")),
    )
    LOG_WRITTEN = Metric(
        f"{PREFIX}log_bytes_total",
        Kind.COUNTER,
        "Bytes of the log lines that were written, once also where they go to two places.",
    )
    LOG_DROPPED = Metric(f"{PREFIX}log_dropped_total", Kind.COUNTER, "Log records that could not be written.")
    LOG_SUPPRESSED = Metric(
        f"{PREFIX}log_suppressed_total",
        Kind.COUNTER,
        "Log lines that were not written, as there were more than LOG_REPEATS_PER_S of their kind, by event.",
        ("event",),
        rows(REPEATED),
    )
    LOG_WRITER_RESTARTS = Metric(
        f"{PREFIX}log_writer_restarts_total",
        Kind.COUNTER,
        "Times the thread that writes the log died and was replaced; the lines it had in hand are dropped.",
    )
    SPANS = Metric(
        f"{PREFIX}trace_spans_total",
        Kind.COUNTER,
        "Spans, by what became of them: the collector took them, did not, or the queue to it was full.",
        ("outcome",),
        rows(SpanExport),
    )
    CERTIFICATE_LOADS = Metric(
        f"{PREFIX}certificate_loads_total",
        Kind.COUNTER,
        "Times the certificate was read again (SIGHUP), by whether it can be used; refused: the one before is served.",
        ("outcome",),
        rows(("loaded", "refused")),
    )
    SECRET_LOADS = Metric(
        f"{PREFIX}secret_loads_total",
        Kind.COUNTER,
        "Times files of secrets were read again (SIGHUP), by whether they can be used; refused: those before stay.",
        ("outcome",),
        rows(("loaded", "refused")),
    )
    OPERATOR_ACTIONS = Metric(
        f"{PREFIX}operator_actions_total",
        Kind.COUNTER,
        "What operators did by the console, and what came of it; gone: there was nothing left to act on.",
        ("action", "outcome"),
        rows(OperatorAction, ActionOutcome),
    )
    OPERATOR_CHANGES = Metric(
        f"{PREFIX}operator_changes",
        Kind.GAUGE,
        "What operators have changed here, and not back yet: players banned, and what ends by itself after a time.",
        ("action",),
        rows(LASTING_ACTIONS),
    )
    SERIES = Metric(f"{PREFIX}metric_series", Kind.GAUGE, "Series exposed here; the same for as long as this runs.")
    SERIES_LIMIT = Metric(
        f"{PREFIX}metric_series_limit", Kind.GAUGE, "The most series there may be (MAX_METRIC_SERIES)."
    )
    SERIES_OVERFLOWS = Metric(
        f"{PREFIX}metric_series_overflows_total", Kind.COUNTER, "Label values that found the limit reached."
    )
