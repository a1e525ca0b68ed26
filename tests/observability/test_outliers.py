"""One replica among others, as Prometheus sees a fleet: who is paged for, and that no other fleet hides it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

RULES = Path(__file__).parents[2] / "alerts/rules/code-racer.yaml"
WELL, REFUSING, ATTACKED = {"accepted": 60}, {"accepted": 0, "unauthorized": 60}, {"accepted": 60, "unauthorized": 600}


def handshakes(labels: str, a_minute: dict[str, int]) -> list[dict[str, str]]:
    return [
        {"series": f'code_racer_ws_handshakes_total{{{labels}, outcome="{one}"}}', "values": f"0+{count}x20"}
        for one, count in a_minute.items()
    ]


def paged(folder: Path, replicas: dict[str, dict[str, int]], expected: set[str]) -> None:
    """Promtool finds pages for these replicas and no other; a replica is `namespace/instance`."""
    series = [
        one
        for replica, a_minute in replicas.items()
        for namespace, instance in [replica.split("/")]
        for one in handshakes(f'namespace="{namespace}", job="code-racer", instance="{instance}"', a_minute)
    ]
    asked: dict[str, Any] = {
        "expr": 'count by (namespace, instance) (ALERTS{alertname="CodeRacerReplicaRefuses", alertstate="firing"})',
        "eval_time": "15m",
        "exp_samples": [
            {"labels": f'{{namespace="{namespace}", instance="{instance}"}}', "value": 1}
            for namespace, instance in (one.split("/") for one in sorted(expected))
        ],
    }
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [asked]}
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("replicas", "expected"),
    [
        ({"p/a": WELL, "p/b": REFUSING}, {"p/b"}),
        ({"p/a": WELL, "p/b": WELL, "p/c": REFUSING, "p/d": REFUSING}, {"p/c", "p/d"}),
        ({"p/a": WELL, "p/b": WELL, "p/c": REFUSING, "p/d": ATTACKED}, {"p/c"}),
        ({f"p/{number}": WELL for number in range(11)} | {"p/x": REFUSING}, {"p/x"}),
        ({"p/a": WELL, "p/b": REFUSING, "s/a": REFUSING}, {"p/b"}),
        ({"p/a": REFUSING, "s/a": WELL, "s/b": WELL}, set()),
        ({"p/host:9101": WELL, "p/host:9102": REFUSING}, {"p/host:9102"}),
    ],
    ids=[
        "one of two",
        "half",
        "beside one attacked",
        "one of twelve",
        "staging all bad",
        "alone, staging well",
        "one worker of two",
    ],
)
def test_each_replica_that_refuses_while_others_accept_pages(
    tmp_path: Path, replicas: dict[str, dict[str, int]], expected: set[str]
) -> None:
    paged(tmp_path, replicas, expected)
