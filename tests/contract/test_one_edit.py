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

import pytest
import yaml

from tools.harness import fetch
from tools.harness.player import Player
from tools.harness.server import ROOT, SECRET, ServerProcess

COPIED = ("app", "alerts", "clients", "dashboards", "deploy", "docs", "tools")
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
        "horn_heard",
        (
            (
                "app/protocol/server.py",
                f"\n# {RULE} all of them",
                (
                    '\nclass HornHeardData(TransientData, frozen=True):\n    """A horn was heard."""\n\n'
                    '    type: ClassVar[str] = "horn_heard"\n    times: int\n\n'
                ),
            ),
        ),
    ),
    "message from clients": Change(
        "honk",
        (
            (
                "app/protocol/client.py",
                '\n\nBATCH: Final = "batch"',
                (
                    "\n\nclass Honk(Struct, frozen=True):\n"
                    '    """How often."""\n\n    times: int = 1\n\n\n'
                    'class HonkMessage(ClientMessage, frozen=True, kw_only=True, tag="honk"):\n'
                    '    """The player honks."""\n\n'
                    '    type: ClassVar[str] = "honk"\n    data: Honk = Honk()\n'
                ),
            ),
            (
                "app/realtime/connection/inbox.py",
                "        elif isinstance(what, InvalidMessage):\n            self._refuse_invalid",
                "        elif isinstance(what, wire.HonkMessage):\n            self._honk(what.data.times)\n",
            ),
        ),
    ),
    "event of a game": Change(
        "player_cheered",
        (
            (
                "app/game/events.py",
                "\n\nEVENTS: Final",
                (
                    '\n\nclass PlayerCheered(GameEvent, frozen=True, kw_only=True, tag="player_cheered"):\n'
                    '    """A player is glad."""\n\n    player_id: str\n    mood: str = "glad"\n'
                ),
            ),
            ("app/game/rules.py", "    PlayerDisconnected,\n    PlayerJoined,", "    PlayerCheered,\n"),
            ("app/game/rules.py", "\n\ndef _submit(", "        draft.emit(PlayerCheered, player_id=player.id)\n"),
            (
                "app/protocol/server.py",
                "\n\nclass GameFinishedData(",
                (
                    '\n\nclass PlayerCheeredData(EventData, frozen=True):\n    """A player is glad."""\n\n'
                    '    type: ClassVar[str] = "player_cheered"\n    player_id: str\n    mood: str\n'
                ),
            ),
        ),
    ),
    "setting": Change(
        "MAX_HONKS",
        (
            (
                "app/settings/limits.py",
                "    max_batch: int",
                '    max_honks: int = Field(3, ge=1, description="more of them in one message close the connection")\n',
            ),
        ),
        area="limits",
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
    "gauge": Change(
        "Horns that could be heard.",
        (
            (
                "app/telemetry/catalogue/games.py",
                "    JUDGE_QUEUE = Metric(",
                '    HORNS = Metric(f"{PREFIX}horns", Kind.GAUGE, "Horns that could be heard.")\n',
            ),
            (
                "app/telemetry/gauges.py",
                "    store.read_gauge(Metrics.PLAYERS,",
                "    store.read_gauge(Metrics.HORNS, lambda: len(hub.connections))\n",
            ),
        ),
        area="games",
    ),
    "alert": Change(
        "CodeRacerHornsMany",
        (
            (
                "alerts/games.py",
                "\nGAMES: Final",
                (
                    '\nHORNS_MANY: Final = Alert(\n    name="CodeRacerHornsMany",\n    severity=Severity.WARNING,\n'
                    '    expr="code_racer_horns > 40",\n    hold="2m",\n    summary="There are many horns.",\n'
                    '    description="{{ $value }} horns of {{ $labels.instance }} can be heard.",\n    cases=(\n'
                    '        Case("a concert", {f"code_racer_horns{{{INSTANCE}}}": "0 50x9"}, fires=3, labels=WHERE,\n'
                    '             description="50 horns of a:8080 can be heard."),\n'
                    '        Case("an encore", {f"code_racer_horns{{{INSTANCE}}}": "0 50 0 50 0"}, silent=(1, 4)),\n'
                    "    ),\n)\n"
                ),
            ),
            ("alerts/games.py", "JUDGE_FAILING, JUDGE_BACKLOGGED))", "HORNS_MANY, "),
            (
                "alerts/drills/games.py",
                '    Drill(\n        "CodeRacerJudgeBacklogged",',
                (
                    '    Drill(\n        "CodeRacerHornsMany",\n        _TICKET,\n        "horns are given to many",\n'
                    '        _workers_frozen,\n        "Waiting for the judge",\n        None,\n    ),\n'
                ),
            ),
            ("dashboards/games.py", '"CodeRacerJudgeBacklogged",)', '"CodeRacerHornsMany", '),
            (
                "alerts/runbooks/CodeRacerHornsMany.md",
                "",
                "# CodeRacerHornsMany\n\n## Meaning\nThere are many horns.\n",
            ),
        ),
        area="games",
        name="CodeRacerHornsMany",
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
USED = (
    (
        "app/realtime/connection/inbox.py",
        "    def _refuse_invalid(",
        (
            "    def _honk(self, times: int) -> None:\n"
            "        self._observer.lapped()\n"
            "        self._outbox.send(HornHeardData(times))\n"
            "        if times > self._limits.max_honks:\n"
            "            self._close(Close.CHEATING)\n\n"
        ),
    ),
    (
        "app/realtime/connection/inbox.py",
        "from app.rate_limits import TooFast\n",
        "from app.protocol.server import HornHeardData\n",
    ),
)
"""The part that wants them: what it sends, counts, reads, and closes with."""
MAX_HONKS = 20
"""Another than by default."""
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
    for path, before, more in (*(one for change in CHANGES.values() for one in change.edits), *USED):
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
    server = ServerProcess(tmp_path_factory.mktemp("server"), max_honks=MAX_HONKS)
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
    declared = (project / "clients/javascript/client.d.ts").read_text("utf-8")
    assert "export interface HornHeardData {\n  times: number;\n}\n" in declared
    assert "  horn_heard: ServerMessage<HornHeardData, 'horn_heard'>;\n" in declared
    assert "  player_cheered: ServerEvent<PlayerCheeredData, 'player_cheered'>;\n" in declared
    assert "export interface HonkData {\n  times?: number;\n}\n" in declared
    assert "  honk: HonkData;\n" in declared
    document, labels, *_ = shown
    messages = document["components"]["messages"]
    assert messages["player_cheered"]["payload"]["required"] == ["type", "data", "seq"]
    assert {"client_honk", "horn_heard"} <= set(messages)
    assert {"horn_heard", "honk", "player_cheered"} <= labels


def test_a_close_code_is_documented_counted_and_obeyed(project: Path, shown: Any) -> None:
    document, labels, comes_back, _ = shown
    signals = (project / "docs/signals.md").read_text("utf-8")
    assert "| 4450 | `cheating` | no | server | after what waits | a player was caught |" in signals
    assert "| 4450 | cheating | no | after what waits | a player was caught |" in document["info"]["description"]
    assert "cheating" in labels
    assert not comes_back


def test_an_alert_has_its_drill_and_its_panel_leads_to_its_runbook(project: Path, shown: Any) -> None:
    assert "CodeRacerHornsMany" in shown[3]
    assert "runbooks/CodeRacerHornsMany.md" in (project / "dashboards/code-racer-games.json").read_text("utf-8")


@pytest.mark.prometheus
def test_an_alert_fires_when_it_should(project: Path, tmp_path: Path) -> None:
    groups = yaml.safe_load((project / "alerts/rules/code-racer.yaml").read_text("utf-8"))["groups"]
    (rule,) = [rule for group in groups for rule in group["rules"] if rule.get("alert") == "CodeRacerHornsMany"]
    cases = yaml.safe_load((project / "alerts/tests/code-racer.test.yaml").read_text("utf-8"))
    ours = [case for case in cases["tests"] if case["alert_rule_test"][0]["alertname"] == "CodeRacerHornsMany"]
    asked = [one["exp_alerts"] for case in ours for one in case["alert_rule_test"]]
    assert [len(alerts) for alerts in asked] == [0, 1, 0, 0], "not a step before; not for a moment"
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "new", "rules": [rule]}]}))
    test = {"rule_files": ["rules.yaml"], "evaluation_interval": cases["evaluation_interval"], "tests": ours}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_setting_is_read_and_told(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "check-config"],
        cwd=project, capture_output=True, text=True, check=False,
        env={"MAX_HONKS": "7", "JWT_SECRET": SECRET, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"max_honks\W+7\b", done.stdout, re.IGNORECASE)


