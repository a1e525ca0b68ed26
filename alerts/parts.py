"""Alerts on the parts of the service: the event log, the judge, the event loop, files, logs, traces, series."""

from typing import Final

from alerts.model import INSTANCE, WHERE, Alert, Case, Group, Severity


def _appended(fast: str, slow: str) -> dict[str, str]:
    """Appends under 100 ms, and further ones under 250 ms."""
    family = "code_racer_event_log_append_seconds"
    return {
        f'{family}_bucket{{{INSTANCE}, outcome="accepted", le="0.1", part="fast"}}': fast,
        f'{family}_bucket{{{INSTANCE}, outcome="accepted", le="0.25", part="fast"}}': fast,
        f'{family}_bucket{{{INSTANCE}, outcome="accepted", le="+Inf", part="fast"}}': fast,
        f'{family}_bucket{{{INSTANCE}, outcome="accepted", le="0.25", part="slow"}}': slow,
        f'{family}_bucket{{{INSTANCE}, outcome="accepted", le="+Inf", part="slow"}}': slow,
        f'{family}_count{{{INSTANCE}, outcome="accepted", part="fast"}}': fast,
        f'{family}_count{{{INSTANCE}, outcome="accepted", part="slow"}}': slow,
    }


def _memory(used: str, connections: str) -> dict[str, str]:
    return {
        f"code_racer_memory_bytes{{{INSTANCE}}}": used,
        f"code_racer_ws_connections{{{INSTANCE}}}": connections,
        f'code_racer_games{{{INSTANCE}, state="running"}}': "100x120",
    }


EVENT_LOG_DOWN: Final = Alert(
    name="CodeRacerEventLogDown",
    severity=Severity.CRITICAL,
    expr="code_racer_event_log_connected == 0",
    hold="1m",
    summary="The event log takes nothing: nobody can join, get ready or submit.",
    description="The event log of {{ $labels.instance }} has taken nothing for a minute.",
    cases=(
        Case(
            "lost",
            {f"code_racer_event_log_connected{{{INSTANCE}}}": "1 0x20"},
            fires=2,
            labels=WHERE,
            description="The event log of a:8080 has taken nothing for a minute.",
        ),
        Case(
            "a start",
            {f"code_racer_event_log_connected{{{INSTANCE}}}": "_ 0 1x9"},
            silent=(2, 5),
        ),
    ),
)

EVENT_LOG_SLOW: Final = Alert(
    name="CodeRacerEventLogSlow",
    severity=Severity.WARNING,
    expr=(
        "histogram_quantile(0.9, sum by (namespace, job, instance, le)"
        ' (rate(code_racer_event_log_append_seconds_bucket{outcome="accepted"}[5m]))) > 0.1\n'
        "and sum by (namespace, job, instance)"
        ' (increase(code_racer_event_log_append_seconds_count{outcome="accepted"}[5m])) >= 10\n'
    ),
    hold="5m",
    summary="The event log takes long: so does all that players do in a game.",
    description="One append in ten takes the event log of {{ $labels.instance }} over {{ $value | humanizeDuration }}.",
    cases=(
        Case(
            "a busy disk",
            _appended(fast="0+60x20", slow="0+60x20"),
            fires=6,
            labels=WHERE,
            description="One append in ten takes the event log of a:8080 over 220ms.",
        ),
        Case("one in a hundred", _appended(fast="0+990x20", slow="0+10x20"), silent=(7, 15)),
        Case("two appends in a quiet night", _appended(fast="0x20", slow="0 2x20"), silent=(2, 7, 15)),
    ),
)

