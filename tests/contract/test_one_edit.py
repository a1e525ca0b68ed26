"""What a change costs: in a copy of the project one of each kind is made, and what follows from it is looked at.

The files of each are those that CONTRIBUTING.md names for its kind, no others; so are the generated ones.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tools.harness.player import Player
from tools.harness.server import ROOT, SECRET, ServerProcess

COPIED = ("app", "alerts", "dashboards", "deploy", "docs", "tools")
RULE = "-" * 84


@dataclass(frozen=True)
class Change:
    """One change: `token` stands in all that comes of it, `edits` are what is put where, and in front of what."""

    token: str
    edits: tuple[tuple[str, str, str], ...]
    area: str = ""
    name: str = ""


CHANGES = {
    "message to clients": Change(
        "host_changed",
        (
            (
                "app/protocol/server.py",
                f"\n# {RULE} parts of a welcome",
                (
                    '\nclass HostChangedData(EventData, frozen=True):\n    """Another player is the host."""\n\n'
                    '    type: ClassVar[str] = "host_changed"\n    host_id: str\n'
                ),
            ),
        ),
    ),
    "message from clients": Change(
        "honk",
        (
            (
                "app/protocol/client.py",
                "\n\nClientMessage = ",
                (
                    "\n\nclass Honk(Struct, frozen=True):\n"
                    '    """Nothing more."""\n\n\n'
                    'class HonkMessage(Message, frozen=True, kw_only=True, tag="honk"):\n'
                    '    """The player honks."""\n\n'
                    '    type: ClassVar[str] = "honk"\n    data: Honk = Honk()\n'
                ),
            ),
            ("app/protocol/client.py", "\nBATCH: Final", " | HonkMessage"),
            ("app/protocol/__init__.py", "    LeaveMessage,\n", "    HonkMessage,\n"),
            ("app/protocol/__init__.py", '    "InvalidMessage",\n', '    "HonkMessage",\n'),
            ("app/realtime/connection/inbox.py", "    InvalidMessage,\n    LeaveMessage,", "    HonkMessage,\n"),
            (
                "app/realtime/connection/inbox.py",
                "        elif isinstance(what, InvalidMessage):\n            self._refuse_invalid",
                "        elif isinstance(what, HonkMessage):\n            self._observer.lapped()\n",  # see the metric
            ),
        ),
    ),
    "event of a game": Change(
        "player_cheered",
        (
            (
                "app/game/events.py",
                "\n\nGameEvent = (",
                (
                    '\n\nclass PlayerCheered(Event, frozen=True, kw_only=True, tag="player_cheered"):\n'
                    '    """A player is glad."""\n\n    player_id: str\n'
                ),
            ),
            ("app/game/events.py", "    | GameFinished\n)", "    | PlayerCheered\n"),
            ("app/game/rules.py", "    PlayerDisconnected,\n    PlayerJoined,", "    PlayerCheered,\n"),
            ("app/game/rules.py", "\n\ndef _submit(", "        draft.emit(PlayerCheered, player_id=player.id)\n"),
            ("app/game/state.py", "    PlayerDisconnected,\n    PlayerJoined,", "    PlayerCheered,\n"),
            ("app/game/state.py", "    GameFinished: _finished,", "    PlayerCheered: lambda state, _event: state,\n"),
            ("app/game/public.py", "    PlayerDisconnected,\n    PlayerJoined,", "    PlayerCheered,\n"),
            (
                "app/game/public.py",
                "    GameFinished: _finished,",
                "    PlayerCheered: lambda event: wire.PlayerCheeredData(event.player_id, at=event.at),\n",
            ),
            (
                "app/protocol/server.py",
                "\n\nclass GameFinishedData(",
                (
                    '\n\nclass PlayerCheeredData(EventData, frozen=True):\n    """A player is glad."""\n\n'
                    '    type: ClassVar[str] = "player_cheered"\n    player_id: str\n'
                ),
            ),
        ),
    ),
    "setting": Change(
        "JUDGE_PATIENCE_S",
        (
            (
                "app/settings/judge.py",
                "    judge_memory_bytes: int",
                '    judge_patience_s: float = Field(7.5, gt=0, description="how long the judge is patient")\n',
            ),
        ),
        area="judge",
    ),
    "metric": Change(
        "code_racer_laps_total",
        (
            (
                "app/telemetry/catalogue/games.py",
                "    JUDGE_STOPS = Metric(",
                '    LAPS = Metric(f"{PREFIX}laps_total", Kind.COUNTER, "Laps.")\n',
            ),
            (
                "app/telemetry/observer.py",
                "    def judge_queue_full(self)",
                '    def lapped(self) -> None:\n        """A lap is done."""\n\n',
            ),
            (
                "app/telemetry/recorder/games.py",
                "    def judge_queue_full(self)",
                "    def lapped(self) -> None:\n        self.store.counter(Metrics.LAPS).inc()\n\n",
            ),
        ),
        area="games",
    ),
    "alert": Change(
        "CodeRacerLapsMissing",
        (
            (
                "alerts/games.py",
                "\nGAMES: Final",
                (
                    '\nLAPS_MISSING: Final = Alert(\n    name="CodeRacerLapsMissing",\n    severity=Severity.WARNING,\n'
                    '    expr="code_racer_judge_queue_depth > 40",\n    hold="2m",\n    summary="Laps are missing.",\n'
                    '    description="{{ $value }} laps of {{ $labels.instance }} are missing.",\n'
                    '    cases=(Case("few", {f"code_racer_judge_queue_depth{{{INSTANCE}}}": "50x9"}, silent=(1,)),),\n'
                    ")\n"
                ),
            ),
            ("alerts/games.py", "JUDGE_FAILING, JUDGE_BACKLOGGED))", "LAPS_MISSING, "),
            (
                "alerts/drills/games.py",
                '    Drill(\n        "CodeRacerJudgeBacklogged",',
                (
                    '    Drill(\n        "CodeRacerLapsMissing",\n        _TICKET,\n        "laps are taken away",\n'
                    '        _workers_frozen,\n        "Waiting for the judge",\n        None,\n    ),\n'
                ),
            ),
            ("dashboards/games.py", '"CodeRacerJudgeBacklogged",)', '"CodeRacerLapsMissing", '),
            (
                "alerts/runbooks/CodeRacerLapsMissing.md",
                "",
                "# CodeRacerLapsMissing\n\n## Meaning\nLaps are missing.\n",
            ),
        ),
        area="games",
        name="CodeRacerLapsMissing",
    ),
    "problem": Change(
        "two-laps",
        (
            (
                "app/judge/problems/two-laps.toml",
                "",
                (ROOT / "app/judge/problems/podium.toml").read_text("utf-8").replace('"podium"', '"two-laps"'),
            ),
        ),
        name="two-laps",
    ),
    "close code": Change(
        "4450",
        (
            (
                "app/protocol/closes.py",
                "    OTHER = CloseRow(",
                '    CHEATING = CloseRow(4450, "cheating", Reconnect.NO, (_S,), "a player was caught")\n',
            ),
        ),
    ),
}
SHOW = """
import json
from alerts.drills.__main__ import DRILLS
from app.protocol import should_reconnect
from app.telemetry.catalogue import METRICS
from app.web.schema.asyncapi import document
labels = {value for metric in METRICS for label in metric.labels for value in metric.values(label)}
drills = [drill.alert for drill in DRILLS]
print(json.dumps([document("1", "https://a.example", 50), sorted(labels), should_reconnect(4450), drills]))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which all changes are made, and what is generated is written."""
    folder = tmp_path_factory.mktemp("project")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".env.example", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, folder)
    for change in CHANGES.values():
        for path, before, more in change.edits:
            edit(folder / path, before, more)
    done = run(folder, "-m", "tools.generate")
    assert done.returncode == 0, done.stderr
    return folder


def edit(path: Path, before: str, more: str) -> None:
    """Put `more` in front of `before`, or into a new file."""
    text = path.read_text("utf-8") if before else ""
    assert not before or text.count(before) == 1, f"{path}: {before}"
    path.write_text(text.replace(before, more + before) if before else more, "utf-8")


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=project, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def shown(project: Path) -> tuple[dict[str, Any], set[str], bool, list[str]]:
    """The AsyncAPI document, all label values, whether one comes back after the new close, the drills."""
    done = run(project, "-c", SHOW)
    assert done.returncode == 0, done.stderr
    document, labels, comes_back, drills = json.loads(done.stdout)
    return document, set(labels), comes_back, drills


@pytest.fixture(scope="module")
def server(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The service of the copy."""
    server = ServerProcess(tmp_path_factory.mktemp("server"))
    server.code = project
    with server:
        yield server


