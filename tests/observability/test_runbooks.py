"""The head of each runbook: an owner, the board, and a first command that needs nothing but kubectl, and that tells."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from alerts.build import alerts
from alerts.model import Alert
from dashboards.build import homes
from tools.harness import fetch
from tools.harness.server import ROOT, ServerProcess
from tools.runbooks import families

RUNBOOKS = ROOT / "alerts/runbooks"
HEAD = re.compile(
    r"# (?P<name>\w+)\n\n<!-- generated: head -->\nOwner: (?P<owner>.+)\. Board: (?P<boards>.+)\.\n\n"
    r"First, with nothing but kubectl:\n```sh\n(?P<first>.+)\n```\n<!-- end of generated -->\n\n## Meaning\n"
)
CLUSTER = """#!/bin/sh
case "$1" in
get) echo pod/code-racer-0 ;;
exec) shift 4; exec {python} "$@" ;;
esac
"""
"""In place of a cluster: one pod, in which commands run here."""


def test_what_is_recorded_of_several_families_under_one_name_leads_to_each() -> None:
    """As the share of what is bad, of eight signals."""
    (outlier,) = (one for one in alerts() if one.name == "CodeRacerReplicaOutlier")
    read = families(outlier.expr)
    assert {"code_racer_ws_handshakes_total", "code_racer_ws_closes_total", "code_racer_verdict_seconds"} <= set(read)
    assert len(read) == len(set(read))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as server:
        yield server


def head(name: str) -> re.Match[str]:
    found = HEAD.match((RUNBOOKS / f"{name}.md").read_text())
    assert found, "run `make generate`: a runbook begins with its alert's name, its generated head, and “## Meaning”"
    return found


@pytest.mark.parametrize("name", sorted({alert.name for alert in alerts()}))
def test_a_runbook_says_whose_it_is_and_leads_to_its_boards(name: str) -> None:
    found = head(name)
    assert (found["name"], bool(found["owner"])) == (name, True)
    targets = re.findall(r"\]\(([^)]+)\), “[^”]+”", found["boards"])
    assert targets, f"name {name} in a panel of dashboards/"
    assert homes()[name] in {leads_to(target) for target in targets}


def leads_to(url: str) -> str:
    """The board that an address is of, with the last hour, and all of its own variables."""
    parsed = urlsplit(url)
    uid = parsed.path.removeprefix("/d/")
    board = json.loads((ROOT / f"dashboards/{uid}.json").read_text())
    names = {f"var-{one['name']}" for one in board["templating"]["list"] if one["type"] == "query"}
    assert parse_qs(parsed.query) == {"from": ["now-1h"], "to": ["now"], **{name: ["$__all"] for name in names}}
    return uid


@pytest.mark.parametrize(
    "alert",
    [one for one in alerts() if "canary" not in one.expr and "code-racer-nats" not in one.expr],
    ids=lambda alert: f"{alert.name} {alert.severity}",
)
def test_its_first_command_needs_kubectl_alone_and_shows_the_alerts_own_series(
    alert: Alert, server: ServerProcess, tmp_path: Path
) -> None:
    first = head(alert.name)["first"]
    (tmp_path / "kubectl").write_text(CLUSTER.format(python=sys.executable))
    (tmp_path / "kubectl").chmod(0o755)
    (tmp_path / "sed").symlink_to("/usr/bin/sed")
    here = first.replace(":9090/", f":{server.settings['PORT']}/")
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", here],
        env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("pod/code-racer-0\n")
    there = {name for name in families(alert.expr) if name in fetch.get(f"{server.http_url}/metrics").text}
    assert {name for name in there if name not in done.stdout} == set()
