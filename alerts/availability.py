"""Alerts on whether the service is there, and comes and goes as it should."""

from typing import Final

from alerts.model import INSTANCE, WHERE, Alert, Case, Group, Severity

DOWN: Final = Alert(
    name="CodeRacerDown",
    severity=Severity.CRITICAL,
    expr='up{job="code-racer"} == 0',
    hold="1m",
    summary="A Code Racer replica cannot be scraped.",
    description="{{ $labels.instance }} has not answered its scrapes for more than a minute.",
    cases=(
        Case(
            "a replica stops answering",
            {f"up{{{INSTANCE}}}": "1 1 0 0 0 0"},
            fires=3,
            labels=WHERE,
            description="a:8080 has not answered its scrapes for more than a minute.",
        ),
        Case("restarts within a scrape", {f"up{{{INSTANCE}}}": "1 0 1 0 1 1"}, silent=(3, 5)),
    ),
)

ABSENT: Final = Alert(
    name="CodeRacerAbsent",
    severity=Severity.CRITICAL,
    expr='absent(up{job="code-racer"})',
    hold="5m",
    summary="Prometheus knows of no Code Racer replica at all.",
    description="There has been no target of the job {{ $labels.job }} for five minutes.",
    cases=(
        Case(
            "the targets have gone",
            {'up{job="other"}': "1x30"},
            fires=5,
            labels={"job": "code-racer"},
            description="There has been no target of the job code-racer for five minutes.",
        ),
        Case("a target that is down is there", {f"up{{{INSTANCE}}}": "0x30"}, silent=(6, 20)),
    ),
)

NOT_READY: Final = Alert(
    name="CodeRacerNotReady",
    severity=Severity.WARNING,
    expr="code_racer_ready == 0 unless code_racer_draining == 1",
    hold="5m",
    summary="A Code Racer replica runs and takes no connections.",
    description="{{ $labels.instance }} has not been ready for five minutes, and is not shutting down.",
    cases=(
        Case(
            "stays unready",
            {f"code_racer_ready{{{INSTANCE}}}": "0x30", f"code_racer_draining{{{INSTANCE}}}": "0x30"},
            fires=5,
            labels=WHERE,
            description="a:8080 has not been ready for five minutes, and is not shutting down.",
        ),
        Case(
            "a drain",
            {f"code_racer_ready{{{INSTANCE}}}": "0x30", f"code_racer_draining{{{INSTANCE}}}": "1x30"},
            silent=(6, 20),
        ),
    ),
)

CRASH_LOOPING: Final = Alert(
    name="CodeRacerCrashLooping",
    severity=Severity.CRITICAL,
    expr="changes(code_racer_start_time_seconds[15m]) > 2",
    hold="0m",
    summary="A Code Racer replica starts again and again.",
    description="{{ $labels.instance }} has started {{ $value }} times more in 15 minutes.",
    cases=(
        Case(
            "three restarts",
            {f"code_racer_start_time_seconds{{{INSTANCE}}}": "100 100 200 200 300 300 400 400"},
            fires=6,
            labels=WHERE,
            description="a:8080 has started 3 times more in 15 minutes.",
        ),
        Case("a deploy", {f"code_racer_start_time_seconds{{{INSTANCE}}}": "100 100 200x20"}, silent=(3, 10)),
    ),
)

DRAIN_STUCK: Final = Alert(
    name="CodeRacerDrainStuck",
    severity=Severity.WARNING,
    expr="code_racer_draining == 1",
    hold="3m",
    summary="A Code Racer replica does not come to the end of its drain.",
    description="{{ $labels.instance }} has been shutting down for more than three minutes.",
    cases=(
        Case(
            "a drain without an end",
            {f"code_racer_draining{{{INSTANCE}}}": "0 1x20"},
            fires=4,
            labels=WHERE,
            description="a:8080 has been shutting down for more than three minutes.",
        ),
        Case("a drain in its time", {f"code_racer_draining{{{INSTANCE}}}": "0 1 1 stale"}, silent=(2, 4, 6)),
    ),
)

WATCHDOG: Final = Alert(
    name="CodeRacerWatchdog",
    severity=Severity.WARNING,
    expr="vector(1)",
    hold="0m",
    summary="Always there: while it arrives, Prometheus evaluates rules and Alertmanager delivers.",
    description="{{ $value }} is what it always says. Who receives it calls for help when it stops coming.",
    cases=(
        Case(
            "nothing is there at all",
            {'up{job="other"}': "0x30"},
            fires=2,
            description="1 is what it always says. Who receives it calls for help when it stops coming.",
        ),
    ),
    always=True,
)

AVAILABILITY: Final = Group("code-racer-availability", (WATCHDOG, DOWN, ABSENT, NOT_READY, CRASH_LOOPING, DRAIN_STUCK))
