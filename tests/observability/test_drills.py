"""Every alert has a drill, and those of today are run: a real fault each (`make drills` runs all)."""

import datetime as dt
import os

import pytest

from alerts.build import alerts
from alerts.drills.__main__ import DRILLS, SLICES, TABLE, run_all, slice_of, table
from alerts.drills.drill import Drill

TODAY = dt.datetime.now(dt.UTC).date()
CASES = [pytest.param(drill, id=drill.name) for drill in DRILLS]


def test_every_alert_has_a_drill() -> None:
    assert {(drill.alert, drill.severity) for drill in DRILLS} == {(one.name, one.severity) for one in alerts()}


def test_every_drill_is_run_within_some_days() -> None:
    days = [TODAY + dt.timedelta(days=number) for number in range(SLICES)]
    assert sorted(drill.name for day in days for drill in slice_of(day)) == sorted(drill.name for drill in DRILLS)


@pytest.mark.parametrize("drill", CASES)
def test_the_table_of_a_real_run_has_it(drill: Drill) -> None:
    text = TABLE.read_text()
    assert f"| {drill.fault} | [{drill.alert}](../alerts/runbooks/{drill.alert}.md) ({drill.severity}) |" in text
    assert (drill.panel is None) == (drill.shown_by() is None)


@pytest.mark.timeout(900)
def test_the_drills_of_today() -> None:
    chosen = slice_of(dt.date.fromisoformat(os.environ.get("DRILLS_DAY", TODAY.isoformat())))
    results = run_all(chosen, at_once=4)
    assert not [result.failure for result in results if result.failure]
    assert len(table(results).splitlines()) == len(chosen) + 2
