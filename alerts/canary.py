"""Alerts of the canary: what players meet on the way to the service, which the service cannot see."""

from typing import Final

from alerts.model import Alert, Case, Group, Severity

_CANARY: Final = 'job="code-racer-canary", instance="c:9091"'
_WHERE: Final = {"job": "code-racer-canary", "instance": "c:9091"}


def _races(**outcomes: str) -> dict[str, str]:
    return {
        f'code_racer_canary_races_total{{{_CANARY}, outcome="{outcome}"}}': values
        for outcome, values in outcomes.items()
    }


FAILING: Final = Alert(
    name="CodeRacerCanaryFailing",
    severity=Severity.CRITICAL,
    expr=('sum by (namespace, job, instance) (increase(code_racer_canary_races_total{outcome="ok"}[5m])) == 0'),
    hold="1m",
    summary="No race of the canary goes well: players most likely cannot play, whatever the service itself shows.",
    description="The canary {{ $labels.instance }} has not brought a race to its end for five minutes.",
    cases=(
        Case(
            "the certificate has expired",
            _races(ok="0+2x10 20x20", unreachable="0x10 0+2x20"),
            fires=16,
            labels=_WHERE,
            description="The canary c:9091 has not brought a race to its end for five minutes.",
        ),
        Case("one race in two fails", _races(ok="0+1x30", timeout="0+1x30"), silent=(7, 20)),
        Case("a canary that has just started", _races(ok="_x8 0 1 3 5+2x9"), silent=(9, 10, 15)),
    ),
)

DOWN: Final = Alert(
    name="CodeRacerCanaryDown",
    severity=Severity.WARNING,
    expr='up{job="code-racer-canary"} == 0',
    hold="5m",
    summary="The canary cannot be scraped: nobody looks at the service from outside.",
    description="{{ $labels.instance }} has not answered its scrapes for more than five minutes.",
    cases=(
        Case(
            "it has crashed",
            {f"up{{{_CANARY}}}": "1 1 0x20"},
            fires=7,
            labels=_WHERE,
            description="c:9091 has not answered its scrapes for more than five minutes.",
        ),
        Case("a restart", {f"up{{{_CANARY}}}": "1 0 0 1 1 1 1 1 1"}, silent=(2, 8)),
    ),
)

CANARY: Final = Group("code-racer-canary", (FAILING, DOWN))
