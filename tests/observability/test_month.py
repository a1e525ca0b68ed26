"""A rule over days: from steps of five minutes it says the same as from the counters, for far less."""

import re
from pathlib import Path

import pytest

from alerts.build import GROUPS
from alerts.model import TARGETS
from alerts.objectives import OBJECTIVES, Objective
from tests.bench.month import A_SCRAPE, DAY_S, HANDSHAKES, REPLICAS, SCRAPES_A_DAY, measured

pytestmark = pytest.mark.long


def test_recorded_steps_say_the_same_as_the_counters_for_a_hundredth_of_the_samples(tmp_path: Path) -> None:
    """Of one day; samples are counted, not time: thirty days have thirty times as many, either way."""
    before, after = measured(tmp_path, HANDSHAKES, days=1, tries=1)
    failed = A_SCRAPE["unavailable"] / sum(A_SCRAPE.values())
    assert before.value == pytest.approx(failed, rel=1e-3)
    assert after.value == pytest.approx(failed, rel=1e-3)
    assert before.samples > REPLICAS * SCRAPES_A_DAY, "all replicas' counters were read"
    assert after.samples <= 2 * DAY_S / 300
    assert before.samples / after.samples > 100


@pytest.mark.parametrize("window", ["1d", "3d", "30d"])
@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda one: one.name)
def test_an_error_ratio_over_days_is_added_up_from_steps(objective: Objective, window: str) -> None:
    (ratio,) = (one.expr for one in objective.recordings().rules if one.name == objective.errors(window))
    good, valid = (one.name for one in objective.steps().rules)
    assert ratio == f"1 - sum_over_time({good}[{window}]) / sum_over_time({valid}[{window}])"


def test_no_rule_reads_days_of_counters() -> None:
    asked = [rule.expr for group in GROUPS for rule in group.rules]
    of_days = re.compile(r"(\w+)\(([^()]*)\[\d+[dwy]")
    read = {(found[1], found[2].partition("{")[0]) for expr in asked for found in of_days.finditer(expr)}
    steps = {("sum_over_time", step.name) for one in OBJECTIVES for step in one.steps().rules}
    assert read == steps | {("present_over_time", TARGETS)}
    recorded = {group.interval for group in GROUPS for rule in group.rules if rule.name == TARGETS}
    assert recorded == {"5m"}
