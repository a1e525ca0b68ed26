"""``kill -9`` in mid-race: nothing that was acknowledged is missing, nothing comes twice."""

import threading
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from tools.harness.player import SOLUTION, Player
from tools.harness.server import UNLIMITED, ServerProcess

GAMES = 8
ROUNDS = 3
MAX_MESSAGES = 20_000


class Toggler:
    """A player who says ready and not ready as fast as acknowledgements come, and notes every one."""

    def __init__(self, server: ServerProcess, name: str) -> None:
        self.server = server
        self.guest = server.guest(name)
        self.game_id = server.new_game(self.guest["token"])
        self.acknowledged: dict[str, int] = {}
        self.events: list[dict[str, object]] = []
        self.enough = threading.Event()

    def play(self) -> None:
        """One connection, until it is cut. What was not acknowledged before is repeated with the same id."""
        last = self.events[-1]["seq"] if self.events else 0
        player = Player(self.server, self.game_id, self.guest["token"], f"?last_seq={last}")
        try:
            for count in range(MAX_MESSAGES):
                number = len(self.acknowledged) + 1
                id = f"m{number}"
                player.send("ready", {"status": "ready" if number % 2 else "not_ready"}, id=id)
                self.acknowledged[id] = player.until("ack", id=id)["data"]["seq"]
                if count >= 20:
                    self.enough.set()
        except ConnectionClosed:
            pass
        finally:
            self.events += player.events
            player.ws.socket.close()


def test_kill_9_under_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "server", sweep_interval_s=0.2, **UNLIMITED)
    server.start()
    players = [Toggler(server, f"p{number}") for number in range(GAMES)]
    for _ in range(ROUNDS):
        for player in players:
            player.enough.clear()
        threads = [threading.Thread(target=player.play, daemon=True) for player in players]
        for thread in threads:
            thread.start()
        for player in players:
            assert player.enough.wait(60)
        server.kill()
        for thread in threads:
            thread.join(60)
        server.start()
    for player in players:
        last = player.events[-1]["seq"]
        with Player(server, player.game_id, player.guest["token"], f"?last_seq={last}") as final:
            final.until("player_reconnected")
            player.events += final.events
        seqs = [event["seq"] for event in player.events]
        assert seqs == list(range(1, len(seqs) + 1))
        ready = {event["seq"] for event in player.events if event["type"] == "player_ready"}
        assert set(player.acknowledged.values()) <= ready
        assert len(set(player.acknowledged.values())) == len(player.acknowledged)
    server.stop()


def test_a_submission_that_was_not_judged_when_the_server_died_is_judged_by_the_next(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "server", judge_time_limit_s=30, sweep_interval_s=0.2)
    server.start()
    ann = server.guest("ann")
    game_id = server.new_game(ann["token"], min_players=1)
    player = Player(server, game_id, ann["token"])
    player.send("ready")
    player.until("game_started")
    player.send("submit_code", {"code": "def solve(numbers, limit):\n    while True:\n        pass"}, id="s1")
    player.until("ack", id="s1")
    server.kill()
    player.ws.socket.close()
    server.settings["JUDGE_TIME_LIMIT_S"] = "2"
    server.start()
    last = player.events[-1]["seq"]
    with Player(server, game_id, ann["token"], f"?last_seq={last}") as again:
        assert again.until("submission_judged")["data"]["verdict"] == "time_limit"
        again.send("submit_code", {"code": SOLUTION}, id="s2")
        assert again.until("game_finished")["data"]["winner"] == ann["player_id"]
    server.stop()
