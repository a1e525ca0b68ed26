"""What a change of the wire costs: in a copy of the project one edit is made, and what follows from it is looked at."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.harness.server import ROOT

COPIED = ("app", "alerts", "dashboards", "deploy", "docs", "tools")
MESSAGE = '''
class HostChangedData(EventData, frozen=True):
    """Another player is the host."""

    type: ClassVar[str] = "host_changed"
    host_id: str
'''
CLOSE = '    CHEATING = CloseRow(4450, "cheating", Reconnect.NO, (_S,), "a player was caught")\n'
SHOW = """
import json
from app.protocol import client_close, should_reconnect
from app.telemetry.catalogue import METRICS
from app.web.asyncapi import document
labels = {value for metric in METRICS for label in metric.labels for value in metric.values(label)}
print(json.dumps([document("1", "https://a.example", 50), sorted(labels), should_reconnect(4450)]))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy whose generated files are up to date."""
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".env.example", tmp_path)
    assert run(tmp_path, "-m", "tools.generate", "--check").returncode == 0
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=project, capture_output=True, text=True, check=False)


def edit(project: Path, path: str, before: str, more: str) -> None:
    """Put `more` in front of `before`."""
    text = (project / path).read_text("utf-8")
    assert text.count(before) == 1
    (project / path).write_text(text.replace(before, more + before), "utf-8")


def stale(project: Path) -> set[str]:
    """The generated files that are out of date."""
    done = run(project, "-m", "tools.generate", "--check")
    return {line.split(": ", 1)[1].split(";")[0] for line in done.stderr.splitlines()}


def test_a_message_is_one_type(project: Path) -> None:
    edit(project, "app/protocol/server.py", f"\n# {'-' * 84} parts of a welcome", MESSAGE)
    assert stale(project) == {"app/web/static/client.d.ts", "docs/signals.md"}
    assert run(project, "-m", "tools.generate").returncode == 0
    declared = (project / "app/web/static/client.d.ts").read_text("utf-8")
    assert "export interface HostChangedData {\n  host_id: string;\n  at: number;\n}\n" in declared
    assert "  host_changed: ServerEvent<HostChangedData, 'host_changed'>;\n" in declared
    assert "`host_changed`" in (project / "docs/signals.md").read_text("utf-8")
    document, labels, _ = json.loads(run(project, "-c", SHOW).stdout)
    assert document["components"]["messages"]["host_changed"]["payload"]["required"] == ["type", "data", "seq"]
    assert "host_changed" in labels


def test_a_close_code_is_one_row(project: Path) -> None:
    edit(project, "app/protocol/closes.py", "    OTHER = CloseRow(", CLOSE)
    assert stale(project) == {"app/web/static/client.js", "docs/signals.md"}
    assert run(project, "-m", "tools.generate").returncode == 0
    assert "4450" in (project / "app/web/static/client.js").read_text("utf-8")
    assert "| 4450 | `cheating` | no | server | a player was caught |" in (project / "docs/signals.md").read_text(
        "utf-8"
    )
    document, labels, comes_back = json.loads(run(project, "-c", SHOW).stdout)
    assert "| 4450 | cheating | no | a player was caught |" in document["info"]["description"]
    assert "cheating" in labels
    assert not comes_back
