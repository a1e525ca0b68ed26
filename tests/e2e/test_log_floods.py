"""Who sends nonsense cannot fill the log; the counters still have every one."""

from pathlib import Path

from tools.harness.player import Player
from tools.harness.server import ServerProcess


def test_a_flood_of_refusals_is_counted_whole_and_logged_in_part(tmp_path: Path) -> None:
    many = 400
    settings = {"log_repeats_per_s": 5, "messages_per_second": 0, "max_invalid_messages_per_minute": 1_000_000}
    with ServerProcess(tmp_path, **settings) as server:
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
            for _ in range(many):
                player.ws.send("nonsense")
            for _ in range(many):
                player.until("error")
        server.wait_for_log("ws.closed")
        lines = server.logged("message.rejected")
        assert server.metric("ws_errors_total", code="invalid_json") == many
        assert 5 <= len(lines) < many
        assert len(lines) + sum(line.get("suppressed", 0) for line in lines) <= many
        assert server.logged("ws.closed")[0]["errors"] == many
