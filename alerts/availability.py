"""Alerts on whether the service is there, and comes and goes as it should."""

from typing import Final

from alerts.config import CONFIG
from alerts.model import (
    INSTANCE,
    KEEPS,
    TARGETS,
    WHERE,
    Alert,
    Case,
    Group,
    Recording,
    Severity,
    gone,
    had_targets,
    last,
)
from alerts.share import page_and_ticket

_JOB: Final = str(CONFIG["jobs"]["service"])
_JOBS: Final = "|".join(str(CONFIG["jobs"][one]) for one in ("service", "canary", "supervisor", "nats"))
_UP: Final = f'up{{job="{_JOB}"}}'


DOWN, DOWN_ONE = page_and_ticket(
    Alert(
        name="CodeRacerDown",
        severity=Severity.CRITICAL,
        expr=f"{_UP} == 0",
        hold=str(CONFIG["CodeRacerDown"]["for"]),
        keeps=KEEPS,
        summary="A Code Racer replica cannot be scraped.",
        description="{{ $labels.instance }} has not answered its scrapes for more than a minute.",
        cases=(
            Case(
                "a replica stops answering",
                {f"up{{{INSTANCE}}}": "1 1 0x20"},
                fires=3,
                labels=WHERE,
                description="a:8080 has not answered its scrapes for more than a minute.",
            ),
            Case("restarts within a scrape", {f"up{{{INSTANCE}}}": "1 0 1 0 1 1"}, silent=(3, 5)),
        ),
    ),
    all_of_them=_UP,
    well="up",
)

ABSENT: Final = Alert(
    name="CodeRacerAbsent",
    severity=Severity.CRITICAL,
    expr=f"{gone(_JOB)}\nor absent({_UP}) unless on () {had_targets(_JOB)}\n",
    hold="5m",
    keeps=KEEPS,
    summary="Prometheus knows of no Code Racer replica any more, or of none at all.",
    description="There has been no target of the job {{ $labels.job }} for five minutes.",
    cases=(
        Case(
            "there never was one",
            {'up{job="other"}': "1x30"},
            fires=5,
            labels={"job": "code-racer"},
            description="There has been no target of the job code-racer for five minutes.",
        ),
        Case(
            "production's targets vanish from discovery, staging's stay",
            {
                'up{cluster="eu", namespace="prod", job="code-racer", instance="a:8080"}': "1x70 stale",
                'up{cluster="eu", namespace="staging", job="code-racer", instance="s:8080"}': "1x130",
            },
            fires=76,
            labels={"cluster": "eu", "namespace": "prod", "job": "code-racer"},
            description="There has been no target of the job code-racer for five minutes.",
        ),
        Case(
            "production stays away for a day, and is given up then",
            {
                'up{cluster="eu", namespace="prod", job="code-racer", instance="a:8080"}': "1x70 stale",
                'up{cluster="eu", namespace="staging", job="code-racer", instance="s:8080"}': "1x1600",
            },
            silent=(75, 1525),
            once=(1508, 1509),
        ),
        Case(
            "a namespace half an hour old vanishes, another stays",
            {
                'up{cluster="eu", namespace="prod", job="code-racer", instance="a:8080"}': "1x30 stale",
                'up{cluster="eu", namespace="staging", job="code-racer", instance="s:8080"}': "1x130",
            },
            fires=36,
            labels={"cluster": "eu", "namespace": "prod", "job": "code-racer"},
            description="There has been no target of the job code-racer for five minutes.",
        ),
        Case(
            "a deploy: others have come in their place",
            {f"up{{{INSTANCE}}}": "1x70 stale", 'up{job="code-racer", instance="b:8080"}': "_x72 1x60"},
            silent=(72, 80, 100),
        ),
        Case("a target that is down is there", {f"up{{{INSTANCE}}}": "0x30"}, silent=(6, 20)),
    ),
)

_FLAPPING: Final = CONFIG["CodeRacerScrapesFlapping"]
FLAPPING: Final = Alert(
    name="CodeRacerScrapesFlapping",
    severity=Severity.WARNING,
    expr=f'changes(up{{job=~"{_JOBS}"}}[{_FLAPPING["window"]}]) > {_FLAPPING["changes"]}',
    hold="5m",
    summary="Scrapes fail and work by turns: alerts hear of this target late, or not at all.",
    description="{{ $labels.instance }} was reached and not reached {{ $value }} times by turns in 15 minutes.",
    cases=(
        Case(
            "every other scrape fails",
            {f"up{{{INSTANCE}}}": "1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0"},
            fires=14,
            labels=WHERE,
            description="a:8080 was reached and not reached 14 times by turns in 15 minutes.",
        ),
        Case("three restarts", {f"up{{{INSTANCE}}}": "1 0 1 1 0 1 1 0 1x20"}, silent=(8, 14, 20)),
    ),
)

