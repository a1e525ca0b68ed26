"""Alerts on the process: what it can take, what it uses, its keys, its logs, traces and series."""

from typing import Final

from alerts.config import CONFIG
from alerts.model import INSTANCE, WHERE, Alert, Case, Group, Severity, last

_AGO: Final = str(CONFIG["CodeRacerMemoryGrowth"]["ago"])
_MEMORY: Final = last("code_racer_memory_bytes")
_MEMORY_BEFORE: Final = last("code_racer_memory_bytes", _AGO)
_OPEN: Final = last("code_racer_ws_connections")
_OPEN_BEFORE: Final = last("code_racer_ws_connections", _AGO)
_REPLICA: Final = "cluster, namespace, job, instance"
_GAMES: Final = f"sum by ({_REPLICA}) ({last('code_racer_games')})"
_GAMES_BEFORE: Final = f"sum by ({_REPLICA}) ({last('code_racer_games', _AGO)})"


def _growth(now: str, before: str) -> str:
    """Measure how many times more there are than before, at least once: memory may have grown as much."""
    return f"clamp_min({now} / clamp_min({before}, 1), 1)"


def _memory(used: str, connections: str) -> dict[str, str]:
    return {
        f"code_racer_memory_bytes{{{INSTANCE}}}": used,
        f"code_racer_ws_connections{{{INSTANCE}}}": connections,
        f'code_racer_games{{{INSTANCE}, state="running"}}': "100x120",
    }


OVERLOADED: Final = Alert(
    name="CodeRacerOverloaded",
    severity=Severity.WARNING,
    expr=f"max by (cluster, namespace, job, instance, cause) ({last('code_racer_overloaded')}) == 1",
    hold="2m",
    summary="A replica refuses new connections: it has more to do than it can.",
    description="{{ $labels.instance }} refuses new connections because of {{ $labels.cause }}.",
    cases=(
        Case(
            "too late for everything",
            {f'code_racer_overloaded{{{INSTANCE}, cause="loop_lag"}}': "0 1x20"},
            fires=3,
            labels={**WHERE, "cause": "loop_lag"},
            description="a:8080 refuses new connections because of loop_lag.",
        ),
        Case(
            "a moment of it",
            {f'code_racer_overloaded{{{INSTANCE}, cause="loop_lag"}}': "0 1 1 0 0 1 0"},
            silent=(3, 4, 6),
        ),
    ),
)

FAULTS: Final = Alert(
    name="CodeRacerFaults",
    severity=Severity.WARNING,
    expr=f"increase(code_racer_faults_total[{CONFIG['CodeRacerFaults']['window']}]) > 0",
    hold="0m",
    summary="Code Racer ran into something that it has no answer for: most likely a mistake of ours.",
    description="{{ $value | humanize }} faults of {{ $labels.instance }} in 15 minutes; see app.fault in the log.",
    cases=(
        Case(
            "one a minute",
            {f"code_racer_faults_total{{{INSTANCE}}}": "0 0 0+1x20"},
            fires=3,
            labels=WHERE,
            description="1 faults of a:8080 in 15 minutes; see app.fault in the log.",
        ),
        Case("long ago", {f"code_racer_faults_total{{{INSTANCE}}}": "7x30"}, silent=(5, 20)),
        Case("a restart", {f"code_racer_faults_total{{{INSTANCE}}}": "7x5 0x20"}, silent=(5, 7, 20)),
    ),
)

_LAG: Final = CONFIG["CodeRacerEventLoopLag"]
EVENT_LOOP_LAG: Final = Alert(
    name="CodeRacerEventLoopLag",
    severity=Severity.WARNING,
    expr=(
        "histogram_quantile(0.99, sum by (cluster, namespace, job, instance, le)"
        f" (rate(code_racer_event_loop_lag_seconds_bucket[{_LAG['window']}]))) > {_LAG['late_s']}"
    ),
    hold="5m",
    summary="Code Racer's event loop is late: everything is.",
    description="One look in a hundred found the loop of {{ $labels.instance }} {{ $value | humanizeDuration }} late.",
    cases=(
        Case(
            "late at each look",
            {
                f'code_racer_event_loop_lag_seconds_bucket{{{INSTANCE}, le="0.1"}}': "0x30",
                f'code_racer_event_loop_lag_seconds_bucket{{{INSTANCE}, le="0.25"}}': "0+240x30",
                f'code_racer_event_loop_lag_seconds_bucket{{{INSTANCE}, le="+Inf"}}': "0+240x30",
            },
            fires=6,
            labels=WHERE,
            description="One look in a hundred found the loop of a:8080 248.5ms late.",
        ),
        Case(
            "one long pause",
            {
                f'code_racer_event_loop_lag_seconds_bucket{{{INSTANCE}, le="0.1"}}': "0+240x30",
                f'code_racer_event_loop_lag_seconds_bucket{{{INSTANCE}, le="0.25"}}': "0+240x30",
                f'code_racer_event_loop_lag_seconds_bucket{{{INSTANCE}, le="+Inf"}}': "0+240x10 2401+240x19",
            },
            silent=(12, 20),
        ),
    ),
)

