"""The time-scaling tool: the same rules on a faster clock.

Every ``for``, range, offset and waiting time is divided by a factor, one per rule group; thresholds, labels and
texts stay as they are. Rates are per second, so a fault must be as bad as in production, only for less long. A sum of
recorded steps is asked of the counters: on a fast clock a step has few scrapes, and what falls between two steps is
in neither.
"""

import copy
import re
from collections.abc import Mapping
from typing import Any, Final

Json = dict[str, Any]

_UNITS_MS: Final = {
    "ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000,
}  # fmt: skip
_DURATION: Final = r"(?:\d+(?:ms|[smhdwy]))+"
_PART: Final = re.compile(r"(\d+)(ms|[smhdwy])")
_IN_EXPRESSION: Final = re.compile(rf"(\[|\boffset )({_DURATION})\b")
_RANGE: Final = re.compile(rf"\[({_DURATION})\]")
_SUM_OF_STEPS: Final = re.compile(rf"sum_over_time\(([a-z_:]+:increase({_DURATION}))\[({_DURATION})\]\)")
_WAITS: Final = ("group_wait", "group_interval", "repeat_interval", "resolve_timeout")
SAMPLES_IN_A_RANGE: Final = 4


def milliseconds(duration: str) -> int:
    """Return a duration of Prometheus (1h30m) in milliseconds."""
    return sum(int(number) * _UNITS_MS[unit] for number, unit in _PART.findall(duration))


def scaled(duration: str, factor: float) -> str:
    """Divide a duration by a factor; 0 stays 0."""
    whole = milliseconds(duration)
    return f"{max(1, round(whole / factor))}ms" if whole else "0s"


def scaled_expr(expr: str, factor: float) -> str:
    """Divide the ranges and offsets of an expression by a factor."""
    return _IN_EXPRESSION.sub(lambda match: match[1] + scaled(match[2], factor), expr)


def of_counters(expr: str, records: Mapping[str, str]) -> str:
    """Write sums of recorded steps as what the counters say of the whole range; `records` has the steps' expressions.

    Raises:
        KeyError: a step that is not recorded.
    """
    return _SUM_OF_STEPS.sub(lambda step: records[step[1]].replace(f"[{step[2]}]", f"[{step[3]}]"), expr)


def scaled_rules(rules: Json, factors: Mapping[str, float]) -> Json:
    """Put a rules file on a faster clock; `factors` has one for each group, and all are evaluated as often.

    Raises:
        KeyError: a group without a factor.
    """
    document = copy.deepcopy(rules)
    records = {rule["record"]: rule["expr"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}
    for group in document["groups"]:
        factor = factors[group["name"]]
        group.pop("interval", None)
        for rule in group["rules"]:
            rule["expr"] = scaled_expr(of_counters(rule["expr"], records), factor)
            for wait in {"for", "keep_firing_for"} & rule.keys():
                rule[wait] = scaled(rule[wait], factor)
    return document


def shortest_range_s(rules: Json) -> float:
    """Find the shortest range of all rules, in seconds."""
    found = [_RANGE.findall(rule["expr"]) for group in rules["groups"] for rule in group["rules"]]
    return min(milliseconds(one) for ranges in found for one in ranges) / 1000


def require_samples(rules: Json, scrape_s: float) -> None:
    """Check that every range holds enough scrapes. Raises ValueError."""
    shortest = shortest_range_s(rules)
    if shortest < SAMPLES_IN_A_RANGE * scrape_s:
        raise ValueError(f"a scrape every {scrape_s:g} s is too seldom for a range of {shortest:g} s")


def scaled_routing(config: Json, factor: float) -> Json:
    """Put Alertmanager's configuration on a faster clock."""
    document = copy.deepcopy(config)
    pending = [document.get("global", {}), document["route"]]
    while pending:
        part = pending.pop()
        for name in _WAITS:
            if name in part:
                part[name] = scaled(part[name], factor)
        pending += part.get("routes", [])
    return document
