"""What one game may come to, on a real server: who uses it up is refused and counted, the others race to the end."""

from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tools.harness.player import WRONG, Message, Player
from tools.harness.server import UNLIMITED, ServerProcess

MOST = 160


def answer(player: Player) -> Message:
    """To the message that was sent last."""
    while (message := player.receive())["type"] not in {"ack", "error"}:
        pass
    return message


def use_up(player: Player, most: int) -> dict[str, object] | None:
    """Ready, and not, until that is refused; the refusal, None where it never was."""
    for number in range(most):
        status = ("ready", "not_ready")[number % 2]
        player.send("ready", {"status": status}, id=f"r{number}")
        said = answer(player)
        if said["type"] == "error":
            return dict(said["data"])
    return None


def test_a_game_that_one_player_uses_up_is_raced_by_the_others(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, max_events_per_game=MOST, reconnect_grace_s=0.1, **UNLIMITED) as server:
        hog, ann, bob = (server.guest(name) for name in ("hog", "ann", "bob"))
        game_id = server.new_game(ann["token"], min_players=2)
        with Player(server, game_id, hog["token"]) as one, Player(server, game_id, ann["token"]) as two:
            two.until("player_joined", player_id=ann["player_id"])
            refused = use_up(one, MOST)
            assert refused is not None
            assert refused["code"] == "rate_limited"
            assert refused["retry_after_ms"] == 60_000
            assert "160 events" in str(refused["message"])
            assert server.metric("ws_rate_limited_total", scope="events_per_game", mode="enforced") >= 1
            with pytest.raises(InvalidStatus) as late, Player(server, game_id, bob["token"]):
                pass
            assert late.value.response.status_code == 429
            assert late.value.response.headers["retry-after"] == "60"
            one.send("ready", {"status": "ready"})
            two.send("ready", {"status": "ready"})
            two.until("player_ready", player_id=ann["player_id"])
            one.send("leave")
            two.until("player_left", player_id=hog["player_id"])
            with Player(server, game_id, ann["token"]) as again:
                again.until("player_reconnected")
        assert server.metric("faults_total") == 0


def test_a_race_at_its_bound_takes_the_verdict_and_ends_by_its_time(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, max_events_per_game=MOST, **UNLIMITED) as server:
        ann = server.guest("ann")
        game_id = server.new_game(ann["token"], min_players=1, max_players=8, time_limit_s=5)
        with Player(server, game_id, ann["token"], "?last_seq=0") as player:
            player.send("ready")
            player.until("game_started")
            for number in range(MOST):
                player.send("submit_code", {"code": WRONG}, id=f"s{number}")
                if answer(player)["type"] == "error":
                    break
                player.until("submission_judged")
            end = player.until("game_finished")
            assert end["data"]["reason"] == "time_limit"
            assert len(player.events) <= MOST


def test_a_players_code_is_bounded(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, max_code_bytes_per_player=2_000) as server:
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"], min_players=1), ann["token"]) as player:
            player.send("ready")
            player.until("game_started")
            player.send("submit_code", {"code": "#" * 1_900}, id="long")
            player.until("submission_judged")
            player.send("submit_code", {"code": "#" * 101}, id="longer")
            assert player.until("error")["data"]["code"] == "rate_limited"
            player.send("submit_code", {"code": "#"}, id="short")
            player.until("submission_judged")