_GROWN: Final = CONFIG["CodeRacerMemoryGrowth"]["mebibytes"]
MEMORY_GROWTH: Final = Alert(
    name="CodeRacerMemoryGrowth",
    severity=Severity.WARNING,
    expr=(
        f"{_MEMORY} - {_MEMORY_BEFORE} * {_growth(_OPEN, _OPEN_BEFORE)} > {_GROWN} * 1024 * 1024\n"
        f"and {_MEMORY} - on ({_REPLICA}) {_MEMORY_BEFORE} * on ({_REPLICA})\n"
        f"  {_growth(_GAMES, _GAMES_BEFORE)} > {_GROWN} * 1024 * 1024\n"
    ),
    hold="5m",
    summary="Code Racer takes more and more memory, and its connections and games do not explain it.",
    description="{{ $labels.instance }} takes {{ $value | humanize1024 }}B more than an hour of its players explains.",
    cases=(
        Case(
            "a leak",
            _memory("100000000+8388608x90", connections="500x90"),
            fires=65,
            labels=WHERE,
            description="a:8080 takes 480MiB more than an hour of its players explains.",
        ),
        Case(
            "each connection takes more and more, while more come",
            _memory("100000000+8388608x90", connections="500+5x90"),
            fires=65,
            labels=WHERE,
            description="a:8080 takes 402.6MiB more than an hour of its players explains.",
        ),
        Case("many more players", _memory("100000000+8388608x90", connections="500+50x90"), silent=(66, 85)),
        Case("a restart", _memory("900000000x30 100000000x90", connections="500x120"), silent=(40, 66, 85)),
    ),
)

_KEYS: Final = CONFIG["CodeRacerSigningKeysFailing"]
SIGNING_KEYS: Final = Alert(
    name="CodeRacerSigningKeysFailing",
    severity=Severity.WARNING,
    expr=(
        "sum by (cluster, namespace, job, instance)"
        f' (increase(code_racer_signing_key_fetches_total{{outcome="failed"}}[{_KEYS["window"]}])) > 0\n'
        "unless sum by (cluster, namespace, job, instance)"
        f' (increase(code_racer_signing_key_fetches_total{{outcome="fetched"}}[{_KEYS["window"]}])) > 0\n'
    ),
    hold="5m",
    summary="The public keys that tokens are verified with cannot be fetched; once they are too old nobody gets in.",
    description="{{ $labels.instance }} has tried {{ $value | humanize }} times in 15 minutes, and never got them.",
    cases=(
        Case(
            "the identity provider is gone",
            {
                f'code_racer_signing_key_fetches_total{{{INSTANCE}, outcome="failed"}}': "0 0 0+1x40",
                f'code_racer_signing_key_fetches_total{{{INSTANCE}, outcome="fetched"}}': "9x60",
            },
            fires=8,
            labels=WHERE,
            description="a:8080 has tried 6 times in 15 minutes, and never got them.",
        ),
        Case(
            "one try that failed",
            {
                f'code_racer_signing_key_fetches_total{{{INSTANCE}, outcome="failed"}}': "0 0 1x40",
                f'code_racer_signing_key_fetches_total{{{INSTANCE}, outcome="fetched"}}': "9 9 9 10 10+1x40",
            },
            silent=(5, 9, 20),
        ),
    ),
)

LOGS_DROPPED: Final = Alert(
    name="CodeRacerLogsDropped",
    severity=Severity.WARNING,
    expr=f"increase(code_racer_log_dropped_total[{CONFIG['CodeRacerLogsDropped']['window']}]) > 0",
    hold="2m",
    summary="Code Racer loses log lines.",
    description="{{ $labels.instance }} could not write {{ $value | humanize }} log lines in five minutes.",
    cases=(
        Case(
            "ten a minute",
            {f"code_racer_log_dropped_total{{{INSTANCE}}}": "0 0+10x20"},
            fires=4,
            labels=WHERE,
            description="a:8080 could not write 30 log lines in five minutes.",
        ),
        Case("lost long ago", {f"code_racer_log_dropped_total{{{INSTANCE}}}": "77x30"}, silent=(5, 20)),
    ),
)

_TRACES: Final = CONFIG["CodeRacerTracesLost"]
TRACES_LOST: Final = Alert(
    name="CodeRacerTracesLost",
    severity=Severity.WARNING,
    expr=(
        "sum by (cluster, namespace, job, instance)"
        f' (increase(code_racer_trace_spans_total{{outcome=~"failed|dropped"}}[{_TRACES["window"]}])) > 0'
    ),
    hold="10m",
    summary="The collector does not take Code Racer's traces.",
    description="{{ $labels.instance }} has lost {{ $value | humanize }} spans in ten minutes.",
    cases=(
        Case(
            "ten a minute",
            {f'code_racer_trace_spans_total{{{INSTANCE}, outcome="failed"}}': "0+10x40"},
            fires=11,
            labels=WHERE,
            description="a:8080 has lost 100 spans in ten minutes.",
        ),
        Case(
            "they arrive",
            {f'code_racer_trace_spans_total{{{INSTANCE}, outcome="exported"}}': "0+10x40"},
            silent=(15, 30),
        ),
    ),
)

