"""Alerts on lateness, asked again with what the machine withheld given back.

In a drill two things may be wrong: what it causes, and a machine that is busy with others. Whether an alert on
lateness is the machine's doing is no opinion: its rule is asked again with the bound moved to where no wait for a
processor explains it. What errors cause, or a fault that is later than the machine, fires then as well.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from alerts.build import GROUPS, alerts
from alerts.drills.scale import milliseconds, of_counters, scaled_expr
from alerts.model import Alert, Recording
from app.telemetry.catalogue.model import LATENCY_BUCKETS

_RANGE: Final = re.compile(r"\[([0-9a-z]+)\]")
_NEVER: Final = "vector(1) < 0"


@dataclass(frozen=True, slots=True)
class Late:
    """What an alert calls late, in seconds; how its rule writes it, and how it is asked with another time (`{}`)."""

    limit_s: float
    written: str
    asked: str


LATE: Final = {
    "CodeRacerMessageBudgetBurn": Late(0.05, 'le="0.05"', 'le="{}"'),
    "CodeRacerDeliveryBudgetBurn": Late(0.25, 'le="0.25"', 'le="{}"'),
    "CodeRacerVerdictBudgetBurn": Late(5.0, 'le="5.0"', 'le="{}"'),
    "CodeRacerPingBudgetBurn": Late(1.0, 'le="1.0"', 'le="{}"'),
    "CodeRacerEventLoopLag": Late(0.1, "> 0.1", "> {}"),
    "CodeRacerPaused": Late(5.0, 'le="5.0"', 'le="{}"'),
    "CodeRacerEventLogSlow": Late(0.1, "> 0.1", "> {}"),
    "CodeRacerCanarySlow": Late(0.5, 'le="0.5"', 'le="{}"'),
    "CodeRacerOverloaded": Late(0.1, "(code_racer_overloaded", '(code_racer_overloaded{cause!="loop_lag"}'),
}
SCRAPED_LATE: Final = frozenset({"CodeRacerDown", "CodeRacerScrapesFlapping", "CodeRacerProcessorWithheld"})
"""Alerts on scrapes, which fail where their answer takes too long; how long it took nobody can ask. And the one on what
is withheld itself: a busy machine is what it is about."""


def with_records(alert: Alert) -> str:
    """Write an alert's expression with the recorded series in full, down to the counters."""
    records = {rule.name: rule.expr for group in GROUPS for rule in group.rules if isinstance(rule, Recording)}
    expr = of_counters(alert.expr, records)
    for name, recorded in records.items():
        expr = expr.replace(name, f"({of_counters(recorded, records)})")
    return expr


def told_apart(alert: Alert, bound_s: float, factor: float) -> str:
    """Write an alert's expression, on a faster clock, as if late were what takes longer than a bound."""
    if alert.name in SCRAPED_LATE:
        return _NEVER
    late = LATE[alert.name]
    expr = with_records(alert)
    if late.written not in expr:
        raise ValueError(f"{alert.name} has no {late.written}")
    return scaled_expr(expr.replace(late.written, late.asked.replace("{}", _written(bound_s))), factor)


def looks_back_s(alert: Alert, factor: float) -> float:
    """Find how long what an alert tells now may be over, on a faster clock, in seconds."""
    ranges = [milliseconds(found) for found in _RANGE.findall(with_records(alert))]
    return (max(ranges, default=0) + milliseconds(alert.hold) + milliseconds(alert.keeps)) / 1000 / factor


def bounds() -> Iterable[float]:
    """List the times that histograms tell apart."""
    return LATENCY_BUCKETS


def rules_named(name: str, severity: str = "") -> list[Alert]:
    """List the alerts of a name: a page, a ticket, or both."""
    return [one for one in alerts() if one.name == name and severity in {"", one.severity}]


def _written(bound_s: float) -> str:
    return "+Inf" if bound_s == float("inf") else str(bound_s)
