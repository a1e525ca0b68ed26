"""What operators do, over HTTP, and what players see of it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tools.harness import fetch
from tools.harness.player import Player
from tools.harness.server import ServerProcess, until

NO_GAME = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a0f"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), finished_linger_s=0, drain_delay_s=0) as running:
        yield running


def act(server: ServerProcess, method: str, path: str, **body: Any) -> httpx.Response:
    """As an operator does it."""
    json = {"reason": "a test", **body}
    return fetch.request(method, f"{server.http_url}/ops/api{path}", json=json)


def test_who_is_banned_is_put_out_and_let_in_nowhere_until_the_ban_is_lifted_also_over_a_restart(
    tmp_path: Path,
) -> None:
    with ServerProcess(tmp_path) as server:
        ann = server.guest("Ann")
        game = server.new_game(ann["token"])
        with Player(server, game, ann["token"]) as player:
            ban = act(server, "PUT", f"/bans/{ann['player_id']}", for_s=3600)
            assert (ban.status_code, ban.json()["by"], ban.json()["reason"]) == (200, "development", "a test")
            assert player.until("disconnect")["data"]["reconnect"] is False
            assert player.until_closed() == (4403, "forbidden")
        for again in range(2):
            assert_out(server, game, ann)
            assert len(fetch.get(f"{server.http_url}/ops/api/bans").json()["rows"]) == 1
            assert server.metric("operator_changes", action="ban") == 1
            if not again:
                server.stop()
                server.start()
        assert act(server, "DELETE", f"/bans/{ann['player_id']}").status_code == 200
        assert act(server, "DELETE", f"/bans/{ann['player_id']}").status_code == 404
        with Player(server, game, ann["token"]) as player:
            player.until("welcome")
        assert server.metric("operator_actions_total", action="unban", outcome="done") == 1
        assert server.metric("operator_actions_total", action="unban", outcome="gone") == 1


def assert_out(server: ServerProcess, game: str, ann: dict[str, Any]) -> None:
    """No way in: though the token is good, and was verified before."""
    headers = {"authorization": f"Bearer {ann['token']}"}
    for path in (f"/ws/{game}", f"/api/games/{game}"):
        answer = fetch.get(f"{server.http_url}{path}", headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (403, "forbidden")
        assert "banned" in answer.json()["detail"]
    with pytest.raises(InvalidStatus) as refused, Player(server, game, ann["token"]):
        pass
    assert refused.value.response.status_code == 403
    with Player(server, game, "", additional_headers={}, subprotocols=["code-racer.v1"]) as player:
        player.send("auth", {"token": ann["token"]})
        assert player.until_closed() == (4403, "forbidden")


def test_a_game_is_ended_for_all_who_are_in_it_and_once(server: ServerProcess) -> None:
    ann = server.guest("Ann")
    game = server.new_game(ann["token"], min_players=1)
    with Player(server, game, ann["token"]) as player:
        player.send("ready", {"status": "ready"})
        player.until("game_started")
        assert act(server, "POST", f"/games/{game}/end").json() == {"state": "finished"}
        assert player.until("game_finished")["data"]["reason"] == "ended"
        assert player.until_closed()[0] == 1000
    for gone in (game, NO_GAME):
        answer = act(server, "POST", f"/games/{gone}/end")
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
        assert answer.headers["content-type"] == "application/problem+json"
    acted: dict[str, Any] = {"action": "end_game", "subject": game, "operator": "development", "reason": "a test"}
    server.wait_for_log("operator.acted", outcome="done", **acted)
    server.wait_for_log("operator.acted", outcome="gone", **acted)


def test_the_name_of_a_player_is_erased_where_the_game_has_ended(server: ServerProcess) -> None:
    ann = server.guest("Ann-is-called-this")
    game = server.new_game(ann["token"], min_players=1)
    with Player(server, game, ann["token"]):
        erasure = act(server, "POST", f"/players/{ann['player_id']}/erase").json()
        assert (erasure["games"], erasure["going_on"]) == (0, [game])
        act(server, "POST", f"/games/{game}/end")
    erasure = act(server, "POST", f"/players/{ann['player_id']}/erase").json()
    assert (erasure["games"], erasure["going_on"], erasure["failed"]) == (1, [], [])
    files = [one for one in server.folder.rglob("*.db*") if b"Ann-is-called-this" in one.read_bytes()]
    assert files == []


def test_a_replica_is_drained_stays_and_serves_again(server: ServerProcess) -> None:
    ann = server.guest("Ann")
    game = server.new_game(ann["token"])
    with Player(server, game, ann["token"]) as player:
        assert act(server, "POST", "/drain").status_code == 200
        (raised,) = fetch.get(f"{server.http_url}/ops/api/replica").json()["raised"]
        assert (raised["what"], 3500 < raised["until"] - time.time() < 3601) == ("drain", True)
        assert player.until_closed() == (1012, "draining")
    assert fetch.get(f"{server.http_url}/readyz").status_code == 503
    assert act(server, "POST", "/drain", for_s=86_400).status_code == 200
    until(lambda: fetch.get(f"{server.http_url}/ops/api/replica").json()["connections"] == 0)
    assert act(server, "DELETE", "/drain").status_code == 200
    until(lambda: fetch.get(f"{server.http_url}/readyz").status_code == 200)
    with Player(server, game, ann["token"]) as player:
        player.until("welcome")


def test_lines_of_another_level_are_written_for_a_time_and_the_view_says_until_when(server: ServerProcess) -> None:
    assert act(server, "PUT", "/log-level", level="error", for_s=0.5).status_code == 400
    token = server.guest("Ann")["token"]
    assert act(server, "PUT", "/log-level", level="error", for_s=3600).json()["then"] == "info"
    hidden = server.new_game(token)
    shown = fetch.get(f"{server.http_url}/ops/api/replica").json()
    assert (shown["log_level"], [one["what"] for one in shown["raised"]]) == ("error", ["log_level"])
    assert act(server, "PUT", "/log-level", level="info", for_s=1).status_code == 200
    until(lambda: fetch.get(f"{server.http_url}/ops/api/replica").json()["raised"] == [])
    game = server.new_game(token)
    server.wait_for_log("game.created", game_id=game)
    assert not server.logged("game.created", game_id=hidden)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/connections/none/close", {}, 404),
        ("POST", "/players/nobody/close", {"comes_back": False}, 404),
        ("POST", "/players/nobody/remove", {"game_id": NO_GAME}, 404),
        ("POST", "/players/nobody/remove", {"game_id": "none"}, 400),
        ("POST", "/players/nobody/erase", {}, 404),
        ("PUT", f"/bans/{'x' * 129}", {}, 400),
        ("PUT", "/bans/nobody", {"for_s": 0}, 400),
        ("PUT", "/bans/nobody", {"for_s": 1e12}, 400),
        ("PUT", "/bans/nobody", {"reason": ""}, 400),
        ("PUT", "/bans/nobody", {"reason": "x" * 201}, 400),
        ("PUT", "/bans/nobody", {"more": 1}, 400),
        ("POST", "/games/none/end", {}, 404),
        ("POST", "/drain", {"for_s": 86_401}, 400),
        ("POST", "/drain", {"for_s": 0}, 400),
        ("DELETE", "/drain", {}, 404),
        ("POST", "/shed", {"share": 0}, 400),
        ("POST", "/shed", {}, 400),
        ("POST", "/shed", {"share": 0.5}, 404),
        ("PUT", "/log-level", {"level": "loud"}, 400),
        ("PUT", "/trace", {}, 400),
        ("PUT", "/trace", {"player": "a", "connection": "b"}, 400),
        ("PUT", "/trace", {"player": "a", "for_s": 601}, 400),
        ("PUT", "/trace", {"player": "a"}, 409),
        ("PUT", "/limits/none", {"dry_run": True}, 404),
        ("PUT", "/limits/guests", {"dry_run": False}, 409),
        ("PUT", "/limits/message_size", {"dry_run": True}, 409),
    ],
)
def test_what_cannot_be_done_is_told(server: ServerProcess, method: str, path: str, body: Any, status: int) -> None:
    answer = act(server, method, path, **body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
