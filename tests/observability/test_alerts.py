"""Alerts: well-formed, tested by promtool, each with a runbook whose queries parse."""

import re
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from alerts import build
from alerts.model import Alert
from alerts.objectives import OBJECTIVES, Objective

ALERTS = Path(__file__).parents[2] / "alerts"
SHIPPED: list[dict[str, Any]] = [
    rule
    for path in sorted(ALERTS.glob("rules/*.yaml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
RULES = [rule for rule in SHIPPED if "alert" in rule]
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_clean() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, ALERTS.glob("rules/*.yaml")))


def test_every_alert_fires_when_it_should_and_not_a_step_before() -> None:
    promtool("test", "rules", *map(str, ALERTS.glob("tests/*.yaml")))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule['alert']} {rule['labels']['severity']}")
def test_an_alert_says_what_how_bad_and_what_to_do(rule: dict[str, Any]) -> None:
    name = rule["alert"]
    assert re.fullmatch(r"CodeRacer[A-Za-z]{1,31}", name)
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["for"]
    assert "{{" not in rule["annotations"]["summary"]
    assert "{{" in rule["annotations"]["description"]
    assert rule["annotations"]["runbook_url"].endswith(f"/alerts/runbooks/{name}.md")


@pytest.mark.parametrize("alert", build.alerts(), ids=lambda alert: f"{alert.name} {alert.severity}")
def test_each_alert_is_shown_to_fire_and_not_to_fire_for_its_look_alike(alert: Alert) -> None:
    fires = [case for case in alert.cases if case.fires is not None]
    assert fires
    assert all(case.fires and case.fires > 1 and case.description for case in fires)
    assert alert.always or all(case.labels for case in fires)
    assert alert.always or any(case.silent for case in alert.cases)


def test_what_is_shipped_is_small_enough_to_be_evaluated_in_time() -> None:
    for group in build.GROUPS:
        assert len(group.rules) <= 20, group.name


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda one: one.name)
def test_the_documented_indicators_are_the_recorded_ones(objective: Objective) -> None:
    documented = (ALERTS.parent / "docs/slis.md").read_text()
    for expr in (objective.good, objective.valid):
        assert f"sum(increase({expr}[1h]))" in documented


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    assert {path.stem for path in ALERTS.glob("runbooks/*.md")} == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("path", sorted(ALERTS.glob("runbooks/*.md")), ids=lambda path: path.stem)
def test_a_runbook_has_its_chapters_and_its_queries_parse(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    queries = re.findall(r"```promql\n(.*?)```", text, re.DOTALL)
    assert queries
    for one in queries:
        promql_parser.parse(" ".join(one.split()))
