"""What docs/console.md says is so on a running pair: what is asked first is answered, and the drill of one player."""

import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app import __version__
from app.settings import Settings, secret_fingerprints
from tests.operator.helping import HELPS, Desk
from tests.operator.scene import HEIDI, LOU, SAMPLED, Scene, only, race_with_troubles, rows_below
from tools.harness.console import Console
from tools.harness.server import ROOT, SECRET, until

Answer = Any
FIRST = "What an operator asks first"
DRILL = "One player says it does not work"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The scene that all ask about; what they do to it, those that come later find done."""
    with race_with_troubles(tmp_path_factory.mktemp("console")) as one:
        yield one


def about_the_replica(_: Scene, told: Answer) -> None:
    assert (told["replica"], told["ready"], told["draining"]) == ("one", True, None)
    assert told["connections"] == 2, "ann and heidi are there"


def about_the_replicas(scene: Scene, told: Answer) -> None:
    assert {row["replica"]: row["instance"] for row in told["rows"]} == dict(
        zip(("one", "two"), scene.instances, strict=True)
    )
    assert {row["version"] for row in told["rows"]} == {__version__}


def about_the_player(scene: Scene, told: Answer) -> None:
    (connection,) = told["connections"]
    assert (told["player_id"], connection["name"], connection["game_id"]) == (HEIDI, "Heidi", scene.open_game)


def about_the_disconnected(_: Scene, told: Answer) -> None:
    assert [(row["kind"], row["code"], row["reason"]) for row in told["rows"]] == [("close", 4409, "replaced")]


def about_the_refused(_: Scene, told: Answer) -> None:
    refusals = [row for row in told["rows"] if (row["kind"], row["reason"]) == ("refusal", "unauthorized")]
    assert sum("expired" in row["detail"] for row in refusals) == 1


def about_connections(_: Scene, told: Answer) -> None:
    assert told["matched"] == 4
    assert told["rows"][0]["player_id"] == "ann", "she has sent what is refused"
    assert only(told["rows"], player_id="bob")["replica"] == "two"


def about_games(scene: Scene, told: Answer) -> None:
    rates = [row["events_per_minute"] for row in told["rows"]]
    assert told["rows"][0]["game_id"] == scene.game
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0


def about_the_game(_: Scene, told: Answer) -> None:
    assert told["game"]["phase"] == "finished"
    assert {row["player_id"] for row in told["players"]} >= {"ann", "bob"}
    found = sorted((row["player_id"], row["replica"]) for row in told["connections"])
    assert found == [("ann", "one"), ("bob", "two")], "wherever they are"
    assert told["game"]["members"] == len(found)
    submitted = only(told["events"], type="code_submitted")
    assert submitted["player_id"] == "ann"
    assert "def solve" not in str(told)


def about_who_sends_most(_: Scene, told: Answer) -> None:
    assert told["rows"][0]["player_id"] == "ann"


def about_who_comes_back(_: Scene, told: Answer) -> None:
    assert only(told["rows"], key="carol")["count"] == 1


def about_slow_messages(_: Scene, told: Answer) -> None:
    submitted = only(told["rows"], type="submit_code")
    assert (submitted["player_id"], submitted["replica"]) == ("ann", "one")
    assert submitted["trace_id"] == SAMPLED
    assert {row["replica"] for row in told["rows"]} == {"one", "two"}
    assert min(row["duration_s"] for row in told["rows"]) >= told["slow_s"] > 0


def about_tasks(_: Scene, told: Answer) -> None:
    group = only(told["groups"], name="load")
    assert group["stack"][0].endswith(" LoadMonitor.run")


def about_settings(_: Scene, told: Answer) -> None:
    assert only(told["rows"], name="ENVIRONMENT")["value"] == "development"
    fingerprint = secret_fingerprints(Settings(_env_file=None, jwt_secret=SECRET))["JWT_SECRET"]
    assert only(told["rows"], name="JWT_SECRET")["value"] == fingerprint


def about_bans(_: Scene, told: Answer) -> None:
    ban = only(told["rows"], player_id="mallory")
    assert (ban["reason"], ban["by"]) == ("she cheats", "the test (ops-token)")


def about_changes(_: Scene, told: Answer) -> None:
    act = only(told["rows"], action="ban", replica="two")
    assert (act["operator"], act["subject"], act["reason"]) == ("the test (ops-token)", "mallory", "she cheats")
    assert act["outcome"] == "done"


def about_alerts(_: Scene, told: Answer) -> None:
    (row,) = told["rows"]
    assert (row["name"], row["severity"], row["summary"]) == ("CodeRacerDown", "critical", "Nobody is served.")
    assert row["runbook"], "there is one to read"


QUESTIONS: dict[str, tuple[str, Callable[[Scene, Answer], None]]] = {
    "What is this replica doing?": ("", about_the_replica),
    "Which replicas are there, and which versions do they run?": ("", about_the_replicas),
    "Who is this player, and is she connected?": ("heidi", about_the_player),
    "Why was she disconnected?": ("carol", about_the_disconnected),
    "Why can she not get in?": ("dan", about_the_refused),
    "Which connections are worst off?": ("", about_connections),
    "Which game is hot?": ("", about_games),
    "What happened in this game?": ("", about_the_game),
    "Who sends the most?": ("", about_who_sends_most),
    "Who comes back again and again?": ("", about_who_comes_back),
    "Which messages are slow?": ("", about_slow_messages),
    "Where does the process spend its time?": ("", about_tasks),
    "With which settings does it run?": ("", about_settings),
    "Who is banned?": ("", about_bans),
    "Who changed what?": ("", about_changes),
    "Which alerts fire?": ("", about_alerts),
}
"""Each with the player it is about, where the document's ann is another, and what its answer must say."""


