"""Alerts on the parts of the service: the event log, the judge, the event loop, files, logs, traces, series."""

from typing import Final

from alerts.model import INSTANCE, WHERE, Alert, Case, Group, Severity

EVENT_LOG_DOWN: Final = Alert(
    name="CodeRacerEventLogDown",
    severity=Severity.CRITICAL,
    expr="code_racer_event_log_connected == 0 and code_racer_ready == 1",
    hold="1m",
    summary="The event log takes nothing: nobody can join, get ready or submit.",
    description="The event log of {{ $labels.instance }} has taken nothing for a minute.",
    cases=(
        Case(
            "lost",
            {f"code_racer_event_log_connected{{{INSTANCE}}}": "1 0x20", f"code_racer_ready{{{INSTANCE}}}": "1x20"},
            fires=2,
            labels=WHERE,
            description="The event log of a:8080 has taken nothing for a minute.",
        ),
        Case(
            "a start",
            {
                f"code_racer_event_log_connected{{{INSTANCE}}}": "0 0 0 1x9",
                f"code_racer_ready{{{INSTANCE}}}": "0 0 0 1x9",
            },
            silent=(2, 5),
        ),
    ),
)

JUDGE_FAILING: Final = Alert(
    name="CodeRacerJudgeFailing",
    severity=Severity.CRITICAL,
    expr=(
        'sum by (job) (increase(code_racer_submissions_total{verdict="judge_error"}[10m])) >= 3\n'
        'and sum by (job) (increase(code_racer_submissions_total{verdict="judge_error"}[10m]))\n'
        "  > 0.1 * sum by (job) (increase(code_racer_submissions_total[10m]))\n"
    ),
    hold="2m",
    summary="The judge is out of order: players get no verdict.",
    description="{{ $value | humanize }} submissions in ten minutes ended as judge_error, more than a tenth of all.",
    cases=(
        Case(
            "one in two fails",
            {
                f'code_racer_submissions_total{{{INSTANCE}, verdict="judge_error"}}': "0+5x20",
                f'code_racer_submissions_total{{{INSTANCE}, verdict="accepted"}}': "0+5x20",
            },
            fires=3,
            labels={"job": "code-racer"},
            description="15 submissions in ten minutes ended as judge_error, more than a tenth of all.",
        ),
        Case(
            "wrong answers are the players' own",
            {
                f'code_racer_submissions_total{{{INSTANCE}, verdict="judge_error"}}': "0x30",
                f'code_racer_submissions_total{{{INSTANCE}, verdict="wrong_answer"}}': "0+50x30",
            },
            silent=(5, 25),
        ),
    ),
)

JUDGE_BACKLOGGED: Final = Alert(
    name="CodeRacerJudgeBacklogged",
    severity=Severity.WARNING,
    expr="code_racer_judge_queue_depth > 50",
    hold="2m",
    summary="Submissions wait long for the judge.",
    description="{{ $value }} submissions wait for the judge of {{ $labels.instance }}.",
    cases=(
        Case(
            "a queue that does not shrink",
            {f"code_racer_judge_queue_depth{{{INSTANCE}}}": "0 60x20"},
            fires=3,
            labels=WHERE,
            description="60 submissions wait for the judge of a:8080.",
        ),
        Case("the end of a race", {f"code_racer_judge_queue_depth{{{INSTANCE}}}": "0 90 0 0 90 0"}, silent=(2, 5)),
    ),
)

EVENT_LOOP_LAG: Final = Alert(
    name="CodeRacerEventLoopLag",
    severity=Severity.WARNING,
    expr=(
        "histogram_quantile(0.99, sum by (job, instance, le)"
        " (rate(code_racer_event_loop_lag_seconds_bucket[5m]))) > 0.1"
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

FDS_NEAR_LIMIT: Final = Alert(
    name="CodeRacerFdsNearLimit",
    severity=Severity.WARNING,
    expr="code_racer_open_fds / code_racer_max_fds > 0.8",
    hold="5m",
    summary="Code Racer runs out of file descriptors: soon nobody can connect.",
    description="{{ $labels.instance }} has {{ $value | humanizePercentage }} of its file descriptors open.",
    cases=(
        Case(
            "nine in ten",
            {f"code_racer_open_fds{{{INSTANCE}}}": "0 900x20", f"code_racer_max_fds{{{INSTANCE}}}": "1000x20"},
            fires=6,
            labels=WHERE,
            description="a:8080 has 90% of its file descriptors open.",
        ),
        Case(
            "many, and room for more",
            {f"code_racer_open_fds{{{INSTANCE}}}": "9000x20", f"code_racer_max_fds{{{INSTANCE}}}": "1000000x20"},
            silent=(6, 15),
        ),
    ),
)

LOGS_DROPPED: Final = Alert(
    name="CodeRacerLogsDropped",
    severity=Severity.WARNING,
    expr="increase(code_racer_log_dropped_total[5m]) > 0",
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

TRACES_LOST: Final = Alert(
    name="CodeRacerTracesLost",
    severity=Severity.WARNING,
    expr='sum by (job, instance) (increase(code_racer_trace_spans_total{outcome=~"failed|dropped"}[10m])) > 0',
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
    expr="code_racer_metric_series / code_racer_metric_series_limit > 0.9",
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

PARTS: Final = Group(
    "code-racer-parts",
    (
        EVENT_LOG_DOWN,
        JUDGE_FAILING,
        JUDGE_BACKLOGGED,
        EVENT_LOOP_LAG,
        FDS_NEAR_LIMIT,
        LOGS_DROPPED,
        TRACES_LOST,
        SERIES_NEAR_LIMIT,
    ),
)
