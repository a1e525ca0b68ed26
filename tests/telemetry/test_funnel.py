"""The funnel: how many players come how far, each counted once a game."""

import contextlib
from pathlib import Path

from app.vocabulary import FunnelStep
from tools.harness.player import SOLUTION, Player
from tools.harness.server import UNLIMITED, ServerProcess
from tools.harness.tokens import token


def funnel(server: ServerProcess) -> dict[str, float]:
    return {str(step): server.metric("player_steps_total", step=step) for step in FunnelStep}


def test_the_funnel_counts_players_whatever_they_do_again(tmp_path: Path) -> None:
    """One gets ready ten times, one comes back, one leaves before the start and one during the race."""
    with ServerProcess(tmp_path, finished_linger_s=0, countdown_s=0, **UNLIMITED) as server:
        game_id = server.new_game(token("host"), min_players=3)
        for _ in range(2):
            with Player(server, game_id, token("dan")) as dan:
                dan.send("leave")
                dan.until_closed()
        with contextlib.ExitStack() as stack:
            ann, bob, cat = (
                stack.enter_context(Player(server, game_id, token(name))) for name in ("ann", "bob", "cat")
            )
            for number in range(10):
                ann.send("ready", {"status": "ready"}, id=f"r{number}")
                ann.until("ack", id=f"r{number}")
                if number < 9:
                    ann.send("ready", {"status": "not_ready"}, id=f"n{number}")
                    ann.until("ack", id=f"n{number}")
            for player in (bob, cat):
                player.send("ready")
            cat.until("game_started")
            cat.send("leave")
            ann.until("player_left", player_id="cat")
            ann.send("submit_code", {"code": SOLUTION})
            ann.until("game_finished")
        assert funnel(server) == {"joined": 4, "ready": 3, "started": 3, "finished": 2}


def test_a_game_that_never_began_has_no_finishers(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, finished_linger_s=0, waiting_game_ttl_s=1) as server:
        with Player(server, server.new_game(token("host")), token("ann")) as ann:
            assert ann.until("game_finished")["data"]["reason"] == "expired"
        assert funnel(server) == {"joined": 1, "ready": 0, "started": 0, "finished": 0}
