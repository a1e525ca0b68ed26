"""The example of Alertmanager's routing, by Alertmanager's own tool."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from alerts.build import alerts
from alerts.model import Alert

CONFIG = Path(__file__).parents[2] / "alerts/alertmanager.yaml"
NAMES = {alert.name for alert in alerts()}


def amtool(*arguments: str) -> str:
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_clean() -> None:
    assert "SUCCESS" in amtool("check-config", str(CONFIG))


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: f"{alert.name} {alert.severity}")
def test_pages_go_to_the_pager_tickets_to_the_tickets_and_the_watchdog_to_its_switch(alert: Alert) -> None:
    name, severity = alert.name, alert.severity
    labels = [f"alertname={name}", f"severity={severity}", "namespace=prod", "job=code-racer"]
    expected = "deadman" if name == "CodeRacerWatchdog" else {"critical": "pager", "warning": "tickets"}[severity]
    assert amtool("config", "routes", "test", f"--config.file={CONFIG}", *labels).strip() == expected


def test_inhibitions_name_alerts_that_exist_and_no_warning_silences_a_page() -> None:
    pages = {alert.name for alert in alerts() if alert.severity == "critical"}
    both = {alert.name for alert in alerts() if alert.severity == "warning"} & pages
    for rule in yaml.safe_load(CONFIG.read_text())["inhibit_rules"]:
        sources, targets = (named(rule[part]) for part in ("source_matchers", "target_matchers"))
        assert sources
        assert targets
        is_ticket_of_a_page = "severity = warning" in rule["target_matchers"]
        assert not sources & both or "severity = critical" in rule["source_matchers"], rule
        assert sources <= pages or not targets & pages or is_ticket_of_a_page, rule
        assert {"cluster", "namespace"} <= set(rule["equal"]), "one environment silences no other"


def test_a_cause_goes_on_firing_where_what_it_silences_does() -> None:
    """Or the symptom is left alone once both are over, and wakes somebody."""
    keep = {alert.name for alert in alerts() if alert.keeps}
    for rule in yaml.safe_load(CONFIG.read_text())["inhibit_rules"]:
        sources, targets = (named(rule[part]) for part in ("source_matchers", "target_matchers"))
        assert sources == targets or sources <= keep or not targets & keep, rule


def named(matchers: list[str]) -> set[str]:
    pattern = next(
        re.sub(r'^alertname\s*=~?\s*"?([^"]*)"?$', r"\1", one) for one in matchers if one.startswith("alertname")
    )
    found = {name for name in NAMES if re.fullmatch(pattern, name)}
    parts = pattern.split("|") if "." not in pattern else []
    assert set(parts) <= NAMES, f"there is no such alert: {set(parts) - NAMES}"
    return found
