"""The benchmark runs: each scenario on some day, small. What it measures is no matter of a test."""

import json
import os
from pathlib import Path
from statistics import median

import pytest

from tests.bench import on_nats
from tests.bench.report import BOUNDS, GOALS, goal_table
from tests.bench.scenarios import Plan
from tests.bench.speed import MAKERS, SCENARIOS, main, measure
from tools.harness.slices import BENCH_DAYS, days_of, slice_of, today


def test_every_scenario_has_its_day() -> None:
    assert sorted(days_of(tuple(SCENARIOS), BENCH_DAYS)) == sorted(SCENARIOS)


def test_goals_are_about_what_is_measured() -> None:
    for goal in GOALS:
        assert {goal.ours, goal.other, goal.floor or goal.ours} <= set(SCENARIOS[goal.scenario].names)
    assert {bound.scenario for bound in BOUNDS} <= set(SCENARIOS)
    assert {name for one in SCENARIOS.values() for name in one.names} == set(MAKERS)


def test_a_goal_is_met_by_the_ratios_within_rounds() -> None:
    slow_rounds = {"on disk": [10.0, 30.0, 13.0], "service": [10.0, 30.0, 10.0]}
    row = "| durable, 50: on disk at most 1.35 times service | 1.00 (1.00 to 1.15) | yes |"
    assert row in goal_table({"durable, 50": slow_rounds})
    assert "| 1.50 | no |" in goal_table({"durable, 50": {"on disk": [15.0], "service": [10.0]}})


def test_a_goal_may_be_about_what_is_above_the_floor() -> None:
    rounds = {"service": [10.0], "node ws": [15.0], "C floor": [5.0]}
    assert "at most 0.55 times node ws, above C floor | 0.50 | yes |" in goal_table({"echo": rounds})


def test_a_bound_is_held_by_the_median() -> None:
    assert "| scrape: service, text at most 0.5 ms | 0.40 (" in goal_table({"scrape": {"service, text": [0.3, 0.4, 9]}})
    assert "| 0.60 | no |" in goal_table({"scrape": {"service, text": [0.6]}})


def test_what_cannot_be_measured_here_is_said_and_has_no_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(on_nats, "NATS_SERVER", Path("nowhere"))
    assert measure(["durable, NATS"], Plan(Path("load"), 1, 1), frozenset()) == {}
    assert capsys.readouterr().out == "durable, NATS: not measured, there is no nats-server here (make .venv/.nats)\n"


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
        assert all(name.split(",")[0] in MAKERS or "connections" in name or "games" in name for name in figures)
        assert all(values and (median(values) > 0 or "waited" in name) for name, values in figures.items())
        assert f"### {name}" in printed
