"""A whole race over real sockets."""

import json

import httpx

from tools.harness import fetch
from tools.harness.player import SOLUTION, WRONG, Player
from tools.harness.server import ServerProcess, difference


def start(server: ServerProcess, *names: str, **wishes: object) -> tuple[str, list[Player], list[str]]:
    """Players in a running race: game id, players, tokens."""
    guests = [server.guest(name) for name in names]
    game_id = server.new_game(guests[0]["token"], **wishes)
    players = [Player(server, game_id, guest["token"]) for guest in guests]
    for number, player in enumerate(players):
        player.until("player_joined", player_id=guests[-1]["player_id"])
        player.send("ready", {"status": "ready"}, id=f"ready-{number}")
    for player in players:
        player.until("game_started")
    return game_id, players, [guest["token"] for guest in guests]


def test_two_players_race_and_the_service_says_who_won(server: ServerProcess) -> None:
    before = server.metrics()
    game_id, (ann, bob), (ann_token, bob_token) = start(server, "ann", "bob")
    bob.send("progress", {"percent": 40, "lines": 3})
    assert ann.until("player_progress")["data"]["percent"] == 40
    bob.send("submit_code", {"code": WRONG})
    judged = bob.until("submission_judged")
    assert judged["data"]["verdict"] == "wrong_answer"
    result = bob.until("submission_result")
    assert [test["passed"] for test in result["data"]["tests"]].count(False) >= 1
    ann.send("submit_code", {"code": SOLUTION})
    finished = ann.until("game_finished")
    assert finished["data"]["reason"] == "first_accepted"
    assert [(entry["rank"], entry["name"], entry["accepted"]) for entry in finished["data"]["ranking"]] == [
        (1, "ann", True),
        (2, "bob", False),
    ]
    bob.until("game_finished")
    assert "submission_result" in {message["type"] for message in ann.received}

    first_of_bob = bob.events[0]["seq"]
    assert [event["seq"] for event in bob.events] == list(range(first_of_bob, finished["seq"] + 1))
    assert [event for event in ann.events if event["seq"] >= first_of_bob] == bob.events
    assert not any("code" in message["data"] for message in bob.received)
    assert {message["data"]["attempt"] for message in ann.received if message["type"] == "submission_result"} == {1}
    assert "player_progress" not in {message["type"] for message in bob.received}

    own = _get(server, f"/api/games/{game_id}/submissions/1", bob_token)
    assert own.json()["code"] == WRONG
    assert own.json()["verdict"] == "wrong_answer"
    assert _get(server, f"/api/games/{game_id}/submissions/1", ann_token).json()["code"] == SOLUTION
    assert _get(server, f"/api/games/{game_id}/submissions/2", ann_token).status_code == 404
    assert _get(server, f"/api/games/{game_id}", ann_token).json()["state"] == "finished"
    for player in (ann, bob):
        player.ws.close()

    server.wait_for_log("game.finished", game_id=game_id, reason="first_accepted", players=2)
    changes = difference(before, server.metrics(), "code_racer_game_transitions_total")
    assert changes == {
        f'code_racer_game_transitions_total{{to="{to}"}}': 1 for to in ("waiting", "countdown", "running", "finished")
    }
    verdicts = difference(before, server.metrics(), "code_racer_submissions_total")
    assert verdicts == {
        f'code_racer_submissions_total{{verdict="{verdict}"}}': 1 for verdict in ("accepted", "wrong_answer")
    }


def _get(server: ServerProcess, path: str, token: str) -> httpx.Response:
    return fetch.get(f"{server.http_url}{path}", headers={"authorization": f"Bearer {token}"})


def test_nothing_public_holds_hidden_tests(server: ServerProcess) -> None:
    _, (ann, bob), _ = start(server, "ann", "bob")
    ann.send("submit_code", {"code": SOLUTION})
    ann.until("game_finished")
    everything = json.dumps(ann.received)
    assert "[[1, 2, 3, 4], 5]" in everything  # a visible test
    assert "[100], 1000" not in everything  # a hidden one
    for player in (ann, bob):
        player.ws.close()


def test_a_repeated_message_is_applied_once_and_gets_the_first_answer(server: ServerProcess) -> None:
    _, (ann, bob), _ = start(server, "ann", "bob")
    ann.send("submit_code", {"code": WRONG}, id="s1")
    first = ann.until("ack", id="s1")
    ann.until("submission_result")
    ann.send("submit_code", {"code": WRONG}, id="s1")
    assert ann.until("ack", id="s1") == first
    ann.send("ping", {"timestamp": 1}, id="p1")
    assert ann.until("ack", id="p1")["data"] == {"id": "p1"}
    assert [event["type"] for event in ann.events].count("code_submitted") == 1
    for player in (ann, bob):
        player.ws.close()


def test_a_batch_is_handled_in_order_and_its_bad_items_are_named(server: ServerProcess) -> None:
    guest = server.guest("ann")
    with Player(server, server.new_game(guest["token"]), guest["token"]) as ann:
        ann.until("player_joined")
        items = [
            {"type": "ready", "data": {"status": "ready"}, "id": "a"},
            {"type": "dance"},
            {"type": "submit_code", "data": {"code": "x"}, "id": "b"},
            {"type": "ping", "data": {"timestamp": 7}},
            {"type": "ready", "data": {"status": "not_ready"}, "id": "c"},
        ]
        ann.send("batch", items, id="all")
        ann.until("ack", id="all")
        answers = [
            (m["type"], m["data"].get("id"), m["data"].get("index"))
            for m in ann.received
            if m["type"] in {"ack", "error", "pong"}
        ]
    assert answers == [
        ("ack", "a", None),
        ("error", None, 1),
        ("error", "b", 2),
        ("pong", None, None),
        ("ack", "c", None),
        ("ack", "all", None),
    ]


def test_who_leaves_gets_1000_and_the_others_are_told(server: ServerProcess) -> None:
    _, (ann, bob), _ = start(server, "ann", "bob")
    ann.send("leave", id="bye")
    assert ann.until_closed() == (1000, "normal")
    last = [message["type"] for message in ann.received[-2:]]
    assert last == ["ack", "disconnect"]
    assert ann.received[-1]["data"]["reconnect"] is False
    assert bob.until("player_left")["data"]["reason"] == "left"
    bob.ws.close()


def test_the_time_limit_ends_a_race(server: ServerProcess) -> None:
    _, (ann, bob), _ = start(server, "ann", "bob", time_limit_s=5)
    finished = ann.until("game_finished")
    assert finished["data"]["reason"] == "time_limit"
    assert finished["data"]["winner"] is None
    for player in (ann, bob):
        player.ws.close()


def test_a_race_alone_is_a_race(server: ServerProcess) -> None:
    _, (ann,), _ = start(server, "ann", min_players=1)
    ann.send("submit_code", {"code": SOLUTION})
    assert ann.until("game_finished")["data"]["ranking"][0]["solved_ms"] >= 0
    ann.ws.close()
