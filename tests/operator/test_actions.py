"""What the operators' commands do to a running server: each is done once, and told with its reason."""

import time
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus

from tools.harness.console import Console
from tools.harness.player import Player
from tools.harness.server import ServerProcess
from tools.harness.tokens import token

WHY = ("--reason", "ticket 42")
ANN = "an/n%2F #é?"
"""Whatever is printable names a player."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("actions"), replica="alone") as running:
        yield running


@pytest.fixture
def console(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> Console:
    return Console(capsys, server.http_url, token="")


def test_players_are_closed_removed_banned_and_let_in_again(server: ServerProcess, console: Console) -> None:
    game = server.new_game(token("host"))
    with Player(server, game, token(ANN)) as ann:
        ann.until("welcome")
        (row,) = console.ask("connections", "--player", ANN)["rows"]
        assert console.ask("close", row["connection_id"], *WHY)
        ann.until_closed()
    with Player(server, game, token(ANN)) as ann:
        ann.until("welcome")
        console.text("close-player", ANN, "--stay-away", *WHY)
        ann.until_closed()
    with Player(server, game, token(ANN)) as ann:
        ann.until("welcome")
        console.text("ban", ANN, "--for", "1h", *WHY)
        assert ann.until_closed()[0] == 4403
    assert console.ask("player", ANN)["player_id"] == ANN
    assert [one["player_id"] for one in console.ask("bans")["rows"]] == [ANN]
    with pytest.raises(InvalidStatus), Player(server, game, token(ANN)):
        pass
    console.text("unban", ANN, *WHY)
    with Player(server, game, token(ANN)) as ann:
        ann.until("welcome")
        console.text("remove", ANN, "--game", game, *WHY)
        assert ann.until_closed()[0] == 4403
    assert console.ask("erase", ANN, *WHY)


def test_a_game_is_ended_and_who_acts_on_what_is_gone_is_told(server: ServerProcess, console: Console) -> None:
    game = server.new_game(token("host"))
    console.text("end", game, *WHY)
    assert console.ask("game", game)["game"]["phase"] == "finished"
    for command in (("end", game), ("unban", "nobody"), ("close-player", "nobody"), ("close", "0123456789ab-9")):
        code, out, error = console.run(*command, *WHY)
        assert (code, out, "404: " in error) == (1, "", True), error


def test_a_replica_is_changed_for_a_time_and_back(server: ServerProcess, console: Console) -> None:
    console.text("log-level", "debug", "--for", "10m", *WHY)
    raised = console.ask("replica")
    assert (raised["log_level"], [one["what"] for one in raised["raised"]]) == ("debug", ["log_level"])
    assert console.ask("limit-dry-run", "messages", "--for", "10m", *WHY)
    assert console.ask("limit-dry-run", "messages", "--off", *WHY)
    code, _, error = console.run("trace", "--player", "ann", "--for", "10m", *WHY)
    assert (code, "409: nothing is traced here" in error) == (1, True)
    console.text("drain", "--for", "2h", *WHY)
    told = console.ask("replica")
    assert told["draining"]
    (until,) = [one["until"] for one in told["raised"] if one["what"] == "drain"]
    assert 7000 < until - time.time() < 7201
    console.text("undrain", *WHY)
    assert console.ask("replica")["draining"] is None
    game = server.new_game(token("host"))
    with Player(server, game, token("ann")) as ann:
        ann.until("welcome")
        console.text("shed", "100%", *WHY)
        ann.until_closed()


def test_what_was_done_is_in_the_log_whatever_level_an_operator_has_set(
    server: ServerProcess, console: Console
) -> None:
    for level in ("critical", "error"):
        console.text("log-level", level, *WHY)
        console.text("ban", level, *WHY)
        console.text("unban", level, *WHY)
        for action in ("log_level", "ban", "unban"):
            assert server.wait_for_log("operator.acted", action=action, subject=level)["reason"] == "ticket 42"
    console.text("log-level", "info", *WHY)


def test_what_was_done_is_told_with_who_did_it_and_why(server: ServerProcess, console: Console) -> None:
    console.run("unban", "nobody", "--reason", "a mistake")
    row = console.ask("changes", "--limit", "1")["rows"][0]
    assert (row["action"], row["subject"], row["outcome"], row["reason"]) == ("unban", "nobody", "gone", "a mistake")
    acted = server.wait_for_log("operator.acted", action="unban", reason="a mistake")
    assert acted["operator"] == row["operator"]
