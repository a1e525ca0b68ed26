"""The objectives for others' tools are those of our rules: the same events, targets, alerts."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.objectives import OBJECTIVES, PAGE, Objective
from tools.queries import known_series, mistakes

ROOT = Path(__file__).parents[2]
OPENSLO: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "deploy/slo/openslo.yaml").read_text()))
SLOTH: dict[str, Any] = yaml.safe_load((ROOT / "deploy/slo/sloth.yaml").read_text())
EACH = pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda one: one.name)
WHERE = 'job="code-racer", instance="a:8080"'


def named(kind: str) -> dict[str, Any]:
    return {one["metadata"]["name"]: one["spec"] for one in OPENSLO if one["kind"] == kind}


def of_sloth(objective: Objective) -> dict[str, Any]:
    (one,) = [one for one in SLOTH["slos"] if one["name"] == objective.name]
    return dict(one)


def openslo_ratio(objective: Objective) -> str:
    """As a reader of OpenSLO takes it: counters, whose growth over the window is compared."""
    ratio = named("SLO")[f"code-racer-{objective.name}"]["indicator"]["spec"]["ratioMetric"]
    assert ratio["counter"]
    good, total = (ratio[part]["metricSource"]["spec"]["query"] for part in ("good", "total"))
    return f"1 - increase(({good})[1h:1m]) / increase(({total})[1h:1m])"


def sloth_ratio(objective: Objective) -> str:
    events = of_sloth(objective)["sli"]["events"]
    error, total = (events[name].replace("{{.window}}", "1h") for name in ("error_query", "total_query"))
    return f"({error}) / ({total})"


def test_there_is_one_of_each() -> None:
    assert named("SLO").keys() == {f"code-racer-{one.name}" for one in OBJECTIVES}
    assert [one["name"] for one in SLOTH["slos"]] == [one.name for one in OBJECTIVES]
    assert named("Service").keys() == {"code-racer"} == {one["service"] for one in named("SLO").values()}


@EACH
def test_target_window_and_alert_are_ours(objective: Objective) -> None:
    slo = named("SLO")[f"code-racer-{objective.name}"]
    assert [one["target"] for one in slo["objectives"]] == [objective.target]
    assert slo["timeWindow"] == [{"duration": "30d", "isRolling": True}]
    for part in ("good", "total"):
        source = slo["indicator"]["spec"]["ratioMetric"][part]["metricSource"]
        assert source["metricSourceRef"] in named("DataSource")
        assert not mistakes(source["spec"]["query"], known_series())
    sloth = of_sloth(objective)
    assert sloth["objective"] == pytest.approx(100 * objective.target)
    assert sloth["alerting"]["name"] == objective.alert
    assert ("disable" not in sloth["alerting"]["page_alert"]) == (objective.pages == PAGE)


@EACH
def test_prometheus_finds_the_same_share_of_bad_events_by_all_three(objective: Objective, tmp_path: Path) -> None:
    recordings = [one for one in objective.recordings().rules if one.name == objective.errors("1h")]
    rules = [{"record": "ours", "expr": recordings[0].expr}]
    rules.append({"record": "openslo", "expr": openslo_ratio(objective)})
    rules.append({"record": "sloth", "expr": sloth_ratio(objective)})
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    names = {**dict.fromkeys(objective.good_series, "0+9x120"), **dict.fromkeys(objective.bad_series, "0+3x120")}
    series = [{"series": name.replace("{", "{" + WHERE + ", ", 1), "values": one} for name, one in names.items()]
    expected = [{"labels": '{job="code-racer"}', "value": 0.25}]
    asked = [
        {"expr": f"round(sum by (job) ({one}), 0.0001)", "eval_time": "100m", "exp_samples": expected}
        for one in ("ours", "openslo", "sloth")
    ]
    tests = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": asked}],
    }
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests))
    done = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "tests.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
