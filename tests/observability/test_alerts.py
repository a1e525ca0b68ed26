"""Alerts: well-formed, tested by promtool, each with a runbook whose queries parse."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import promql_parser
import pytest
import yaml

from alerts import build
from alerts.model import Alert
from alerts.objectives import OBJECTIVES, Objective
from app.telemetry.catalogue import CANARY_METRICS, METRICS, SUPERVISOR_METRICS, Kind

ALERTS = Path(__file__).parents[2] / "alerts"
GROUPS: list[dict[str, Any]] = yaml.safe_load((ALERTS / "rules/code-racer.yaml").read_text())["groups"]
CASES: dict[str, Any] = yaml.safe_load((ALERTS / "tests/code-racer.test.yaml").read_text())
SHIPPED: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
RULES = [rule for rule in SHIPPED if "alert" in rule]
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_clean() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, ALERTS.glob("rules/*.yaml")))


def parts() -> dict[str, list[dict[str, Any]]]:
    """The cases for promtool, by the groups of rules that their alerts are made of."""
    found: dict[str, list[dict[str, Any]]] = {}
    for case in CASES["tests"]:
        names = {one["alertname"] for one in case["alert_rule_test"]}
        found.setdefault(" ".join(sorted(groups_of(names))), []).append(case)
    return found


def groups_of(alerts: set[str]) -> set[str]:
    """The groups of these alerts, and of the series recorded for them."""
    own = {group["name"]: [rule for rule in group["rules"] if rule.get("alert") in alerts] for group in GROUPS}
    asked = " ".join(rule["expr"] for rules in own.values() for rule in rules)
    recorded = {group["name"] for group in GROUPS for rule in group["rules"] if rule.get("record", "no name") in asked}
    return {name for name, rules in own.items() if rules} | recorded


PARTS = parts()


def test_each_case_asks_for_alerts_of_the_shipped_rules() -> None:
    assert CASES["rule_files"] == ["../rules/code-racer.yaml"]
    assert CASES["group_eval_order"] == [group["name"] for group in GROUPS]
    asked = {one["alertname"] for case in CASES["tests"] for one in case["alert_rule_test"]}
    assert asked == {rule["alert"] for rule in RULES}
    assert sum(map(len, PARTS.values())) == len(CASES["tests"])


@pytest.mark.parametrize("part", PARTS)
def test_every_alert_fires_when_it_should_and_not_a_step_before(part: str, tmp_path: Path) -> None:
    """With the rules that it depends on: promtool would evaluate all the others for each case too."""
    cases = PARTS[part]
    names = {one["alertname"] for case in cases for one in case["alert_rule_test"]}
    groups = [
        {**group, "rules": [rule for rule in group["rules"] if "record" in rule or rule["alert"] in names]}
        for group in GROUPS
        if group["name"] in part.split()
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}, sort_keys=False))
    order = [group["name"] for group in groups]
    tests = {**CASES, "rule_files": ["rules.yaml"], "group_eval_order": order, "tests": cases}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests, sort_keys=False))
    promtool("test", "rules", str(tmp_path / "tests.yaml"))


@pytest.mark.parametrize("rule", SHIPPED, ids=lambda rule: rule.get("alert", rule.get("record")))
def test_what_a_rule_adds_up_or_matches_is_of_one_cluster_namespace_and_job(rule: dict[str, Any]) -> None:
    for grouping in re.findall(r"\b(?:by|on|group_left|group_right|without|ignoring) ?\(([^)]*)\)", rule["expr"]):
        assert grouping.startswith("cluster, namespace, job") or not grouping, rule["expr"]
    assert "without" not in rule["expr"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule['alert']} {rule['labels']['severity']}")
def test_a_scrape_that_fails_resets_no_gauge(rule: dict[str, Any]) -> None:
    gauges = {one.name for one in (*METRICS, *CANARY_METRICS, *SUPERVISOR_METRICS) if one.kind is Kind.GAUGE}
    for name, is_range in re.findall(r"\b(code_racer_\w+)(?:\{[^}]*\})?(\[)?", rule["expr"]):
        assert name not in gauges or is_range, f"{name} is read as it is at one moment"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule['alert']} {rule['labels']['severity']}")
def test_an_alert_says_what_how_bad_and_what_to_do(rule: dict[str, Any]) -> None:
    name = rule["alert"]
    assert re.fullmatch(r"CodeRacer[A-Za-z]{1,31}", name)
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["for"]
    assert "{{" not in rule["annotations"]["summary"]
    assert "{{" in rule["annotations"]["description"]
    assert rule["annotations"]["runbook_url"].endswith(f"/alerts/runbooks/{name}.md")
    assert rule["annotations"]["dashboard_url"].startswith("https://grafana.example.org/d/")


PAGES = [rule for rule in RULES if rule["labels"]["severity"] == "critical"]


@pytest.mark.parametrize("rule", PAGES, ids=lambda rule: rule["alert"])
def test_a_page_that_comes_and_goes_wakes_nobody_twice(rule: dict[str, Any]) -> None:
    """That it is told once through a gap of its series or of its cause, the cases named so ask of promtool."""
    assert rule.get("keep_firing_for") == "5m"


FIRED = [
    pytest.param(one["alertname"], one["eval_time"], fired, id=case["name"])
    for case in CASES["tests"]
    for one in case["alert_rule_test"]
    for fired in one["exp_alerts"]
]


@pytest.mark.parametrize(("name", "at", "fired"), FIRED)
def test_an_alert_leads_to_a_board_that_shows_it_around_its_time_with_its_labels(
    name: str, at: str, fired: dict[str, Any]
) -> None:
    """What is asked here of the expected annotation, promtool has Prometheus fill in (the test of all cases)."""
    url = urlsplit(fired["exp_annotations"]["dashboard_url"])
    board = json.loads((ALERTS.parent / f"dashboards/{url.path.removeprefix('/d/')}.json").read_text())
    assert any(name in link["url"] for panel in board["panels"] for link in panel["links"]), "a panel shows its cause"
    asked = {key: value for key, (value,) in parse_qs(url.query, strict_parsing=True).items()}
    minute = 60_000 * int(at.removesuffix("m"))
    assert (int(asked.pop("from")), int(asked.pop("to"))) == (minute - 3_600_000, minute + 900_000)
    variables = {one["name"] for one in board["templating"]["list"] if one["type"] == "query"}
    labels = fired["exp_labels"]
    if labels.get("job") in {"code-racer-canary", "code-racer-supervisor"} and name != "CodeRacerScrapesFlapping":
        labels = {key: value for key, value in labels.items() if key in {"cluster", "namespace"}}
    assert asked == {f"var-{one}": labels.get(one, "$__all") for one in variables}


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
