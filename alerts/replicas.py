"""Alerts on the event log that replicas share, and on the replicas as a group."""

from typing import Final

from alerts.config import CONFIG
from alerts.model import INSTANCE, KEEPS, WHERE, Alert, Case, Group, Severity, last

_JOB: Final = {"job": "code-racer"}
_OPEN: Final = last("code_racer_ws_connections")
_CONNECTED: Final = last("code_racer_event_log_connected")
_OTHER: Final = 'job="code-racer", instance="b:8080"'


def _troubles(trouble: str) -> str:
    grown = f'increase(code_racer_event_log_troubles_total{{trouble="{trouble}"}}[{CONFIG["event_log"]["troubled"]}])'
    return f"sum by (cluster, namespace, job) ({grown}) > 0"


def _troubled(trouble: str, values: str) -> dict[str, str]:
    return {f'code_racer_event_log_troubles_total{{{INSTANCE}, trouble="{trouble}"}}': values}


FULL: Final = Alert(
    name="CodeRacerEventLogFull",
    severity=Severity.CRITICAL,
    expr=_troubles("full"),
    hold="0m",
    keeps=KEEPS,
    summary="The event log is full: nothing more is stored.",
    description="The event log refused {{ $value | humanize }} times in five minutes because it is full.",
    cases=(
        Case(
            "a commit does not fit",
            _troubled("full", "0x3 4x20"),
            fires=4,
            labels=_JOB,
            description="The event log refused 4 times in five minutes because it is full.",
        ),
        Case("other troubles", _troubled("timeout", "0+5x20"), silent=(4, 10)),
    ),
)

STREAM_MISSING: Final = Alert(
    name="CodeRacerEventLogStreamMissing",
    severity=Severity.CRITICAL,
    expr=_troubles("no_stream"),
    hold="0m",
    keeps=KEEPS,
    summary="The event log's stream does not exist: it was deleted, or this is another cluster.",
    description="Replicas asked {{ $value | humanize }} times in five minutes for a stream that is not there.",
    cases=(
        Case(
            "somebody deleted it",
            _troubled("no_stream", "0x3 4x20"),
            fires=4,
            labels=_JOB,
            description="Replicas asked 4 times in five minutes for a stream that is not there.",
        ),
        Case("no leader for a moment", _troubled("no_leader", "0x3 4x20"), silent=(4, 10)),
    ),
)

DENIED: Final = Alert(
    name="CodeRacerEventLogDenied",
    severity=Severity.CRITICAL,
    expr=_troubles("denied"),
    hold="0m",
    keeps=KEEPS,
    summary="The event log's servers refuse this service: its credentials or its rights.",
    description="Replicas were refused {{ $value | humanize }} times in five minutes.",
    cases=(
        Case(
            "rights were taken away",
            _troubled("denied", "0x3 4x20"),
            fires=4,
            labels=_JOB,
            description="Replicas were refused 4 times in five minutes.",
        ),
        Case("it does not answer", _troubled("unreachable", "0x3 4x20"), silent=(4, 10)),
    ),
)

MISCONFIGURED: Final = Alert(
    name="CodeRacerEventLogMisconfigured",
    severity=Severity.WARNING,
    expr=_troubles("misconfigured"),
    hold="1m",
    summary="A stream of the event log is set up otherwise than it has to be: replicas that start do not become ready.",
    description="Replicas found the event log set up otherwise {{ $value | humanize }} times in five minutes.",
    cases=(
        Case(
            "a stream that drops the old",
            _troubled("misconfigured", "0x3 4+4x20"),
            fires=5,
            labels=_JOB,
            description="Replicas found the event log set up otherwise 8 times in five minutes.",
        ),
        Case("all is as it should be", _troubled("misconfigured", "0x20"), silent=(5, 15)),
    ),
)

NEAR_FULL: Final = Alert(
    name="CodeRacerEventLogNearFull",
    severity=Severity.WARNING,
    expr=(
        f"max by (cluster, namespace, job) ({last('code_racer_event_log_bytes')}"
        f" / ({last('code_racer_event_log_limit_bytes')} > 0)) > {CONFIG['CodeRacerEventLogNearFull']['above']}"
    ),
    hold="5m",
    summary="The event log is nearly full; when it is, nothing more is stored.",
    description="The event log takes {{ $value | humanizePercentage }} of what it may.",
    cases=(
        Case(
            "nine tenths",
            {
                f"code_racer_event_log_bytes{{{INSTANCE}}}": "900x20",
                f"code_racer_event_log_limit_bytes{{{INSTANCE}}}": "1000x20",
            },
            fires=5,
            labels=_JOB,
            description="The event log takes 90% of what it may.",
        ),
        Case(
            "no limit is set",
            {
                f"code_racer_event_log_bytes{{{INSTANCE}}}": "900x20",
                f"code_racer_event_log_limit_bytes{{{INSTANCE}}}": "0x20",
            },
            silent=(6, 15),
        ),
    ),
)

