"""Rules with values of one's own: what others may change of the alerts, and what they are told where they err."""

import subprocess
import sys
from pathlib import Path

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
