"""The replicas as a group, and the event log they share."""

from typing import Final

from alerts.config import CONFIG
from alerts.signals import BAD
from dashboards.model import Board, Panel, Query, RowKind, rate, row, selected

CONNECTIONS: Final = selected("code_racer_ws_connections")
REPLICAS: Final = Board(
    "code-racer-replicas",
    "Replicas",
    (
        row(
            RowKind.OUTLIERS,
            Panel(
                "What is bad, by replica",
                "The bad part of each replica's handshakes (attempts, and clients by address), messages, requests,"
                " closes, deliveries, appends, verdicts and runs of the judge over ten minutes, where there are twenty"
                " or more: refused, rejected, 4xx or 5xx, cut off by us, later than 250 ms, slower than 100 ms, later"
                " than 5 s or judge_error, time_limit. One replica that stands out is at fault, or somebody is at it;"
                " all alike are not.",
                "percentunit",
                (Query(f"max by (instance, signal) ({selected(BAD)})", "{{instance}} {{signal}}"),),
                warn=CONFIG.number("CodeRacerReplicaOutlier", "bad"),
                range=(0, 1),
                alerts=("CodeRacerReplicaRefuses", "CodeRacerReplicaOutlier", "CodeRacerHandshakesRefused"),
                width=24,
                height=8,
            ),
        ),
        row(
            RowKind.OUTLIERS,
            Panel(
                "More than twice what the others have",
                "Connections of the fullest replica, less twice what the others have on average. From 100 it matters.",
                "none",
                (
                    Query(
                        f"(max({CONNECTIONS}) - 2 * (sum({CONNECTIONS}) - max({CONNECTIONS}))"
                        f" / clamp_min(count({CONNECTIONS}) - 1, 1)) * (count({CONNECTIONS}) > bool 1)",
                        "more",
                    ),
                ),
                warn=CONFIG.number("CodeRacerReplicaImbalance", "connections"),
                range=(-1e6, 100),
                alerts=("CodeRacerReplicaImbalance",),
            ),
            Panel(
                "Heard from the log, p99",
                "From a commit's acceptance by the log to its application, by replica: the slow one stands out.",
                "s",
                (
                    Query(
                        "histogram_quantile(0.99, sum by (instance, le)"
                        f" (rate({selected('code_racer_event_log_lag_seconds_bucket')}[$__rate_interval])))",
                        "{{instance}}",
                    ),
                ),
                warn=0.25,
                range=(0, 10),
            ),
            Panel(
                "Replicas that others do not know",
                "Replicas that are ready, less those that a replica knows of. Over 0: they are on different event"
                " logs.",
                "none",
                (
                    Query(
                        f"count({selected('code_racer_ready')} == 1) - min({selected('code_racer_replicas')})",
                        "unknown",
                    ),
                ),
                warn=1,
                range=(-10, 0),
                alerts=("CodeRacerReplicasSplit",),
            ),
        ),
        row(
            RowKind.SATURATION,
            Panel(
                "Share of what it may take",
                "Bytes of the event log as a part of its limit (NATS_MAX_BYTES); nothing where no limit is set.",
                "percentunit",
                (
                    Query(
                        f"max({selected('code_racer_event_log_bytes')}"
                        f" / ({selected('code_racer_event_log_limit_bytes')} > 0))",
                        "full",
                    ),
                ),
                warn=CONFIG.number("CodeRacerEventLogNearFull", "above"),
                range=(0, 1),
                alerts=("CodeRacerEventLogNearFull",),
            ),
            Panel(
                "Bytes",
                "What the event log takes.",
                "bytes",
                (Query(f"max by (job) ({selected('code_racer_event_log_bytes')})", "{{job}}"),),
                warn=1e12,
                range=(0, 1e9),
            ),
            Panel(
                "Conflicts",
                "Appends a second that came second: another replica, or another player, was faster.",
                "ops",
                (Query(rate("code_racer_event_log_conflicts_total", "instance"), "{{instance}}"),),
                warn=1_000,
                range=(0, 1_000),
            ),
        ),
        row(
            RowKind.CAUSE,
            Panel(
                "Troubles",
                "A second, by what was wrong: the connection, the leader, the stream, its limits, the rights.",
                "ops",
                (Query(rate("code_racer_event_log_troubles_total", "trouble"), "{{trouble}}"),),
                warn=0.01,
                range=(0, 0),
                alerts=(
                    "CodeRacerEventLogFull",
                    "CodeRacerEventLogStreamMissing",
                    "CodeRacerEventLogDenied",
                    "CodeRacerEventLogMisconfigured",
                ),
            ),
            Panel(
                "Read again",
                "Times a second that a replica read what it had not heard live; untold: progress that it could not"
                " tell.",
                "ops",
                (
                    Query(rate("code_racer_event_log_gaps_total", "instance"), "{{instance}}"),
                    Query(rate("code_racer_event_log_untold_total", "instance"), "{{instance}} untold"),
                ),
                warn=0.1,
                range=(0, 1),
                alerts=("CodeRacerEventLogGaps",),
            ),
            Panel(
                "Clock",
                "How far the clock of the log's machine is from the replica's, either way.",
                "s",
                (
                    Query(
                        f"max by (instance) (abs({selected('code_racer_event_log_clock_offset_seconds')}))",
                        "{{instance}}",
                    ),
                ),
                warn=CONFIG.number("CodeRacerClockSkew", "ticket_above_s"),
                range=(0, 1),
                alerts=("CodeRacerClockSkew",),
            ),
        ),
    ),
)