_SKEW: Final = CONFIG["CodeRacerClockSkew"]
_OFF: Final = f"abs({last('code_racer_event_log_clock_offset_seconds')})"
CLOCK_SKEW: Final = Alert(
    name="CodeRacerClockSkew",
    severity=Severity.WARNING,
    expr=f"{_OFF} > {_SKEW['ticket_above_s']}",
    hold="5m",
    summary="The clocks of a replica and of the event log differ: races start and end early or late there.",
    description="The clocks of {{ $labels.instance }} and of the event log differ by {{ $value | humanizeDuration }}.",
    cases=(
        Case(
            "a slow clock",
            {f"code_racer_event_log_clock_offset_seconds{{{INSTANCE}}}": "5x20"},
            fires=5,
            labels=WHERE,
            description="The clocks of a:8080 and of the event log differ by 5s.",
        ),
        Case("a long way", {f"code_racer_event_log_clock_offset_seconds{{{INSTANCE}}}": "-0.2x20"}, silent=(6, 15)),
    ),
)

_SET: Final = f"abs({last('code_racer_clock_ahead_seconds')})"
CLOCK_BREAKS_TOKENS: Final = Alert(
    name="CodeRacerClockSkew",
    severity=Severity.CRITICAL,
    expr=f"{_OFF} > {_SKEW['page_above_s']} or {_SET} > {_SKEW['page_above_s']}",
    hold="2m",
    keeps=KEEPS,
    summary="A clock is so far off that tokens are refused which are good, or taken which have ended.",
    description="The clock of {{ $labels.instance }} is off by {{ $value | humanizeDuration }}.",
    cases=(
        Case(
            "a minute slow",
            {f"code_racer_event_log_clock_offset_seconds{{{INSTANCE}}}": "60x20"},
            fires=2,
            labels=WHERE,
            description="The clock of a:8080 is off by 1m 0s.",
        ),
        Case(
            "set forward by an hour, without a shared event log",
            {
                f"code_racer_event_log_clock_offset_seconds{{{INSTANCE}}}": "0x20",
                f"code_racer_clock_ahead_seconds{{{INSTANCE}}}": "0x3 3600x20",
            },
            fires=6,
            labels=WHERE,
            description="The clock of a:8080 is off by 1h 0m 0s.",
        ),
        Case("half a second", {f"code_racer_event_log_clock_offset_seconds{{{INSTANCE}}}": "0.5x20"}, silent=(3, 15)),
    ),
)


_GAPS: Final = CONFIG["CodeRacerEventLogGaps"]
_EACH: Final = "(cluster, namespace, job, instance)"


def _grown(counter: str) -> str:
    return f"sum by {_EACH} (increase({counter}[{_GAPS['window']}]))"


GAPS: Final = Alert(
    name="CodeRacerEventLogGaps",
    severity=Severity.WARNING,
    expr=(
        f"{_grown('code_racer_event_log_gaps_total')} > {_GAPS['gaps']}\n"
        f"and {_grown('code_racer_event_log_gaps_total')}\n"
        f"  > {_GAPS['share']} * {_grown('code_racer_event_log_lag_seconds_count')}\n"
        f"unless on {_EACH} changes(code_racer_start_time_seconds[{_GAPS['starts_window']}]) > 0\n"
    ),
    hold="5m",
    summary="A replica misses what the event log tells live; it reads it again, and its players see it late.",
    description="{{ $labels.instance }} read {{ $value | humanize }} times in two minutes what it had not heard.",
    cases=(
        Case(
            "one commit in ten",
            {
                f"code_racer_event_log_gaps_total{{{INSTANCE}}}": "0+10x20",
                f"code_racer_event_log_lag_seconds_count{{{INSTANCE}}}": "0+100x20",
            },
            fires=6,
            labels=WHERE,
            description="a:8080 read 20 times in two minutes what it had not heard.",
        ),
        Case(
            "a restart: it hears of all its games anew",
            {
                f"code_racer_event_log_gaps_total{{{INSTANCE}}}": "40x9 0 130x20",
                f"code_racer_event_log_lag_seconds_count{{{INSTANCE}}}": "0+100x30",
            },
            silent=(9, 11, 12, 13, 14, 15, 16, 17, 18, 20, 25),
        ),
        Case(
            "three restarts, two minutes apart: it hears of all its games anew each time",
            {
                f"code_racer_start_time_seconds{{{INSTANCE}}}": "1x9 2x2 3x2 4x20",
                f"code_racer_event_log_gaps_total{{{INSTANCE}}}": "40x9 0 130 0 130 0 130x20",
                f"code_racer_event_log_lag_seconds_count{{{INSTANCE}}}": "0+100x9 0 100 0 100 0+100x20",
            },
            silent=tuple(range(11, 25)),
        ),
        Case(
            "another leader was elected",
            {
                f"code_racer_event_log_gaps_total{{{INSTANCE}}}": "0 5x20",
                f"code_racer_event_log_lag_seconds_count{{{INSTANCE}}}": "0+100x20",
            },
            silent=(3, 10),
        ),
    ),
)