def test_a_problem_is_served(server: ServerProcess) -> None:
    answer = fetch.get(f"{server.http_url}/api/problems")
    assert "two-laps" in {problem["id"] for problem in answer.json()}


@pytest.fixture
def players(server: ServerProcess) -> Iterator[tuple[Player, Player]]:
    """Ann and Ben, who are in one game."""
    ann, ben = (server.guest(name) for name in ("Ann", "Ben"))
    game_id = server.new_game(ann["token"], problem="two-laps")
    with Player(server, game_id, ann["token"]) as one, Player(server, game_id, ben["token"]) as other:
        one.until("welcome")
        other.until("welcome")
        yield one, other


def test_a_message_is_taken_and_answered_by_another(players: tuple[Player, Player]) -> None:
    ann, _ = players
    ann.send("honk", {"times": 2}, id="honk-1")
    assert ann.until("horn_heard")["data"] == {"times": 2}
    ann.until("ack", id="honk-1")
    ann.send("honk", {"times": "twice"}, id="honk-2")
    assert ann.until("error", id="honk-2")["data"]["code"] == "invalid_data"


def test_an_event_is_stored_and_sent_to_every_member(players: tuple[Player, Player]) -> None:
    ann, ben = players
    ann.send("ready", {"status": "ready"}, id="ready-1")
    (first, second) = (player.until("player_cheered") for player in players)
    assert first == second
    assert (first["seq"] > 1, first["data"]["mood"]) == (True, "glad")
    ben.send("ready", {"status": "ready"})
    ben.until("game_started")


