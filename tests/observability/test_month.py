"""A rule over thirty days: from steps of five minutes it says the same as from the counters, for far less."""

from pathlib import Path

import pytest

from alerts.objectives import BUDGET, OBJECTIVES, Objective
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


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda one: one.name)
def test_no_rule_reads_thirty_days_of_counters(objective: Objective) -> None:
    (month,) = (one.expr for one in objective.recordings().rules if BUDGET in one.expr)
    good, valid = (one.name for one in objective.steps().rules)
    assert month == f"1 - sum_over_time({good}[{BUDGET}]) / sum_over_time({valid}[{BUDGET}])"