SPLIT: Final = Alert(
    name="CodeRacerReplicasSplit",
    severity=Severity.CRITICAL,
    expr=(
        f"min by (cluster, namespace, job) ({last('code_racer_replicas')} and {_CONNECTED} == 1)\n"
        f"< count by (cluster, namespace, job) ({last('code_racer_ready')} == 1 and {_CONNECTED} == 1)\n"
    ),
    hold="2m",
    keeps=KEEPS,
    summary="Replicas do not know of each other: they serve from different event logs.",
    description="A replica knows of {{ $value }} replicas only, itself included; more are ready.",
    cases=(
        Case(
            "two replicas, a file each",
            {
                f"code_racer_replicas{{{INSTANCE}}}": "1x20",
                f"code_racer_replicas{{{_OTHER}}}": "1x20",
                f"code_racer_ready{{{INSTANCE}}}": "1x20",
                f"code_racer_ready{{{_OTHER}}}": "1x20",
                f"code_racer_event_log_connected{{{INSTANCE}}}": "1x20",
                f"code_racer_event_log_connected{{{_OTHER}}}": "1x20",
            },
            fires=2,
            labels=_JOB,
            description="A replica knows of 1 replicas only, itself included; more are ready.",
        ),
        Case(
            "one that has just gone is still known",
            {
                f"code_racer_replicas{{{INSTANCE}}}": "2x20",
                f"code_racer_ready{{{INSTANCE}}}": "1x20",
                f"code_racer_event_log_connected{{{INSTANCE}}}": "1x20",
            },
            silent=(3, 10),
        ),
    ),
)

_UNEVEN: Final = CONFIG["CodeRacerReplicaImbalance"]
_MOST: Final = f"max by (cluster, namespace, job) ({_OPEN})"
IMBALANCE: Final = Alert(
    name="CodeRacerReplicaImbalance",
    severity=Severity.WARNING,
    expr=(
        f"{_MOST}\n"
        f"> {_UNEVEN['connections']} + {_UNEVEN['times']} * (sum by (cluster, namespace, job) ({_OPEN}) - {_MOST})\n"
        f"  / (count by (cluster, namespace, job) ({_OPEN}) - 1)\n"
    ),
    hold="15m",
    summary="One replica has far more connections than the others.",
    description="A replica has {{ $value | humanize }} connections, over twice what the others have.",
    cases=(
        Case(
            "nobody goes to the new ones",
            {
                f"code_racer_ws_connections{{{INSTANCE}}}": "900x30",
                f"code_racer_ws_connections{{{_OTHER}}}": "100x30",
                'code_racer_ws_connections{job="code-racer", instance="c:8080"}': "100x30",
            },
            fires=15,
            labels=_JOB,
            description="A replica has 900 connections, over twice what the others have.",
        ),
        Case(
            "a quiet night",
            {
                f"code_racer_ws_connections{{{INSTANCE}}}": "60x30",
                f"code_racer_ws_connections{{{_OTHER}}}": "5x30",
            },
            silent=(16, 25),
        ),
    ),
)

REPLICAS: Final = Group(
    "code-racer-replicas",
    (FULL, STREAM_MISSING, DENIED, MISCONFIGURED, NEAR_FULL, CLOCK_SKEW, CLOCK_BREAKS_TOKENS, GAPS, SPLIT, IMBALANCE),
)
