"""A fault of the server ends one connection with 1011 internal_error, is logged whole, and tells nobody more."""

import json
from pathlib import Path

from tests.support.faulty import SECRET_DETAIL
from tests.support.player import Player
from tests.support.server import ServerProcess


def test_a_fault_ends_one_connection_and_shows_nothing_of_itself(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "tests.support.faulty") as server:
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
        assert "test" in fault["exception"]
        assert server.metric("faults_total") == 1
        assert server.metric("ws_closes_total", code="1011", reason="internal_error", initiator="server") == 1
