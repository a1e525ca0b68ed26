"""The largest game is told by its events, of those in memory."""

from pathlib import Path

from tools.harness.player import Player
from tools.harness.server import UNLIMITED, ServerProcess, until
from tools.harness.tokens import token


def test_the_largest_game_in_memory_is_told_by_its_events(tmp_path: Path) -> None:
    """One of two games grows; when its last player has gone and been forgotten, the other is the largest."""
    with ServerProcess(tmp_path, max_events_per_game=3_000, reconnect_grace_s=0, **UNLIMITED) as server:
        small, large = (server.new_game(token("host"), min_players=3) for _ in range(2))
        with Player(server, small, token("ann")) as ann:
            ann.until("player_joined")
            least = server.metric("game_events_largest")
            with Player(server, large, token("bob")) as bob:
                for number in range(20):
                    bob.send("ready", {"status": ("ready", "not_ready")[number % 2]}, id=f"r{number}")
                    bob.until("ack", id=f"r{number}")
                assert server.metric("game_events_largest") == max(event["seq"] for event in bob.events) > 20 > least
            until(lambda: server.metric("game_events_largest") == least)
        assert server.metric("game_events_limit") == 3_000
