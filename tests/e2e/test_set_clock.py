"""The machine's clock is set while a race is under way: it goes on as it was said to."""

import time
from pathlib import Path

import pytest

from tools.harness import fetch
from tools.harness.player import SOLUTION, Player
from tools.harness.server import ServerProcess, until
from tools.harness.tokens import token

HOUR_S = 3_600
COUNTDOWN_S = 2


def set_clock(server: ServerProcess, seconds: float) -> None:
    """At once, for every later look at it."""
    half = server.folder / "half"
    half.write_text(str(seconds))
    half.replace(server.folder / "set-clock")


def server_time(player: Player) -> float:
    """What the server says the time is (epoch seconds)."""
    player.send("ping", {"timestamp": 1})
    return float(player.until("pong")["data"]["server_time"]) / 1000


@pytest.mark.parametrize("seconds", [-HOUR_S, HOUR_S])
def test_a_clock_that_is_set_in_a_countdown_changes_nothing_for_the_race(tmp_path: Path, seconds: int) -> None:
    with ServerProcess(tmp_path, "tools.harness.set_clock", countdown_s=COUNTDOWN_S, sweep_interval_s=0.1) as server:
        ann = server.guest("ann")
        game_id = server.new_game(ann["token"], min_players=1, time_limit_s=600)
        with Player(server, game_id, ann["token"]) as player:
            player.send("ready")
            starts_at = player.until("countdown_started")["data"]["starts_at"]
            began, before, first_told = time.monotonic(), server_time(player), time.monotonic()
            set_clock(server, seconds)
            started = player.until("game_started")
            assert starts_at <= started["data"]["starts_at"] < starts_at + 60_000
            asked, passed, told = time.monotonic(), server_time(player) - before, time.monotonic()
            assert asked - first_told - 1 < passed < told - began + 1
            until(lambda: abs(server.metric("event_log_clock_offset_seconds") - seconds) < 1)
            assert abs(server.wait_for_log("clock.skewed")["offset_s"] - seconds) < 1
            player.send("submit_code", {"code": SOLUTION})
            end = player.until("game_finished")
            assert end["data"]["winner"] == ann["player_id"]
            assert end["data"]["ranking"][0]["solved_ms"] < 120_000
        assert server.metric("faults_total") == 0


def test_tokens_end_by_the_machines_clock(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, "tools.harness.set_clock") as server:
        game_id = server.new_game(server.guest("ann")["token"])
        mine = token("ann", 600)

        def answer() -> int:
            headers = {"authorization": f"Bearer {mine}"}
            return fetch.get(f"{server.http_url}/ws/{game_id}", headers=headers).status_code

        assert answer() == 426
        set_clock(server, HOUR_S)
        assert answer() == 401
        set_clock(server, -HOUR_S)
        assert answer() == 426


def test_a_ticket_is_used_once_whatever_the_games_clock_says(tmp_path: Path) -> None:
    """Its use is remembered until it ends by the machine's clock; the games' one is an hour ahead of that."""
    with ServerProcess(tmp_path, "tools.harness.set_clock", sweep_interval_s=0.1) as server:
        mine = token("ann", 600)
        game_id = server.new_game(mine)
        set_clock(server, -HOUR_S)
        issued = fetch.post(f"{server.http_url}/api/tickets", headers={"authorization": f"Bearer {mine}"})
        query = f"?ticket={issued.json()['ticket']}"
        with Player(server, game_id, "", query, additional_headers={}) as player:
            player.until("player_joined")
        for seconds in (HOUR_S, HOUR_S + 10):  # each is seen by a sweep of its own
            set_clock(server, -seconds)
            until(lambda: abs(server.metric("event_log_clock_offset_seconds") + seconds) < 1)  # noqa: B023 - called here
        again = fetch.get(
            f"{server.http_url}/ws/{game_id}{query}",
            headers={
                "connection": "upgrade",
                "upgrade": "websocket",
                "sec-websocket-version": "13",
                "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
            },
        )
        assert again.status_code == 401
        assert "used already" in again.json()["detail"]
