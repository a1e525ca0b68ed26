"""Every alert has a drill, and those of today are run: a real fault each (`make drills` runs all)."""

import pytest

from alerts.build import alerts
from alerts.drills.__main__ import DRILLS, ROOT, TABLE, run_all, table
from alerts.drills.drill import Drill
from tools.harness.slices import DRILL_DAYS, days_of, slice_of, today

CASES = [pytest.param(drill, id=drill.name) for drill in DRILLS]


def test_every_alert_has_a_drill() -> None:
    assert {(drill.alert, drill.severity) for drill in DRILLS} == {(one.name, one.severity) for one in alerts()}


def test_every_drill_is_run_within_some_days() -> None:
    assert sorted(drill.name for drill in days_of(DRILLS, DRILL_DAYS)) == sorted(drill.name for drill in DRILLS)
    assert f"within {DRILL_DAYS} days" in (ROOT / "alerts/README.md").read_text()


@pytest.mark.parametrize("drill", CASES)
def test_the_table_of_a_real_run_has_it(drill: Drill) -> None:
    text = TABLE.read_text()
    assert f"| {drill.fault} | [{drill.alert}](../alerts/runbooks/{drill.alert}.md) ({drill.severity}) |" in text
    assert (drill.panel is None) == (drill.shown_by() is None)


@pytest.mark.alone
@pytest.mark.timeout(3600)  # on a busy machine their clock is slower
def test_the_drills_of_today() -> None:
    chosen = slice_of(DRILLS, DRILL_DAYS, today())
    results = run_all(chosen, at_once=4)  # as `make drills`: they wait for most of their time
    assert not [result.failure for result in results if result.failure]
    assert len(table(results).splitlines()) == len(chosen) + 2
