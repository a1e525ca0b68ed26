"""The benchmark runs: each scenario on some day, small. What it measures is no matter of a test."""

import json
import os
from pathlib import Path
from statistics import median

import pytest

from tests.bench.report import GOALS, goal_table
from tests.bench.speed import MAKERS, SCENARIOS, main
from tools.harness.slices import BENCH_DAYS, days_of, slice_of, today


def test_every_scenario_has_its_day() -> None:
    assert sorted(days_of(tuple(SCENARIOS), BENCH_DAYS)) == sorted(SCENARIOS)


def test_goals_are_about_what_is_measured() -> None:
    for goal in GOALS:
        measured = {*SCENARIOS[goal.scenario].names, "10 connections", "10000 connections"}
        assert {goal.ours, goal.other} <= measured
    assert {name for one in SCENARIOS.values() for name in one.names} == set(MAKERS)


def test_a_goal_is_met_by_the_ratios_within_rounds() -> None:
    slow_rounds = {"service": [10.0, 30.0, 12.0], "picows": [10.0, 30.0, 10.0]}
    assert "| echo: service at most 1.25 times picows | 1.00 | yes |" in goal_table({"echo": slow_rounds})
    assert "| 1.50 | no |" in goal_table({"echo": {"service": [15.0], "picows": [10.0]}})


@pytest.mark.timeout(300)
def test_the_scenarios_of_today(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    affinity = os.sched_getaffinity(0)
    names = slice_of(tuple(SCENARIOS), BENCH_DAYS, today())
    try:
        main([*names, "--rounds", "1", "--scale", "0.02", "--json", str(tmp_path / "figures.json")])
    finally:
        os.sched_setaffinity(0, affinity)
    printed = capsys.readouterr().out
    measured = json.loads((tmp_path / "figures.json").read_text())
    assert set(measured) == set(names)
    for name, figures in measured.items():
        assert figures
        assert all(name in MAKERS or "connections" in name or "games" in name for name in figures)
        assert all(values and median(values) > 0 for values in figures.values())
        assert f"### {name}" in printed
