"""Alerts on whether the service is there at all."""

from typing import Final

from alerts.model import Alert, Case, Group, Severity

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
            {'up{job="code-racer", instance="a:8080"}': "1 1 0 0 0 0"},
            fires=3,
            labels={"job": "code-racer", "instance": "a:8080"},
            description="a:8080 has not answered its scrapes for more than a minute.",
        ),
        Case(
            "restarts within a scrape",
            {'up{job="code-racer", instance="a:8080"}': "1 0 1 0 1 1"},
            silent=(3, 5),
        ),
    ),
)

AVAILABILITY: Final = Group("code-racer-availability", (DOWN,))
