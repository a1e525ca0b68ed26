"""Who sends nonsense cannot fill the log; the counters still have every one."""

from pathlib import Path

from tools.harness.player import Player
from tools.harness.server import ServerProcess, until


def suppressed(server: ServerProcess) -> int:
    """How many lines the log says it left out."""
    told = server.logged("message.rejected") + server.logged("log.suppressed", of="message.rejected")
    return sum(line.get("suppressed", 0) for line in told)


def test_a_flood_of_refusals_is_counted_whole_and_logged_in_part_and_the_rest_told(tmp_path: Path) -> None:
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
        server.wait_for_log("log.suppressed", of="message.rejected", kind="invalid_json")  # though nothing follows
        until(lambda: suppressed(server) == many - len(server.logged("message.rejected")))
        assert server.metric("log_suppressed_total", event="message.rejected") == suppressed(server)
        assert server.logged("ws.closed")[0]["errors"] == many
