"""Alerts of the canary: what players meet on the way to the service, which the service cannot see."""

from typing import Final

from alerts.config import CONFIG
from alerts.model import INSTANCE, KEEPS, Alert, Case, Group, Severity, gone, last

_C: Final = CONFIG["CodeRacerCanaryFailing"]
_UP: Final = f'up{{job="{CONFIG["jobs"]["canary"]}"}}'

_CANARY: Final = 'job="code-racer-canary", instance="c:9091"'
_WHERE: Final = {"job": "code-racer-canary", "instance": "c:9091"}


def _races(**outcomes: str) -> dict[str, str]:
    return {
        f'code_racer_canary_races_total{{{_CANARY}, outcome="{outcome}"}}': values
        for outcome, values in outcomes.items()
    }


def _grown(outcome: str = "") -> str:
    """Count the races of each canary in the window."""
    return (
        f"sum by (cluster, namespace, job, instance) (increase(code_racer_canary_races_total{outcome}[{_C['window']}]))"
    )


_OK: Final = 'code_racer_canary_races_total{outcome="ok"}'
_BAD: Final = _grown('{outcome!="ok"}')
FAILING: Final = Alert(
    name="CodeRacerCanaryFailing",
    severity=Severity.CRITICAL,
    expr=(
        f"{_BAD} / ({_grown()} >= {_C['races']}) > {_C['share']}\n"
        f"or (sum by (cluster, namespace, job, instance) (increase({_OK}[{_C['none_in']}])) == bool 0) == 1\n"
        f"  and sum by (cluster, namespace, job, instance) ({last(_OK, str(_C['none_in']))}) >= 0\n"
    ),
    hold=str(_C["for"]),
    keeps=KEEPS,
    summary="Races of the canary fail: players most likely cannot play, whatever the service itself shows.",
    description="{{ $value | humanizePercentage }} of the last races of the canary {{ $labels.instance }} failed.",
    cases=(
        Case(
            "the certificate has expired",
            _races(ok="0+2x20 40x20", unreachable="0x20 0+2x20"),
            fires=26,
            labels=_WHERE,
            description="35.71% of the last races of the canary c:9091 failed.",
        ),
        Case(
            "nine of ten fail",
            _races(ok="0x9 1x10 2x10", refused="0+1x9 9+1x10 19+1x10"),
            fires=5,
            labels=_WHERE,
            description="100% of the last races of the canary c:9091 failed.",
        ),
        Case(
            "it hangs: there is no race at all",
            _races(ok="0+2x20 40x20", unreachable="0x40"),
            fires=31,
            labels=_WHERE,
            description="100% of the last races of the canary c:9091 failed.",
        ),
        Case("one race in five fails", _races(ok="0+4x30", timeout="0+1x30"), silent=(7, 20)),
        Case(
            "races are seldom, and one of four fails",
            _races(ok="0x3 1x4 2x8 3x15", timeout="0x8 1x30"),
            silent=(7, 9, 12, 16, 20),
        ),
        Case("a canary that has just started", _races(ok="_x8 0 1 3 5+2x9", timeout="_x8 0x12"), silent=(9, 10, 15)),
    ),
)

DOWN: Final = Alert(
    name="CodeRacerCanaryDown",
    severity=Severity.WARNING,
    expr=f"{_UP} == 0 or ({gone(_UP)})",
    hold="5m",
    summary="The canary cannot be scraped: nobody looks at the service from outside.",
    description="The canary {{ $labels.instance }} has not answered its scrapes for more than five minutes.",
    cases=(
        Case(
            "it has crashed",
            {f"up{{{_CANARY}}}": "1 1 0x20"},
            fires=7,
            labels=_WHERE,
            description="The canary c:9091 has not answered its scrapes for more than five minutes.",
        ),
        Case(
            "it has vanished from discovery",
            {f"up{{{_CANARY}}}": "1x70 stale", f"up{{{INSTANCE}}}": "1x130"},
            fires=76,
            labels={"job": "code-racer-canary"},
            description="The canary  has not answered its scrapes for more than five minutes.",
        ),
        Case("a restart", {f"up{{{_CANARY}}}": "1 0 0 1 1 1 1 1 1"}, silent=(2, 8)),
    ),
)

CANARY: Final = Group("code-racer-canary", (FAILING, DOWN))