_READY: Final = CONFIG["CodeRacerNotReady"]
_OPERATORS_DRAIN: Final = last('code_racer_operator_changes{action="drain"}')
_NONE_IS_READY: Final = (
    f"max by (cluster, namespace, job) (\n  {last('code_racer_ready')}\n"
    f"  unless ({last('code_racer_draining')} == 1\n"
    f"    unless on (cluster, namespace, job, instance) {_OPERATORS_DRAIN} == 1)\n"
    f"  unless {last('code_racer_event_log_connected')} == 0\n) == 0\n"
)
"""Of those that are neither about to end nor without event log, which has a page of its own.

Whom an operator drains stays: where that is all of them, nobody can come in, and no deploy will change it.
"""


def _ready(*replicas: tuple[str, str], connected: str = "1x30", by_operators: bool = False) -> dict[str, str]:
    """Make series of replicas: whether each is ready and whether it drains, over time; the drains may be operators'."""
    series: dict[str, str] = {}
    for name, (ready, draining) in zip("ab", replicas, strict=False):
        where = f'{{job="code-racer", instance="{name}:8080"}}'
        series[f"code_racer_ready{where}"] = ready
        series[f"code_racer_draining{where}"] = draining
        changes = draining if by_operators else "0x30"
        series[f'code_racer_operator_changes{{job="code-racer", instance="{name}:8080", action="drain"}}'] = changes
        series[f"code_racer_event_log_connected{where}"] = connected
    return series


NONE_READY: Final = Alert(
    name="CodeRacerNotReady",
    severity=Severity.CRITICAL,
    expr=_NONE_IS_READY,
    hold=str(_READY["page_for"]),
    keeps=KEEPS,
    summary="No Code Racer replica takes connections, though they run: nobody can come in.",
    description="Not one replica of the job {{ $labels.job }} has been ready for three minutes.",
    cases=(
        Case(
            "both run, and neither is ready",
            _ready(("1 0x30", "0x30"), ("1 1 0x30", "0x30")),
            fires=5,
            labels={"job": "code-racer"},
            description="Not one replica of the job code-racer has been ready for three minutes.",
        ),
        Case(
            "a deploy of a release that does not become ready, and the one before is draining",
            _ready(("1 1 0x30", "0 0 1x30"), ("_ _ 0x30", "_ _ 0x30")),
            fires=5,
            labels={"job": "code-racer"},
            description="Not one replica of the job code-racer has been ready for three minutes.",
        ),
        Case(
            "operators drain one after the other, and forget to take it back",
            _ready(("1 0x30", "0 1x30"), ("1 1 0x30", "0 0 1x30"), by_operators=True),
            fires=5,
            labels={"job": "code-racer"},
            description="Not one replica of the job code-racer has been ready for three minutes.",
        ),
        Case(
            "an operator drains one of two",
            _ready(("1 0x30", "0 1x30"), ("1x30", "0x30"), by_operators=True),
            silent=(5, 20),
        ),
        Case(
            "they are ready for a moment now and then",
            _ready(("1 0x5 1 1 0x5 1 1 0x20", "0x60")),
            silent=(3,),
            once=(4, 25),
        ),
        Case("one of two, which is a ticket later", _ready(("0x30", "0x30"), ("1x30", "0x30")), silent=(4,)),
        Case("a lone replica starts, and takes two minutes", _ready(("_ 0 0 1x30", "_ 0 0 0x30")), silent=(4, 5, 20)),
        Case(
            "a rolling deploy: one drains and ends, the next starts",
            _ready(("1 1 0 0 stale", "0 0 1 1 stale"), ("_ _ 0 0 1x30", "_ _ 0 0 0x30")),
            silent=(3, 4, 5, 6, 20),
        ),
        Case("a lone replica ends", _ready(("1 0x4 stale", "0 1x4 stale")), silent=(4, 5, 6, 10)),
        Case("the event log is away, a page of its own", _ready(("0x30", "0x30"), connected="0x30"), silent=(4,)),
    ),
)