SERIES_NEAR_LIMIT: Final = Alert(
    name="CodeRacerSeriesNearLimit",
    severity=Severity.WARNING,
    expr=(
        f"{last('code_racer_metric_series')} / {last('code_racer_metric_series_limit')}"
        f" > {CONFIG['CodeRacerSeriesNearLimit']['above']}"
    ),
    hold="10m",
    summary="Code Racer's metrics are about to lose their detail.",
    description="{{ $labels.instance }} exposes {{ $value | humanizePercentage }} of the series it may.",
    cases=(
        Case(
            "nearly full",
            {
                f"code_racer_metric_series{{{INSTANCE}}}": "0 4800x20",
                f"code_racer_metric_series_limit{{{INSTANCE}}}": "5000x20",
            },
            fires=11,
            labels=WHERE,
            description="a:8080 exposes 96% of the series it may.",
        ),
        Case(
            "as shipped",
            {
                f"code_racer_metric_series{{{INSTANCE}}}": "1100x30",
                f"code_racer_metric_series_limit{{{INSTANCE}}}": "5000x30",
            },
            silent=(12, 25),
        ),
    ),
)

_LOG_BUDGET: Final = CONFIG["CodeRacerLogBudget"]
_LOG_BYTES: Final = "code_racer_log_bytes_total"
_HANDSHAKES: Final = "code_racer_ws_handshakes_total"


def _lately(counted: str) -> str:
    return f"sum by (cluster, namespace, job) (increase({counted}[{_LOG_BUDGET['window']}]))"


_TAKEN: Final = _lately(f'{_HANDSHAKES}{{outcome="accepted"}}')
_REFUSED: Final = (
    f'{_HANDSHAKES}{{outcome!="accepted"}}',
    'code_racer_http_requests_total{status="4xx"}',
    "code_racer_ws_errors_total",
)
"""What is told in a line each, and is no connection that was taken."""


def _connections_and_log(taken: str, written: str, **more: str) -> dict[str, str]:
    return {
        f'{_HANDSHAKES}{{{INSTANCE}, outcome="accepted"}}': taken,
        f"{_LOG_BYTES}{{{INSTANCE}}}": written,
        **more,
    }


LOG_BUDGET: Final = Alert(
    name="CodeRacerLogBudget",
    severity=Severity.WARNING,
    expr=(
        f"{_lately(_LOG_BYTES)} / {_TAKEN} > {_LOG_BUDGET['times']} * {_LOG_BUDGET['racing_bytes']}\n"
        f"and {_TAKEN} >= {_LOG_BUDGET['connections']}\n"
        + "".join(f"unless {_lately(one)} > {_TAKEN}\n" for one in _REFUSED)
    ),
    hold="15m",
    summary="Code Racer writes more log for each connection than a release is to.",
    description="{{ $value | humanize1024 }}B of log are written for each connection that is taken.",
    cases=(
        Case(
            "four kilobytes for each of ten a minute",
            _connections_and_log("0+10x90", "0+40960x90"),
            fires=21,
            labels={"job": "code-racer"},
            description="4kiB of log are written for each connection that is taken.",
        ),
        Case("as shipped", _connections_and_log("0+10x90", "0+16000x90"), silent=(25, 60)),
        Case(
            "somebody tries forged tokens, a line each, while few come",
            _connections_and_log(
                "0+10x90",
                "0+400000x90",
                **{f'{_HANDSHAKES}{{{INSTANCE}, outcome="unauthorized"}}': "0+1000x90"},
            ),
            silent=(25, 60),
        ),
        Case(
            "a quiet night, in which lines of its own are most",
            _connections_and_log("0+1x90", "0+9000x90"),
            silent=(25, 60),
        ),
    ),
)

_SERIES_BUDGET: Final = CONFIG["CodeRacerSeriesBudget"]["series"]

SERIES_BUDGET: Final = Alert(
    name="CodeRacerSeriesBudget",
    severity=Severity.WARNING,
    expr=f"{last('code_racer_metric_series')} > {_SERIES_BUDGET}",
    hold="10m",
    summary="A replica exposes more series than a release is to have.",
    description="{{ $labels.instance }} exposes {{ $value }} series.",
    cases=(
        Case(
            "a release with half as many again",
            {f"code_racer_metric_series{{{INSTANCE}}}": "1912 2900x20"},
            fires=11,
            labels=WHERE,
            description="a:8080 exposes 2900 series.",
        ),
        Case(
            "as shipped, on many replicas",
            {f'code_racer_metric_series{{job="code-racer", instance="{one}:8080"}}': "1912x30" for one in "abc"},
            silent=(12, 25),
        ),
    ),
)

RUNTIME: Final = Group(
    "code-racer-runtime",
    (
        OVERLOADED,
        FAULTS,
        EVENT_LOOP_LAG,
        MEMORY_GROWTH,
        SIGNING_KEYS,
        LOGS_DROPPED,
        TRACES_LOST,
        SERIES_NEAR_LIMIT,
        LOG_BUDGET,
        SERIES_BUDGET,
    ),
)