def test_the_questions_are_those_of_the_document() -> None:
    asked = [question for question, *_ in rows_below(FIRST)]
    assert asked == list(QUESTIONS)


def test_the_page_has_the_views_that_are_named() -> None:
    main = (ROOT / "app/web/static/ops/main.js").read_text("utf-8")
    views = set(re.findall(r"\w+", main.partition("const VIEWS = {")[2].partition("}")[0]))
    named = {place for _, place, *_ in rows_below(FIRST)}
    assert {re.sub(r"[/?].*", "", place.strip("`").removeprefix("#/")) for place in named} - {""} <= views


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_an_operator_asks_first_is_answered(
    question: str, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    player, check = QUESTIONS[question]
    (command,) = (row[2] for row in rows_below(FIRST) if row[0] == question)
    arguments = shlex.split(command.strip("`"))[1:]
    arguments = [{"GAME": scene.game, "ann": player or "ann"}.get(one, one) for one in arguments]
    console = Console(capsys, scene.pair.urls[0])
    check(scene, console.ask(*arguments))
    assert console.text(*arguments).strip() not in {"", "none"}, "for people too"


NOTHING = r"(?s)\Aplayer_id +nobody\nconnections +-\ngames +-\nends +-\nban +-\nnamed +-\n(?!.*nobody)"
TROUBLES = {
    "a ban": ("mallory", r"ban\.until +\d{4}-.*\nban\.reason +she cheats"),
    "a refusal, `unauthorized`, and its detail speaks of expiry": ("dan", r"dan .*unauthorized .*expired"),
    "a refusal, `unauthorized`, and its detail speaks of the signature": ("erin", r"unauthorized .*signature"),
    "a close, `replaced`": ("carol", r"carol .*4409 +replaced"),
    "a close, `slow_consumer`": ("sam", r"sam .*4430 +slow_consumer"),
    "a close, `connection_lost` or `ping_timeout`": ("lou", r"1006 +connection_lost .* Lou "),
    "a close, `forbidden`": ("rob", r"rob .*4403 +forbidden"),
    "a connection, with errors": ("ann", r"ann +open +\S+ +\d+ +3 .*unknown_type"),
    "a connection that is well": ("heidi", r"guest\S+ +open +\S+ +\d+ +0 .* Heidi "),
    "nothing at all": ("nobody", NOTHING),
}
"""Each with a player who has it, and where the operator reads it."""


def test_the_troubles_are_those_of_the_document() -> None:
    assert [row[0] for row in rows_below(DRILL)] == list(TROUBLES) == list(HELPS)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_one_player_says_it_does_not_work(trouble: str, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """The operator has a name, and no more: what there is to know of it is in the first answer, or in the second."""
    player, shown = TROUBLES[trouble]
    console = Console(capsys, scene.pair.urls[0])
    said = console.text("player", player)
    if not re.search(r"connections \(|ends \(", said):
        said += console.text("closes")
    assert re.search(shown, said), said


@pytest.mark.parametrize("trouble", HELPS)
def test_what_helps_helps(trouble: str, scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command of the row is run as it stands there, asked of the replica that has nothing of the player."""
    (row,) = (row for row in rows_below(DRILL) if row[0] == trouble)
    desk = Desk(scene, Console(capsys, scene.pair.urls[1]), row)
    HELPS[trouble](desk, TROUBLES[trouble][0])
    assert desk.left == []


def test_who_is_meant_by_a_part_of_a_name_is_found_on_all_replicas(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also who has gone; whom both know, as both have the game, is one row."""
    console = Console(capsys, scene.pair.urls[1])
    heidi = only(console.ask("players", "HEID")["rows"], player_id=HEIDI)
    assert (heidi["name"], heidi["connections"], heidi["replica"]) == ("Heidi", 1, "one")
    told = console.ask("players", "lou")
    lou = only(told["rows"], player_id=LOU)
    assert (lou["name"], lou["connections"], lou["game_id"]) == ("Lou", 0, scene.open_game)
    assert told["matched"] == len(told["rows"])
    assert console.ask("games", "--player", "Lou")["rows"][0]["game_id"] == scene.open_game


def test_a_connection_is_closed_by_way_of_another_replica(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(capsys, scene.pair.urls[1])
    (heidi,) = console.ask("connections", "--player", "heidi")["rows"]
    assert heidi["replica"] == "one"
    console.text("close", heidi["connection_id"], "--reason", "she asked")
    until(lambda: not console.ask("connections", "--player", "heidi")["rows"])
    until(lambda: console.ask("closes", "--player", HEIDI)["rows"])
    (end,) = console.ask("closes", "--player", HEIDI)["rows"]
    assert (end["detail"], end["replica"]) == ("an operator has closed this connection", "one")
    assert only(console.ask("changes")["rows"], action="close_connection")["replica"] == "one"


def test_a_connection_is_traced_where_it_is_and_a_player_or_a_game_everywhere(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(capsys, scene.pair.urls[1])
    (ann,) = console.ask("connections", "--player", "ann")["rows"]
    ids = {"connection": ann["connection_id"], "game": scene.game, "player": "nobody"}
    found = {kind: console.ask("trace", f"--{kind}", id, "--reason", "#77") for kind, id in ids.items()}
    assert {kind: told["connections"] for kind, told in found.items()} == {"connection": 1, "game": 2, "player": 0}
    assert found["player"]["note"] == "no connection of this player now; the next is traced"
    assert all(told["missing"] == [] for told in found.values())
    console.text("trace", "--player", "bob", "--replica", "two", "--reason", "#77")
    for unknown in (("--connection", "0123456789ab-1"), ("--game", "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a0f")):
        code, out, error = console.run("trace", *unknown, "--reason", "#78")
        assert (code, out, "404: " in error) == (1, "", True), error
    done = [row for row in console.ask("changes")["rows"] if (row["action"], row["reason"]) == ("trace", "#77")]
    assert sorted((row["subject"], row["replica"]) for row in done) == sorted(
        [(f"connection.id={ids['connection']}", "one"), ("player.id=bob", "two")]
        + [(f"{kind}.id={ids[kind]}", replica) for kind in ("game", "player") for replica in ("one", "two")]
    )
    assert {row["outcome"] for row in done} == {"done"}
