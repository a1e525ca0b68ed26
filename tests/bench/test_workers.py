"""The benchmark of workers runs: each scenario on some day, small. What it measures is no matter of a test."""

import os
from pathlib import Path

import pytest

from tests.bench import workers
from tests.bench.workers import HANDED, ONE, SCENARIOS, STAYED, TWO, UNRELATED, Figures, main
from tools.harness.slices import slice_of, today


@pytest.mark.timeout(300)
def test_the_scenario_of_today(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    affinity = os.sched_getaffinity(0)
    (name,) = slice_of(tuple(SCENARIOS), len(SCENARIOS), today())
    try:
        measured = main([name, "--rounds", "1", "--scale", "0.02", "--json", str(tmp_path / "figures.json")])
    finally:
        os.sched_setaffinity(0, affinity)
    assert set(measured[name]["values"]) == {ONE, TWO, UNRELATED, STAYED, HANDED}
    assert all(cost > 0 for costs in measured[name]["values"].values() for cost in costs)
    assert f"### {name}" in capsys.readouterr().out


def test_more_workers_than_two_are_reckoned_from_two() -> None:
    costs = {ONE: [10.0, 9.0, 20.0], TWO: [12.5, 11.0, 14.0]}
    figures = Figures(costs, [1.0, 1.0], {}, {})
    table = workers.sizing(dict.fromkeys(SCENARIOS, figures))
    assert "| messages answered, a second | 50,000 | 80,000 | 160,000 | 320,000 |" in table
