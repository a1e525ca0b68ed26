"""Coming back: every event once, in order, whatever cut the connection."""

import pytest
from websockets.exceptions import InvalidStatus

from tools.harness.player import SOLUTION, WRONG, Player
from tools.harness.server import ServerProcess


def assert_whole(events: list[dict[str, object]], last: int) -> None:
    """The events are 1..last without gap or repeat."""
    assert [event["seq"] for event in events] == list(range(1, last + 1))


def test_a_client_that_comes_back_gets_what_it_missed(server: ServerProcess) -> None:
    ann, bob = server.guest("ann"), server.guest("bob")
    game_id = server.new_game(ann["token"])
    with Player(server, game_id, bob["token"]) as other:
        with Player(server, game_id, ann["token"], "?last_seq=0") as first:
            first.until("player_joined", player_id=ann["player_id"])
            seen = first.events
            first.drop()
        other.until("player_disconnected")
        other.send("ready")
        other.until("player_ready")
        last = seen[-1]["seq"]
        with Player(server, game_id, ann["token"], f"?last_seq={last}") as again:
            welcome = again.receive()
            assert welcome["data"]["resumed"] is True
            again.until("player_reconnected")
            assert_whole(seen + again.events, again.events[-1]["seq"])
            assert welcome["data"]["last_seq"] == again.events[-1]["seq"] - 1
            connection = welcome["data"]["connection_id"]
    assert server.wait_for_log("ws.opened", connection_id=connection)["resume"] == "resumed"


def test_a_fresh_connection_gets_a_snapshot_and_then_live_events(server: ServerProcess) -> None:
    ann = server.guest("ann")
    game_id = server.new_game(ann["token"])
    with Player(server, game_id, ann["token"]) as player:
        welcome = player.receive()["data"]
        assert welcome["resumed"] is False
        assert welcome["game"]["state"] == "waiting"
        assert "statement" not in welcome["game"]["problem"]
        assert player.receive()["seq"] == welcome["last_seq"] + 1


def test_a_last_seq_ahead_of_the_log_gets_a_snapshot(server: ServerProcess) -> None:
    ann = server.guest("ann")
    game_id = server.new_game(ann["token"])
    with Player(server, game_id, ann["token"], "?last_seq=999") as player:
        welcome = player.receive()["data"]
        assert (welcome["resumed"], welcome["last_seq"]) == (False, 1)
        assert player.receive()["seq"] == 2


def test_the_same_player_again_replaces_the_older_connection(server: ServerProcess) -> None:
    ann = server.guest("ann")
    game_id = server.new_game(ann["token"])
    with Player(server, game_id, ann["token"]) as older:
        older.until("player_joined")
        with Player(server, game_id, ann["token"]) as newer:
            assert older.until_closed() == (4409, "replaced")
            newer.until("player_reconnected")
            newer.send("ready")
            newer.until("player_ready")
            assert "player_disconnected" not in {message["type"] for message in newer.received}


def test_a_lost_player_is_out_after_the_grace(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("grace")
    with ServerProcess(folder, reconnect_grace_s=0.2) as server:
        ann, bob = server.guest("ann"), server.guest("bob")
        game_id = server.new_game(ann["token"])
        with Player(server, game_id, bob["token"]) as other:
            with Player(server, game_id, ann["token"]) as player:
                player.until("player_joined", player_id=ann["player_id"])
                player.drop()
            left = other.until("player_left")
            assert left["data"] == {**left["data"], "player_id": ann["player_id"], "reason": "grace_expired"}
            with Player(server, game_id, ann["token"]) as back:
                back.until("player_joined", player_id=ann["player_id"])


def test_who_missed_the_end_gets_it_and_nobody_else_gets_in(server: ServerProcess) -> None:
    ann, bob = server.guest("ann"), server.guest("bob")
    game_id = server.new_game(ann["token"])
    with Player(server, game_id, ann["token"], "?last_seq=0") as player:
        with Player(server, game_id, bob["token"]) as other:
            other.until("player_joined", player_id=bob["player_id"])
            for one in (player, other):
                one.send("ready")
            player.until("game_started")
            other.drop()
        player.send("submit_code", {"code": SOLUTION})
        end = player.until("game_finished")
    with Player(server, game_id, bob["token"], "?last_seq=0") as late:
        assert late.receive()["data"]["resumed"] is True
        assert late.until("game_finished") == end
        assert_whole(late.events, end["seq"])
    with pytest.raises(InvalidStatus):
        Player(server, game_id, bob["token"], f"?last_seq={end['seq']}")


def test_connections_of_a_finished_game_end_after_a_while(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ServerProcess(tmp_path_factory.mktemp("linger"), finished_linger_s=0.1) as server:
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"], min_players=1), ann["token"]) as player:
            player.send("ready")
            player.until("game_started")
            player.send("submit_code", {"code": SOLUTION})
            assert player.until_closed() == (1000, "normal")


def test_a_peer_that_answers_no_ping_is_closed(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ServerProcess(tmp_path_factory.mktemp("ping"), ping_interval_s=0.1, ping_timeout_s=3) as server:
        ann, bob = server.guest("ann"), server.guest("bob")
        game_id = server.new_game(ann["token"])
        with Player(server, game_id, bob["token"]) as lively, Player(server, game_id, ann["token"]) as frozen:
            frozen.until("player_joined", player_id=ann["player_id"])
            connection = frozen.received[0]["data"]["connection_id"]
            frozen.ws.protocol.send_pong = lambda *_: None  # type: ignore[method-assign] # a client that is stuck
            frozen.ws.protocol.recv_frame = lambda *_: None  # type: ignore[method-assign] # the same
            record = server.wait_for_log("ws.closed", connection_id=connection)
            assert (record["reason"], record["initiator"]) == ("ping_timeout", "server")
            lively.send("ping", {"timestamp": 1})
            lively.until("pong")
        metrics = server.metrics()
        assert metrics['code_racer_ws_pings_total{outcome="timeout"}'] >= 1
        answered = metrics['code_racer_ws_pings_total{outcome="answered"}']
        assert answered >= 1
        assert metrics["code_racer_ws_ping_rtt_seconds_count"] == answered


def test_an_orderly_restart_in_mid_race_loses_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = ServerProcess(tmp_path_factory.mktemp("restart"))
    server.start()
    ann, bob = server.guest("ann"), server.guest("bob")
    game_id = server.new_game(ann["token"])
    with Player(server, game_id, ann["token"], "?last_seq=0") as one, Player(server, game_id, bob["token"]) as two:
        two.until("player_joined", player_id=bob["player_id"])
        for player in (one, two):
            player.send("ready")
        one.until("game_started")
        one.send("submit_code", {"code": WRONG})
        one.until("submission_judged")
        assert server.stop() == 0
        assert one.until_closed() == (1012, "draining")
        told = one.received[-1]["data"]
        assert told["reconnect"] is True
        assert told["retry_after_ms"] > 0
        seen = one.events
    assert server.records()[-1]["event"] == "app.stopped"
    server.start()
    with Player(server, game_id, ann["token"], f"?last_seq={seen[-1]['seq']}") as one:
        one.until("player_reconnected")
        one.send("submit_code", {"code": SOLUTION})
        end = one.until("game_finished")
        assert_whole(seen + one.events, end["seq"])
    assert server.stop() == 0