GAMES_STUCK: Final = Alert(
    name="CodeRacerGamesStuck",
    severity=Severity.CRITICAL,
    expr="code_racer_game_overdue_seconds > 30",
    hold="1m",
    summary="Games do not move on: they do not start, do not end, or keep players who are gone.",
    description="A game of {{ $labels.instance }} is {{ $value | humanizeDuration }} past its deadline.",
    cases=(
        Case(
            "a game that cannot end",
            {f"code_racer_game_overdue_seconds{{{INSTANCE}}}": "0 40+60x20"},
            fires=2,
            labels=WHERE,
            description="A game of a:8080 is 1m 40s past its deadline.",
        ),
        Case(
            "late again and again, and then on",
            {f"code_racer_game_overdue_seconds{{{INSTANCE}}}": "0 40 0 40 0 40 0 40 0"},
            silent=(2, 4, 7),
        ),
    ),
)

JUDGE_FAILING: Final = Alert(
    name="CodeRacerJudgeFailing",
    severity=Severity.CRITICAL,
    expr=(
        'sum by (namespace, job) (increase(code_racer_submissions_total{verdict="judge_error"}[10m])) >= 3\n'
        'and sum by (namespace, job) (increase(code_racer_submissions_total{verdict="judge_error"}[10m]))\n'
        "  > 0.1 * sum by (namespace, job) (increase(code_racer_submissions_total[10m]))\n"
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

OVERLOADED: Final = Alert(
    name="CodeRacerOverloaded",
    severity=Severity.WARNING,
    expr="max by (namespace, job, instance, cause) (code_racer_overloaded) == 1",
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
    expr="increase(code_racer_faults_total[15m]) > 0",
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

MEMORY_GROWTH: Final = Alert(
    name="CodeRacerMemoryGrowth",
    severity=Severity.WARNING,
    expr=(
        "code_racer_memory_bytes - code_racer_memory_bytes offset 1h > 256 * 1024 * 1024\n"
        "and code_racer_ws_connections <= 1.1 * code_racer_ws_connections offset 1h\n"
        "and sum by (namespace, job, instance) (code_racer_games)\n"
        "  <= 1.1 * sum by (namespace, job, instance) (code_racer_games offset 1h)\n"
    ),
    hold="5m",
    summary="Code Racer takes more and more memory for the same number of connections and games.",
    description="{{ $labels.instance }} takes {{ $value | humanize1024 }}B more than an hour ago, for no more players.",
    cases=(
        Case(
            "a leak",
            _memory("100000000+8388608x90", connections="500x90"),
            fires=65,
            labels=WHERE,
            description="a:8080 takes 480MiB more than an hour ago, for no more players.",
        ),
        Case("many more players", _memory("100000000+8388608x90", connections="500+50x90"), silent=(66, 85)),
        Case("a restart", _memory("900000000x30 100000000x90", connections="500x120"), silent=(40, 66, 85)),
    ),
)

SIGNING_KEYS: Final = Alert(
    name="CodeRacerSigningKeysFailing",
    severity=Severity.WARNING,
    expr=(
        "sum by (namespace, job, instance)"
        ' (increase(code_racer_signing_key_fetches_total{outcome="failed"}[15m])) > 0\n'
        "unless sum by (namespace, job, instance)"
        ' (increase(code_racer_signing_key_fetches_total{outcome="fetched"}[15m])) > 0\n'
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

EVENT_LOOP_LAG: Final = Alert(
    name="CodeRacerEventLoopLag",
    severity=Severity.WARNING,
    expr=(
        "histogram_quantile(0.99, sum by (namespace, job, instance, le)"
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
    expr=(
        'sum by (namespace, job, instance) (increase(code_racer_trace_spans_total{outcome=~"failed|dropped"}[10m])) > 0'
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

GAMES: Final = Group(
    "code-racer-games",
    (
        EVENT_LOG_DOWN,
        EVENT_LOG_SLOW,
        GAMES_STUCK,
        JUDGE_FAILING,
        JUDGE_BACKLOGGED,
    ),
)

RUNTIME: Final = Group(
    "code-racer-runtime",
    (
        OVERLOADED,
        FAULTS,
        EVENT_LOOP_LAG,
        MEMORY_GROWTH,
        FDS_NEAR_LIMIT,
        SIGNING_KEYS,
        LOGS_DROPPED,
        TRACES_LOST,
        SERIES_NEAR_LIMIT,
    ),
)