NOT_READY: Final = Alert(
    name="CodeRacerNotReady",
    severity=Severity.WARNING,
    expr=(
        f"{last('code_racer_ready')} == 0 unless {last('code_racer_draining')} == 1\n"
        f"unless on (cluster, namespace, job) {_NONE_IS_READY}"
    ),
    hold=str(_READY["ticket_for"]),
    summary="A Code Racer replica runs and takes no connections.",
    description="{{ $labels.instance }} has not been ready for five minutes, and is not shutting down.",
    cases=(
        Case(
            "one of two stays unready",
            _ready(("0x30", "0x30"), ("1x30", "0x30")),
            fires=5,
            labels=WHERE,
            description="a:8080 has not been ready for five minutes, and is not shutting down.",
        ),
        Case(
            "all do, for want of the event log",
            _ready(("0x30", "0x30"), connected="0x30"),
            fires=5,
            labels=WHERE,
            description="a:8080 has not been ready for five minutes, and is not shutting down.",
        ),
        Case("a drain", _ready(("0x30", "1x30"), ("1x30", "0x30")), silent=(6, 20)),
    ),
)

_LOOPING: Final = CONFIG["CodeRacerCrashLooping"]
_STARTS: Final = f"changes(code_racer_start_time_seconds[{_LOOPING['window']}])"
_DRAINS: Final = f"changes(code_racer_draining[{_LOOPING['window']}]) / 2"
_LOOPS: Final = f"({_STARTS} - {_DRAINS} > {_LOOPING['crashes']} or {_STARTS} > {_LOOPING['starts']})"

"""Starts that no drain went before; a drain is seen as two changes. So many that no deploy explains them count too."""


def _starts(starts: str, drains: str = "0x40") -> dict[str, str]:
    return {
        f"up{{{INSTANCE}}}": "1x40",
        f"code_racer_start_time_seconds{{{INSTANCE}}}": starts,
        f"code_racer_draining{{{INSTANCE}}}": drains,
    }


CRASH_LOOPING, CRASH_LOOPING_ONE = page_and_ticket(
    Alert(
        name="CodeRacerCrashLooping",
        severity=Severity.CRITICAL,
        expr=_LOOPS,
        hold="0m",
        keeps=KEEPS,
        summary="A Code Racer replica starts again and again.",
        description="{{ $labels.instance }} has started {{ $value }} times more in 15 minutes.",
        cases=(
            Case(
                "four crashes",
                _starts("100 100 200 200 300 300 400 400 500x20"),
                fires=8,
                labels=WHERE,
                description="a:8080 has started 4 times more in 15 minutes.",
            ),
            Case(
                "three orderly restarts, whose drains no scrape saw",
                _starts("100x2 200x2 300x2 400x20"),
                silent=(9, 15),
            ),
            Case(
                "six orderly restarts, as scrapes see them",
                _starts("1 1 2 2 3 3 4 4 5 5 6 6 7x20", "0 1 0 1 0 1 0 1 0 1 0 1 0x20"),
                silent=(6, 10, 12, 14),
            ),
        ),
    ),
    all_of_them=_UP,
    well="up",
)

DRAIN_STUCK: Final = Alert(
    name="CodeRacerDrainStuck",
    severity=Severity.WARNING,
    expr=f"{last('code_racer_draining')} == 1\nunless on (cluster, namespace, job, instance) {_OPERATORS_DRAIN} == 1",
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
        Case(
            "an operator has it go empty and stay, for a time",
            {
                f"code_racer_draining{{{INSTANCE}}}": "0 1x20",
                f'code_racer_operator_changes{{{INSTANCE}, action="drain"}}': "0 1x20",
            },
            silent=(4, 10, 20),
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

TARGETS_SEEN: Final = Group(
    "code-racer-targets",
    (Recording(TARGETS, f'group by (cluster, namespace, job) (up{{job=~"{_JOBS}"}})'),),
    "5m",
)
AVAILABILITY: Final = Group(
    "code-racer-availability",
    (WATCHDOG, DOWN, DOWN_ONE, ABSENT, FLAPPING, NOT_READY, NONE_READY, CRASH_LOOPING, CRASH_LOOPING_ONE, DRAIN_STUCK),
)
