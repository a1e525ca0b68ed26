"""Rules with values of one's own: what others may change of the alerts, and what they are told where they err."""

import itertools
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def written(folder: Path, config: str) -> subprocess.CompletedProcess[str]:
    (folder / "mine.toml").write_text(config)
    command = [sys.executable, "-m", "alerts", "--config", str(folder / "mine.toml"), "--to", str(folder / "rules")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_file_of_ones_own_changes_jobs_windows_and_thresholds_and_nothing_else(tmp_path: Path) -> None:
    mine = '[jobs]\nservice = "racer"\n[gauges]\nremembered = "3m"\n[fleet]\npage_above = 0.5\n'
    done = written(tmp_path, mine)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "rules/code-racer.yaml").read_text()
    shipped = (ROOT / "alerts/rules/code-racer.yaml").read_text()
    back = text.replace("[3m]", "[90s]").replace('job="racer"', 'job="code-racer"').replace('"racer|', '"code-racer|')
    assert back.replace("> 0.5\n", "> 0.2\n") == shipped.replace("> 0.5\n", "> 0.2\n")
    assert [text.count(part) > 0 for part in ("[3m]", 'job="racer"', 'job="code-racer"', "[90s]")] == [1, 1, 0, 0]
    subprocess.run(["promtool", "check", "rules", str(tmp_path / "rules/code-racer.yaml")], check=True)
    manifest = yaml.safe_load((tmp_path / "rules/prometheus-rule.yaml").read_text())
    assert manifest["spec"] == yaml.safe_load(text)


SHIPPED: dict[str, dict[str, Any]] = tomllib.loads((ROOT / "alerts/config.toml").read_text())
SHARED = "CodeRacerReplicaOutlier"
NOT_OF_RULES = {"owner", "quiet_bytes"}
"""What runbooks, tests and deployments go by."""
NO_THRESHOLDS = {"0", "1", "2", "60", "600", "1024"}
"""Nothing and something, halves, seconds to minutes and to ten, and bytes."""


def marks() -> dict[str, dict[str, Any]]:
    """The file with a value for each name that no other has."""
    numbers = itertools.count(90_000)
    return {
        table: {key: f"{next(numbers)}s" if isinstance(value, str) else next(numbers) for key, value in values.items()}
        for table, values in SHIPPED.items()
    }


MARKS = marks()


def as_written(key: str, value: Any) -> str:
    return str(86_400 * value if key.endswith("_days") else value)


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rules that are made of such a file."""
    folder = tmp_path_factory.mktemp("marked")
    lines = (
        "\n".join([f"[{table}]", *(f"{key} = {value!r}" for key, value in values.items())])
        for table, values in MARKS.items()
    )
    assert not written(folder, "\n".join(lines)).stderr
    groups = yaml.safe_load((folder / "rules/code-racer.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize(
    ("table", "key"), [(table, key) for table, values in SHIPPED.items() for key in values if key not in NOT_OF_RULES]
)
def test_each_name_of_the_file_changes_its_alert(marked: list[dict[str, Any]], table: str, key: str) -> None:
    shared = table == SHARED or not table.startswith("CodeRacer")
    assert as_written(key, MARKS[table][key]) in str([one for one in marked if shared or one.get("alert") == table])


def test_no_alert_has_a_threshold_or_window_that_the_file_has_not(marked: list[dict[str, Any]]) -> None:
    """But those on budgets, whose numbers follow from their objectives, and the quantile that an alert is about."""
    given = {as_written(key, value) for values in MARKS.values() for key, value in values.items()}
    for rule in marked:
        windows = set(re.findall(r"\[([^]]*)\]|offset (\w+)", rule["expr"]))
        assert rule.get("alert", "BudgetBurn").endswith("BudgetBurn") or set().union(*windows) <= given | {""}, rule
        expr = re.sub(r'"[^"]*"|\[[^]]*\]|offset \w+|histogram_quantile\([0-9.]+', "", rule["expr"])
        bare = set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", expr)) - given
        assert rule.get("alert", "BudgetBurn").endswith("BudgetBurn") or bare <= NO_THRESHOLDS, rule["alert"]


def test_the_boards_draw_what_the_rules_say(tmp_path: Path) -> None:
    assert not written(tmp_path, "[CodeRacerOutboxGrowth]\nmebibytes = 7\n").stderr
    (begins,) = re.findall(
        r"code_racer_ws_outbox_bytes\[90s\]\) > (.*)$", (tmp_path / "rules/code-racer.yaml").read_text(), re.MULTILINE
    )
    assert begins == "7 * 1024 * 1024"
    board = json.loads((tmp_path / "rules/code-racer-messages.json").read_text())
    (panel,) = (one for one in board["panels"] if one["title"] == "Waiting to be read")
    assert [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]] == [None, 7 * 1024**2]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[fleets]\npage_above = 0.5\n", "there is no table [fleets]; there are jobs, "),
        ("[fleet]\npage_over = 0.5\n", "[fleet] has no page_over; it has page_above"),
        ('[fleet]\npage_above = "half"\n', "[fleet] page_above = 'half' is not like 0.2"),
        ("[fleet\n", "mine.toml: Expected"),
    ],
)
def test_a_mistake_is_told_by_name_and_nothing_is_written(tmp_path: Path, config: str, said: str) -> None:
    done = written(tmp_path, config)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "rules").exists()