def row(kind: str) -> tuple[set[str], set[str]]:
    """What CONTRIBUTING.md says of a kind of change: the files to edit, and the generated ones."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (line,) = re.findall(rf"^\| {kind} \|(.*)\|$", text, re.MULTILINE)
    change = CHANGES[kind]
    edited, generated = (re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[:2])

    def named(paths: list[str]) -> set[str]:
        return {path.replace("AREA", change.area).replace("NAME", change.name) for path in paths}

    return named(edited), named(generated)


def test_every_kind_of_change_in_the_table_is_made_here() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    table = text.split("<!-- the test reads this table -->\n", 1)[1].split("\n\n", 1)[0]
    assert [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]] == list(CHANGES)


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_is_made_in_the_files_of_the_table_and_shows_in_the_generated_ones(project: Path, kind: str) -> None:
    edited, generated = row(kind)
    assert {path for path, *_ in CHANGES[kind].edits} == edited
    ours = {path for change in CHANGES.values() for path, *_ in change.edits}
    files = (path for path in project.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    new = {str(path.relative_to(project)) for path in files if is_new(project, path, CHANGES[kind].token)} - ours
    assert new == generated


def is_new(project: Path, path: Path, token: str) -> bool:
    """Whether `token` stands in a file, and oftener than before."""
    before = ROOT / path.relative_to(project)
    known = before.read_bytes().count(token.encode()) if before.exists() else 0
    return path.read_bytes().count(token.encode()) > known


def test_what_was_generated_is_up_to_date_and_asks_for_nothing_that_there_is_not(project: Path) -> None:
    for command in ("tools.generate --check", "tools.queries"):
        done = run(project, "-m", *command.split())
        assert (done.returncode, done.stderr) == (0, ""), command


def test_messages_and_events_are_declared_and_documented(project: Path, shown: Any) -> None:
    declared = (project / "app/web/static/client.d.ts").read_text("utf-8")
    assert "export interface HostChangedData {\n  host_id: string;\n  at: number;\n}\n" in declared
    assert "  host_changed: ServerEvent<HostChangedData, 'host_changed'>;\n" in declared
    assert "  player_cheered: ServerEvent<PlayerCheeredData, 'player_cheered'>;\n" in declared
    document, labels, *_ = shown
    messages = document["components"]["messages"]
    assert messages["host_changed"]["payload"]["required"] == ["type", "data", "seq"]
    assert {"client_honk", "player_cheered"} <= set(messages)
    assert {"host_changed", "honk", "player_cheered"} <= labels


def test_a_close_code_is_documented_counted_and_obeyed(project: Path, shown: Any) -> None:
    document, labels, comes_back, _ = shown
    signals = (project / "docs/signals.md").read_text("utf-8")
    assert "| 4450 | `cheating` | no | server | after what waits | a player was caught |" in signals
    assert "| 4450 | cheating | no | after what waits | a player was caught |" in document["info"]["description"]
    assert "cheating" in labels
    assert not comes_back


def test_an_alert_has_its_drill_and_its_panel_leads_to_its_runbook(project: Path, shown: Any) -> None:
    assert "CodeRacerLapsMissing" in shown[3]
    assert "runbooks/CodeRacerLapsMissing.md" in (project / "dashboards/code-racer-games.json").read_text("utf-8")


def test_a_setting_is_read_and_told(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "check-config"],
        cwd=project, capture_output=True, text=True, check=False,
        env={"JUDGE_PATIENCE_S": "3.25", "JWT_SECRET": SECRET, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"judge_patience_s\W+3\.25", done.stdout, re.IGNORECASE)


def test_a_problem_is_served(server: ServerProcess) -> None:
    answer = httpx.get(f"{server.http_url}/api/problems")
    assert "two-laps" in {problem["id"] for problem in answer.json()}


def test_a_message_is_answered_a_metric_counted_and_an_event_sent_to_all(server: ServerProcess) -> None:
    ann, ben = (server.guest(name) for name in ("Ann", "Ben"))
    game_id = server.new_game(ann["token"], problem="two-laps")
    with Player(server, game_id, ann["token"]) as one, Player(server, game_id, ben["token"]) as other:
        one.until("welcome")
        other.until("welcome")
        one.send("honk", id="honk-1")
        one.until("ack", id="honk-1")
        assert server.metric("laps_total") == 1
        one.send("ready", {"status": "ready"})
        assert other.until("player_cheered", player_id=ann["player_id"])["seq"] > 1
