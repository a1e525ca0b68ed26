"""The operations guide: its commands are run, its figures are those that were measured."""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.docs.commands import examples
from tools.harness import fetch
from tools.harness.group import ctrl_c
from tools.harness.player import Player
from tools.harness.server import ROOT, ServerProcess, free_port, until

GUIDE = (ROOT / "docs/operations.md").read_text()
EXAMPLES = examples(ROOT / "docs/operations.md")
BIN = ROOT / ".venv/bin"


@pytest.mark.timeout(300)
def test_a_new_reader_gets_a_running_pair_behind_tls(tmp_path: Path) -> None:
    """In a clone, with the commands of the guide; only the ports are others."""
    clone = tmp_path / "clone"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    for name in ("pyproject.toml", "tools/install-debian.sh"):
        os.utime(
            clone / name, (0, 0)
        )  # older than what was installed: make must not install the clone into our environment
    (clone / ".venv").symlink_to(ROOT / ".venv")  # set up already: what `make test` itself begins with
    ports = {name: str(free_port()) for name in ("TLS_PORT", "HTTP_PORT", "NATS_PORT")}
    ports["RACER_PORT"] = str(free_port(*PAIR))
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            ["bash", "-c", EXAMPLES["pair"]], cwd=clone, env=os.environ | ports, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        until(
            lambda: "Code Racer is ready" in (tmp_path / "log").read_text() or process.poll() is not None, timeout_s=120
        )
        assert process.poll() is None, (tmp_path / "log").read_text()
        race = EXAMPLES["pair-race"].replace("8443", ports["TLS_PORT"])
        done = subprocess.run(["bash", "-c", race], cwd=clone, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + (tmp_path / "log").read_text()
        ready = [
            fetch.get(f"http://127.0.0.1:{int(ports['RACER_PORT']) + 1000 + number}/readyz").status_code
            for number in (0, 1)
        ]
        assert ready == [200, 200], "it is a pair"
    finally:
        ctrl_c(process, timeout_s=120)
    logs = {path.name: path.read_text() for path in (clone / "var/pair").glob("*.log")}
    for name in ("racer-0.log", "racer-1.log"):
        assert '"app.stopped"' in logs[name], "ended in good order"
        assert '"event_log.lost"' not in logs[name], "before the log was"


PAIR = (1, 1_000, 1_001)
"""What deploy/pair.sh takes beside RACER_PORT."""


def test_what_a_backup_restores(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    data = tmp_path / "server/var"
    environment = os.environ | {"DATA": str(data), "BACKUP": str(backup)}

    def run(example: str) -> None:
        subprocess.run(["bash", "-ec", EXAMPLES[example]], env=environment, check=True)

    with ServerProcess(tmp_path / "server") as server:
        ann = server.guest("ann")
        game = server.new_game(ann["token"], min_players=2)
        with Player(server, game, ann["token"]) as player:
            player.until("player_joined")
            run("backup")
            player.send("ready")
            player.until("player_ready")
        later = server.new_game(ann["token"])
        server.kill()
        (data / "code-racer.db").write_bytes(b"a disk has eaten it")
        run("restore")
        server.start()
        assert "some 2,050" in GUIDE
        assert 1_900 < server.metric("metric_series") < 2_200, "as the guide has it"
        headers = {"authorization": f"Bearer {ann['token']}"}
        known = fetch.get(f"{server.http_url}/api/games/{game}", headers=headers)
        assert known.status_code == 200
        assert fetch.get(f"{server.http_url}/api/games/{later}", headers=headers).status_code == 404, "it came later"
        with Player(server, game, ann["token"], "?last_seq=99") as player:
            assert player.until("welcome")["data"]["resumed"] is False, "ahead of the log: a snapshot"


def test_the_longest_drain_is_told() -> None:
    environment = {"PATH": "/usr/bin:/bin", "ENVIRONMENT": "production", "JWT_SECRET": "f00dfeed1245789ac" * 4}
    done = subprocess.run(
        ["bash", "-c", EXAMPLES["drain"].replace(".venv/bin", str(BIN))],
        cwd=ROOT / "docs",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"at most \d+ s", done.stdout)


def test_its_figures_are_the_measured_ones() -> None:
    sizing = GUIDE[GUIDE.index("## Sizing") : GUIDE.index("## Deploys")]
    figures = re.findall(r"^\| [^|]+ \| ([\d,.]+) \|$", sizing, re.MULTILINE)
    assert len(figures) == 5
    measured = (ROOT / "docs/speed.md").read_text()
    assert all(figure in measured for figure in figures)
    by_cores = re.findall(r"^\|(?: [^|]+ \|){5}$", sizing, re.MULTILINE)
    assert len(by_cores) == 5
    assert "\n".join(by_cores[1:]) in (ROOT / "docs/speed-workers.md").read_text()


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[\w-]+)?\)", GUIDE):
        assert (ROOT / "docs" / target).exists(), target


def test_a_pair_that_cannot_start_says_why(tmp_path: Path) -> None:
    """It once asked for ever whether the servers were ready, while their log had no port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {name: str(free_port()) for name in ("TLS_PORT", "HTTP_PORT")}
        ports |= {"NATS_PORT": str(taken.getsockname()[1]), "RACER_PORT": str(free_port(*PAIR))}
        where = {"BIN": str(BIN), "STATE": str(tmp_path / "pair")}
        done = subprocess.run(
            [ROOT / "deploy/pair.sh"], env=os.environ | ports | where, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert "did not start" in done.stderr
    assert "address already in use" in done.stderr