def test_a_metric_and_a_gauge_have_their_rows_and_show(
    server: ServerProcess, project: Path, players: tuple[Player, Player]
) -> None:
    before, (ann, _) = server.metric("laps_total"), players
    ann.send("honk", id="honk-1")
    ann.until("ack", id="honk-1")
    assert server.metric("laps_total") == before + 1
    assert server.metric("horns") == len(players)
    signals = (project / "docs/signals.md").read_text("utf-8")
    assert re.search(r"^\| `code_racer_laps_total` \| counter \|.*\| Laps\. \|", signals, re.MULTILINE)
    assert re.search(
        r"^\| `code_racer_horns` \| gauge \|.*\| Horns that could be heard\. \|.*CodeRacerHornsMany",
        signals,
        re.MULTILINE,
    )


def test_a_setting_changes_what_its_part_does_and_a_close_code_is_sent_counted_and_logged(
    server: ServerProcess, players: tuple[Player, Player]
) -> None:
    ann, _ = players
    ann.send("honk", {"times": MAX_HONKS}, id="honk-1")
    ann.until("ack", id="honk-1")
    ann.send("honk", {"times": MAX_HONKS + 1})
    assert ann.until_closed() == (4450, "cheating")
    assert ann.received[-1]["data"]["reconnect"] is False
    server.wait_for_log("ws.closed", code=4450, reason="cheating", initiator="server")
    assert server.metric("ws_closes_total", code="4450", reason="cheating", initiator="server") == 1
