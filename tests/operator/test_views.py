"""What the operators' views show of a running server, for people and for programs."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.operator.commands import COMMANDS
from tools.harness import fetch
from tools.harness.console import Console
from tools.harness.player import SOLUTION, Player
from tools.harness.server import ServerProcess, until
from tools.harness.tokens import token


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(
        tmp_path_factory.mktemp("views"), replica="alone", command_burst=1_000, message_burst=1_000
    ) as running:
        yield running


@pytest.fixture(scope="module")
def game(server: ServerProcess) -> Iterator[str]:
    """A game that ann has won, while she still looks at it."""
    game = server.new_game(token("ann"), min_players=1)
    with Player(server, game, token("ann")) as ann:
        ann.send("ready")
        ann.until("game_started")
        ann.send("nonsense")
        ann.until("error")
        ann.send("submit_code", {"code": SOLUTION})
        ann.until("game_finished")
        yield game


@pytest.fixture
def console(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> Console:
    return Console(capsys, server.http_url, token="")


def test_every_command_asks_what_the_api_has(server: ServerProcess) -> None:
    document = fetch.get(f"{server.http_url}/ops/api/openapi.json").json()
    served = {(method.upper(), _plain(path)) for path, methods in document["paths"].items() for method in methods}
    asked = {(one.method, path) for one in COMMANDS.values() for path in (one.path, one.more) if path}
    assert asked <= served
    for one in COMMANDS.values():
        (path,) = (path for path in document["paths"] if _plain(path) == one.path)
        operation = document["paths"][path][one.method.lower()]
        known = {parameter["name"] for parameter in operation["parameters"]}
        assert known >= {"x-operator", "replica"}, one.name
        if one.acts:
            assert "x-reason" in known, one.name
            known = _fields(document, operation["requestBody"]["content"]["application/json"]["schema"])
            assert known >= {"reason", one.subject_field} - {""}, one.name
        assert {option.field for option in one.options} <= known, one.name


def _fields(document: Any, schema: Any) -> set[str]:
    """Of the bodies that a schema of the document is for."""
    if "oneOf" in schema:
        return {field for one in schema["oneOf"] for field in _fields(document, one)}
    name = schema.get("$ref", "").rpartition("/")[2]
    return set(document["components"]["schemas"][name]["properties"]) if name else set()


def _plain(path: str) -> str:
    """A path of the document as the commands have it."""
    return re.sub(r"\{.*?\}", "{}", path).removeprefix("/ops/api")


def test_a_list_is_a_table_for_people_and_rows_for_programs(console: Console, game: str) -> None:
    lines = console.text("connections", "--player", "ann").splitlines()
    assert lines[0].split() == [
        "CONNECTION", "PLAYER", "STATE", "AGE", "MESSAGES", "IN", "ERRORS", "OUTBOX", "LAST", "ERROR", "NAME", "CLIENT",
        "ADDRESS", "GAME", "REPLICA",
    ]  # fmt: skip
    assert lines[1].split()[-2:] == [game, "alone"]
    (row,) = console.ask("connections")["rows"]
    assert (row["player_id"], row["errors"], row["last_error"]) == ("ann", 1, "unknown_type")
    assert console.text("connections", "--player", "nobody") == "none\n"
    assert console.ask("connection", row["connection_id"])["game_id"] == game


def test_a_game_is_told_with_its_players_and_events_and_without_code(console: Console, game: str) -> None:
    told = console.ask("game", game)
    assert told["game"]["phase"] == "finished"
    assert [player["player_id"] for player in told["players"]] == ["ann"]
    assert "code_submitted" in {event["type"] for event in told["events"]}
    text = console.text("game", game)
    assert "game.phase" in text
    assert "code_submitted" in text
    assert "def solve" not in text + str(told)


def test_a_player_is_told_with_connections_and_games(console: Console, game: str) -> None:
    told = console.ask("player", "ann")
    assert {row["game_id"] for row in (*told["connections"], *told["games"])} == {game}
    assert console.ask("player", "nobody")["connections"] == []


def test_the_last_lines_of_the_log_are_told_the_newest_first(console: Console, game: str) -> None:
    told = console.ask("log", "--event", "ws.")
    assert (told["matched"], told["rows"][0]["event"], told["rows"][0]["game_id"]) == (1, "ws.opened", game)
    lines = console.text("log", "--limit", "2").splitlines()
    assert lines[0].split() == ["TIMESTAMP", "LEVEL", "EVENT"]
    assert lines[-1].endswith(" more")
    assert lines[1].split()[0] >= lines[2].split()[0]
    assert console.ask("log", "--level", "critical")["rows"] == []


def test_players_of_one_name_are_listed_for_the_operator_to_choose(console: Console, server: ServerProcess) -> None:
    """They have gone, and their games with them."""
    sams = [server.guest("Sam") for _ in range(2)]
    for sam in sams:
        with Player(server, server.new_game(sam["token"]), sam["token"]) as player:
            player.until("welcome")
    ids = {sam["player_id"] for sam in sams}
    until(lambda: all(server.logged("ws.closed", player_id=id) for id in ids))
    told = console.ask("player", "sam")
    assert {row["player_id"] for row in told["named"]} == ids
    assert {(row["name"], row["connections"]) for row in told["named"]} == {("Sam", 0)}
    assert "named (2)" in console.text("player", "sam")
    assert console.text("players", "SA", "--limit", "1").endswith("\n1 more\n")
    one = console.ask("player", sams[0]["player_id"])
    assert [end["name"] for end in one["ends"]] == ["Sam"]


def test_of_a_long_game_the_last_events_are_told_and_how_many_are_left_out(
    console: Console, server: ServerProcess
) -> None:
    long = server.new_game(token("ann"), min_players=2)
    with Player(server, long, token("ann"), max_queue=None) as ann:
        for number in range(212):
            ann.send("ready", {"status": ("ready", "not_ready")[number % 2]})
        while ann.receive().get("seq") != 214:
            pass
        told = console.ask("game", long)
        seqs = [event["seq"] for event in told["events"]]
        assert (seqs[-1], len(seqs)) == (told["game"]["events"], 200)
        assert told["events_left_out"] == {"before": seqs[0] - 1, "after": 0}
        text = console.text("game", long)
        assert text.endswith(f"{seqs[0] - 1} events before these; --after 0 shows those\n")
        first = console.ask("game", long, "--after", "0", "--limit", "7")
        assert [event["seq"] for event in first["events"]] == [*range(1, 8)]
        assert first["events_left_out"] == {"before": 0, "after": seqs[-1] - 7}
        assert console.text("game", long, "--after", "3", "--limit", "4").splitlines()[-2:] == [
            "3 events before these; --after 0 shows those",
            f"{seqs[-1] - 7} events after these; --after 7 shows those",
        ]
        none = console.ask("game", long, "--after", "9999")
        assert (none["events"], none["events_left_out"]) == ([], {"before": seqs[-1], "after": 0})


def test_the_metrics_are_those_that_prometheus_is_shown(server: ServerProcess) -> None:
    answer = fetch.get(f"{server.http_url}/ops/api/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "\ncode_racer_build_info{" in answer.text


def test_what_is_gone_is_told(console: Console) -> None:
    code, out, error = console.run("connection", "0123456789ab-99")
    assert (code, out) == (1, "")
    assert "404: there is no such connection" in error


def test_a_subject_cannot_lead_to_another_path(console: Console) -> None:
    assert console.ask("player", "ann?x=1&y#%2F")["player_id"] == "ann?x=1&y#%2F"
