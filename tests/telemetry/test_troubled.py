"""Clients in trouble are counted by clients: each connection once for each kind, whatever it sends."""

from pathlib import Path

from app.vocabulary import ClientTrouble
from tools.harness.player import Player
from tools.harness.server import ServerProcess
from tools.harness.tokens import token


def troubled(server: ServerProcess) -> dict[str, float]:
    return {str(kind): server.metric("ws_troubled_connections_total", trouble=kind) for kind in ClientTrouble}


def test_each_connection_is_counted_once_for_each_kind_of_trouble(tmp_path: Path) -> None:
    """Two send rubbish again and again, one of them too much besides; one breaks a rule; one does all well."""
    with ServerProcess(tmp_path, command_burst=2, commands_per_second=0.01) as server:
        game_id = server.new_game(token("host"))
        for name in ("ann", "bob", "cat", "dan"):
            with Player(server, game_id, token(name)) as player:
                if name in {"ann", "bob"}:
                    for _ in range(3):
                        player.send("of-another-release")
                        player.until("error", code="unknown_type")
                if name == "ann":
                    for _ in range(5):
                        player.send("ready")
                    for _ in range(3):
                        player.until("error", code="rate_limited")
                if name == "cat":
                    player.send("submit_code", {"code": "x"})
                    player.until("error", code="not_allowed")
                player.send("ping", {"timestamp": 1})
                player.until("pong")
        assert troubled(server) == {"not_understood": 2, "too_fast": 1}
        assert server.metric("ws_errors_total", code="unknown_type") == 6
