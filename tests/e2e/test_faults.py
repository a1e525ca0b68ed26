"""A fault of the server ends one connection with 1011 internal_error, is logged whole, and tells nobody more."""

import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.settings import load_settings
from tools.harness.faulty import SECRET_DETAIL
from tools.harness.machine import Witness
from tools.harness.planted import NAME
from tools.harness.player import Player
from tools.harness.server import SECRET, ServerProcess, until


def test_a_fault_ends_one_connection_and_shows_nothing_of_itself(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "tools.harness.faulty") as server:
        ann, bob = server.guest("ann"), server.guest("bob")
        game_id = server.new_game(ann["token"])
        with Player(server, game_id, bob["token"]) as other, Player(server, game_id, ann["token"]) as player:
            player.until("player_joined", player_id=ann["player_id"])
            player.send("ready", id="r1")
            assert player.until_closed() == (1011, "internal_error")
            error, told = player.received[-2:]
            assert (error["type"], error["data"]["code"], error["data"]["id"]) == ("error", "internal", "r1")
            assert (told["type"], told["data"]["reconnect"]) == ("disconnect", True)
            assert SECRET_DETAIL not in json.dumps(player.received)
            other.send("ping", {"timestamp": 1})
            other.until("pong")
        fault = server.wait_for_log("app.fault")
        assert SECRET_DETAIL in fault["error"]
        assert "in fail_ready" in fault["exception"]
        assert server.metric("faults_total") == 1
        assert server.metric("ws_closes_total", code="1011", reason="internal_error", initiator="server") == 1


@pytest.mark.parametrize("transport", ["lean", "uvicorn"])
def test_what_raises_for_one_member_ends_that_one_and_all_others_are_told_and_answered(
    tmp_path: Path, transport: str
) -> None:
    with ServerProcess(tmp_path, "tools.harness.planted", ws_transport=transport, close_timeout_s=1) as server:
        game_id = server.new_game(server.guest("host")["token"], min_players=50, max_players=50)
        with ExitStack() as stack:
            guests = [server.guest(name) for name in ("ann", "bob", NAME, "cat", NAME, "dan")]
            players = [stack.enter_context(Player(server, game_id, guest["token"])) for guest in guests]
            players[0].until("player_joined", player_id=guests[-1]["player_id"])
            eves = [player for player, guest in zip(players, guests, strict=True) if guest["name"] == NAME]
            others = [player for player in players if player not in eves]
            for number, player in enumerate(others):
                player.send("ready", id=f"r{number}")
            for number, player in enumerate(others):
                assert player.until("ack")["data"]["id"] == f"r{number}"
            for eve in eves:
                eve.until_closed()
            lost = {guest["player_id"] for guest in guests if guest["name"] == NAME}
            for player in others:  # all were there when the eves were lost
                while lost - {
                    one["data"]["player_id"] for one in player.events if one["type"] == "player_disconnected"
                }:
                    player.receive()
                seqs = [event["seq"] for event in player.events]
                assert seqs == list(range(seqs[0], seqs[-1] + 1)), "none is missing"
            until(lambda: {record["player_id"] for record in server.logged("ws.closed")} == lost)
            faults = server.metric("faults_total")
            assert faults >= 2 * len(lost)
            assert server.metric("ws_connections") == len(others)
            bound = load_settings(jwt_secret=SECRET, close_timeout_s=1).drain.longest_s
            witness = Witness(server.folder)
            with witness.looking():
                begin = time.monotonic()
                assert server.stop() == 0
                took_s = time.monotonic() - begin
            assert not witness.withheld.leaves_too_long(took_s, bound)
        faulty = server.logged("app.fault")
        assert {record["where"] for record in faulty} == {"connection", "hub"}


def test_of_a_fault_that_happens_again_and_again_so_many_lines_are_written_and_all_are_counted(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "tools.harness.faulty", log_repeats_per_s=1) as server:
        game_id = server.new_game(server.guest("host")["token"], max_players=100)
        for _ in range(10):
            with Player(server, game_id, server.guest("ann")["token"]) as player:
                player.send("ready")
                player.until_closed()
        assert server.metric("faults_total") == 10
        suppressed = server.metric("log_suppressed_total", event="app.fault")
    lines = server.logged("app.fault")
    assert 0 < suppressed == 10 - len(lines)
    told = lines + server.logged("log.suppressed", of="app.fault")
    assert sum(record.get("suppressed", 0) for record in told) == suppressed, "also of the last ones, at the exit"
