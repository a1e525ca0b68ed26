"""The time-scaling tool changes clocks and nothing else."""

import json
import re
from typing import Any

import promql_parser
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alerts.build import GROUPS
from alerts.drills.__main__ import DRILLS
from alerts.drills.drill import FACTORS, Drill
from alerts.drills.scale import (
    milliseconds,
    of_counters,
    require_samples,
    scaled,
    scaled_expr,
    scaled_routing,
    scaled_rules,
    shortest_range_s,
)
from alerts.drills.stack import ROOT, SCRAPE_S
from alerts.model import rules
from dashboards.build import homes

UNITS = ["ms", "s", "m", "h", "d", "w", "y"]
CLOCKS = re.compile(r"\[[^\]]*\]|offset \S+")


@pytest.mark.parametrize(
    ("before", "factor", "after"),
    [
        ("rate(x[5m])", 60, "rate(x[5000ms])"),
        ("rate(x[1h30m] offset 1d) > 5", 60, "rate(x[90000ms] offset 1440000ms) > 5"),
        ("x offset 5m > 100 * 1024", 60, "x offset 5000ms > 100 * 1024"),
        ('job:a_errors:ratio_rate5m{window="5m"} > 0.0144', 60, 'job:a_errors:ratio_rate5m{window="5m"} > 0.0144'),
    ],
)
def test_ranges_and_offsets_are_divided_and_thresholds_and_names_are_not(
    before: str, factor: float, after: str
) -> None:
    assert scaled_expr(before, factor) == after


@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from(UNITS)), min_size=1), st.integers(1, 1000))
def test_a_scaled_duration_is_as_long_as_it_says(parts: list[tuple[int, str]], factor: int) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    whole = milliseconds(text)
    assert milliseconds(scaled(text, factor)) == (max(1, round(whole / factor)) if whole else 0)


def clockless(rule: dict[str, Any]) -> dict[str, Any]:
    return {**rule, "expr": CLOCKS.sub("", rule["expr"]), "for": None, "keep_firing_for": None}


def counting(rules: dict[str, Any]) -> dict[str, Any]:
    """The rules with sums of recorded steps as what is counted over their range."""
    records = {rule["record"]: rule["expr"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}
    groups = [
        {**group, "rules": [{**rule, "expr": of_counters(rule["expr"], records)} for rule in group["rules"]]}
        for group in rules["groups"]
    ]
    return {"groups": groups}


def test_a_sum_of_recorded_steps_is_asked_of_the_counters() -> None:
    step = 'sum by (job) (increase(x_total{y="z"}[5m]))'
    asked = "1 - sum_over_time(job:x:increase5m[3d]) / sum_over_time(job:y:increase5m[30d]) and rate(x_total[5m]) > 1"
    assert of_counters(asked, {"job:x:increase5m": step, "job:y:increase5m": "increase(y_total[5m])"}) == (
        '1 - sum by (job) (increase(x_total{y="z"}[3d])) / increase(y_total[30d]) and rate(x_total[5m]) > 1'
    )
    with pytest.raises(KeyError):
        of_counters(asked, {"job:x:increase5m": step})


def test_a_fast_clock_leaves_no_sum_of_steps() -> None:
    faster = scaled_rules(rules(GROUPS, homes()), FACTORS)
    assert "sum_over_time(job:code_racer_handshake_valid:increase5m[1d])" in json.dumps(rules(GROUPS, homes()))
    asked = [rule["expr"] for group in faster["groups"] for rule in group["rules"]]
    assert not [one for one in asked if ":increase5m" in one]


def test_the_shipped_rules_differ_in_their_clocks_only() -> None:
    shipped = rules(GROUPS, homes())
    faster = scaled_rules(shipped, FACTORS)
    assert shipped == rules(GROUPS, homes()), "the shipped ones are left alone"
    for before, after in zip(counting(shipped)["groups"], faster["groups"], strict=True):
        assert list(map(clockless, before["rules"])) == list(map(clockless, after["rules"]))
        for one, other in zip(before["rules"], after["rules"], strict=True):
            promql_parser.parse(other["expr"])
            for wait in {"for", "keep_firing_for"} & one.keys():
                assert milliseconds(other[wait]) == round(milliseconds(one[wait]) / FACTORS[before["name"]])
    assert shortest_range_s(faster) >= 4 * SCRAPE_S


def test_a_group_without_a_factor_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        scaled_rules(rules(GROUPS, homes()), {})


def test_too_few_scrapes_in_a_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a scrape every 22\.6 s is too seldom for a range of 90 s"):
        require_samples(rules(GROUPS, homes()), 22.6)
    require_samples(rules(GROUPS, homes()), 22.5)


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_the_clock_of_a_drill_leaves_scrapes_in_each_range(drill: Drill) -> None:
    require_samples(scaled_rules(rules(GROUPS, homes()), {**FACTORS, **drill.factors}), SCRAPE_S)


def test_waits_of_the_routing_are_divided_at_every_level() -> None:
    config = yaml.safe_load((ROOT / "alerts/alertmanager.yaml").read_text())
    faster = scaled_routing(config, 60)
    assert faster["route"]["group_wait"] == "500ms"
    assert (
        faster["route"]["routes"][0] | {"group_interval": "1000ms", "repeat_interval": "1000ms"}
        == (faster["route"]["routes"][0])
    )
    assert faster["inhibit_rules"] == config["inhibit_rules"]
    assert config["route"]["group_wait"] == "30s"
