"""Slow readers, full queues, failing judges, old games: each bounded, none lost."""

import resource
import socket
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tools.harness import fetch
from tools.harness.player import SOLUTION, Player
from tools.harness.server import UNLIMITED, ServerProcess, until


def narrow_socket(server: ServerProcess) -> socket.socket:
    """A connected socket for which neither kernel keeps much: by themselves they would take megabytes unread."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    narrow.connect(("127.0.0.1", int(server.settings["PORT"])))
    return narrow


def test_a_peer_that_stops_reading_is_closed_and_the_others_race_on(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, outbox_max_bytes=4096, close_timeout_s=0.2, **UNLIMITED) as server:
        slow, quick = server.guest("slow"), server.guest("quick")
        game_id = server.new_game(slow["token"], min_players=3)
        with Player(server, game_id, quick["token"]) as other:
            player = Player(server, game_id, slow["token"], sock=narrow_socket(server))
            player.until("player_joined", player_id=slow["player_id"])
            connection = player.received[0]["data"]["connection_id"]
            events = 0
            while not (closed := server.logged("ws.closed", connection_id=connection)):
                assert events < 20_000, "the slow one was sent some megabytes and is still there"
                for status in ("ready", "not_ready") * 25:
                    other.send("ready", {"status": status})
                    other.until("player_ready", status=status)
                    events += 1
            record = closed[0]
            assert (record["code"], record["reason"], record["initiator"]) == (4430, "slow_consumer", "server")
            assert record["deepest_outbox_bytes"] <= 4096
            other.send("ping", {"timestamp": 2})
            other.until("pong")
            player.ws.socket.close()


def test_a_full_judge_queue_puts_submissions_off_and_loses_none(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, judge_queue_size=1, judge_time_limit_s=0.3, sweep_interval_s=0.1) as server:
        guests = [server.guest(f"p{number}") for number in range(6)]
        game_id = server.new_game(guests[0]["token"], min_players=6)
        players = [Player(server, game_id, guest["token"]) for guest in guests]
        for player in players:
            player.send("ready")
        for player in players:
            player.until("game_started")
            player.send("submit_code", {"code": "def solve(numbers, limit):\n    while True:\n        pass"})
        for player in players:
            assert player.until("submission_result")["data"]["verdict"] == "time_limit"
            player.ws.close()
        assert server.metric("judge_queue_full_total") >= 1
        assert server.metric("submissions_total", verdict="time_limit") == 6


def test_a_game_is_removed_whole_some_time_after_its_end(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, finished_game_retention_s=1, sweep_interval_s=0.1, finished_linger_s=0) as server:
        ann = server.guest("ann")
        game_id = server.new_game(ann["token"], min_players=1)
        with Player(server, game_id, ann["token"]) as player:
            player.send("ready")
            player.until("game_started")
            player.send("submit_code", {"code": SOLUTION})
            player.until_closed()
        headers = {"authorization": f"Bearer {ann['token']}"}
        url = f"{server.http_url}/api/games/{game_id}"
        until(lambda: fetch.get(url, headers=headers).status_code == 404)
        assert fetch.get(f"{url}/submissions/1", headers=headers).status_code == 404
        assert server.metric("games", state="finished") == 0


def test_a_game_nobody_starts_expires(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, waiting_game_ttl_s=4) as server:
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
            assert player.until("game_finished")["data"]["reason"] == "expired"


@pytest.mark.parametrize("guests", [None, "false", "true"])
def test_production_admits_guests_only_when_told_and_few(tmp_path: Path, guests: str | None) -> None:
    settings = {"environment": "production", "guests_per_address_per_minute": 2}
    with ServerProcess(tmp_path, **settings, **({"guests": guests} if guests else {})) as server:
        answers = [fetch.post(f"{server.http_url}/api/guests", json={"name": "ann"}) for _ in range(3)]
        statuses = [answer.status_code for answer in answers]
        assert statuses == ([201, 201, 429] if guests == "true" else [404] * 3)
        if guests == "true":
            assert int(answers[2].headers["retry-after"]) >= 1
            assert answers[2].json()["retry_after_ms"] > 0
            known = {"authorization": f"Bearer {answers[0].json()['token']}"}
            assert fetch.post(f"{server.http_url}/api/guests", headers=known).status_code == 201, "that is nobody new"


def test_a_full_disk_is_told_shown_and_survived(tmp_path: Path) -> None:
    """No file of the server may grow, as on a full disk: the kernel's own limit, lifted again later."""
    with ServerProcess(tmp_path, log_file="") as server:
        ann = server.guest("ann")
        game_id = server.new_game(ann["token"], min_players=2)
        with Player(server, game_id, ann["token"]) as player:
            player.until("player_joined")
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
            player.send("ready", id="r1")
            error = player.until("error")["data"]
            assert (error["code"], error["id"]) == ("unavailable", "r1")
            assert error["retry_after_ms"] > 0
            assert server.metric("event_log_connected") == 0
            assert server.metric("event_log_append_seconds_count", outcome="unavailable") >= 1
            verbose = fetch.get(f"{server.http_url}/readyz?verbose")
            assert (verbose.status_code, verbose.json()["checks"]["event_log"]) == (200, False)
            refused = fetch.post(f"{server.http_url}/api/games", headers={"authorization": f"Bearer {ann['token']}"})
            assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
            server.wait_for_log("event_log.lost")
            assert server.metric("ws_connections_limit") == 20_000
            with pytest.raises(InvalidStatus) as late, Player(server, game_id, server.guest("bob")["token"]):
                pass
            assert (late.value.response.status_code, "retry-after" in late.value.response.headers) == (503, True)
            # the ready; what the service tries by itself is a probe, and the others were not tried
            assert server.metric("event_log_errors_total", op="append") == 1
            until(lambda: server.metric("event_log_errors_total", op="probe") > 0)
            player.send("ping", {"timestamp": 1})
            player.until("pong")
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            server.wait_for_log("event_log.restored")  # nobody has sent anything: the service has looked by itself
            with Player(server, game_id, server.guest("cay")["token"]) as third:
                third.until("player_joined")
            player.send("ready", id="r1")
            player.until("ack", id="r1")
            assert [event["type"] for event in player.events].count("player_ready") == 1
            assert server.metric("event_log_connected") == 1
