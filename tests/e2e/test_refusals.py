"""Who is not let in is told why, before the upgrade, and the same by a plain GET; each is counted and logged."""

import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tools.harness import fetch
from tools.harness.player import Player
from tools.harness.server import ServerProcess, difference
from tools.harness.tokens import token

NOBODY = str(uuid.UUID(int=7))


def header(bearer: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {bearer}"}


def refused(server: ServerProcess, path: str, headers: dict[str, str], **options: Any) -> httpx.Response:
    """The refusal of an upgrade and of a plain GET, which must agree; counted and logged once."""
    before = server.metrics()
    with (
        pytest.raises(InvalidStatus) as error,
        connect(f"{server.ws_url}{path}", additional_headers=headers, proxy=None, **options),
    ):
        pass
    response = error.value.response
    after = server.metrics()
    plain = fetch.get(f"{server.http_url}{path}", headers=headers)
    assert response.headers["content-type"] == "application/problem+json"
    assert plain.status_code == response.status_code
    assert plain.content == response.body
    reason = plain.json()["reason"]
    counted = difference(before, after, "code_racer_ws_handshakes_total")
    assert counted == {f'code_racer_ws_handshakes_total{{outcome="{reason}"}}': 1}
    assert server.wait_for_log("ws.refused", detail=plain.json()["detail"])["outcome"] == reason
    return plain


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("nonsense", "malformed"),
        ("a.b.c", "malformed"),
        (token("eve", secret="x" * 32), "signature"),
        (token("eve", secret="", algorithm="none"), "algorithm"),
        (token("eve", algorithm="HS512"), "algorithm"),
        (token("eve", exp=time.time() - 600), "expired"),
        (token("eve", exp=None), "exp"),
        (token("eve", sub=None), "sub"),
        (token("eve", sub=""), "sub"),
        (token("eve", sub="x" * 200), "sub"),
        (token("eve", nbf=time.time() + 86_400), "not valid yet: its nbf"),
    ],
    ids=str.split("word three other unsigned algorithm expired endless nobody empty long early"),
)
def test_a_bad_token_is_401_and_the_body_says_which(server: ServerProcess, bad: str, says: str) -> None:
    answer = refused(server, f"/ws/{NOBODY}", header(bad))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["detail"].startswith("Authentication required")
    assert says in answer.json()["detail"]
    assert bad not in answer.text


@pytest.mark.parametrize("audience", ["others", None])
def test_a_token_for_another_audience_is_401_where_one_is_configured(tmp_path: Path, audience: str | None) -> None:
    with ServerProcess(tmp_path, jwt_audience="players") as strict:
        answer = refused(strict, f"/ws/{NOBODY}", header(token("eve", aud=audience)))
        assert (answer.status_code, "aud" in answer.json()["detail"]) == (401, True)
        assert refused(strict, f"/ws/{NOBODY}", header(token("eve", aud="players"))).status_code == 404


def test_no_token_is_401(server: ServerProcess) -> None:
    assert refused(server, f"/ws/{NOBODY}", {}).status_code == 401
    assert refused(server, f"/ws/{NOBODY}", {"Authorization": "Basic eDp5"}).status_code == 401
    assert refused(server, f"/ws/{NOBODY}", {"Cookie": f"token={token('eve')}"}).status_code == 401


@pytest.mark.parametrize("game_id", ["1", "not-a-uuid", "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a0g"])
def test_a_game_id_that_is_no_uuid_is_400(server: ServerProcess, game_id: str) -> None:
    assert refused(server, f"/ws/{game_id}", header(token("eve"))).status_code == 400


@pytest.mark.parametrize("last_seq", ["-1", "x", "1.5", "9" * 30])
def test_a_last_seq_that_is_no_number_is_400(server: ServerProcess, last_seq: str) -> None:
    answer = refused(server, f"/ws/{NOBODY}?last_seq={last_seq}", header(token("eve")))
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_request")


def test_a_game_that_is_not_there_is_404(server: ServerProcess) -> None:
    assert refused(server, f"/ws/{NOBODY}", header(token("eve"))).status_code == 404


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://localhost.evil.example", "null", "http://127.0.0.1.evil.example", "file://"],
)
def test_a_foreign_origin_is_403(server: ServerProcess, origin: str) -> None:
    assert refused(server, f"/ws/{NOBODY}", header(token("eve")) | {"Origin": origin}).status_code == 403


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:5173", "own"])
def test_development_lets_local_pages_in(server: ServerProcess, origin: str) -> None:
    guest = server.guest("ann")
    game_id = server.new_game(guest["token"])
    headers = header(guest["token"]) | {"Origin": server.http_url if origin == "own" else origin}
    with Player(server, game_id, guest["token"], additional_headers=headers) as ann:
        assert ann.receive()["type"] == "welcome"


def test_a_full_game_is_409(server: ServerProcess) -> None:
    guest = server.guest("ann")
    game_id = server.new_game(guest["token"], min_players=1, max_players=1)
    with Player(server, game_id, guest["token"]) as ann:
        ann.until("player_joined")
        answer = refused(server, f"/ws/{game_id}", header(token("eve")))
        assert (answer.status_code, answer.json()["reason"]) == (409, "game_full")
        ann.send("ready")
        ann.until("game_started")
        answer = refused(server, f"/ws/{game_id}", header(token("eve")))
        assert (answer.status_code, answer.json()["reason"]) == (409, "game_running")
        ann.send("leave")
        ann.until_closed()
    answer = refused(server, f"/ws/{game_id}", header(guest["token"]))
    assert (answer.status_code, answer.json()["reason"]) == (409, "game_over")


def test_a_plain_get_of_what_would_be_accepted_is_426(server: ServerProcess) -> None:
    guest = server.guest("ann")
    path = f"/ws/{server.new_game(guest['token'])}"
    answer = fetch.get(f"{server.http_url}{path}", headers=header(guest["token"]))
    assert answer.status_code == 426
    assert answer.headers["upgrade"] == "websocket"
    assert fetch.get(f"{server.http_url}{path}?token={guest['token']}").status_code == 426


@pytest.mark.parametrize("how", ["header", "query", "subprotocol"])
def test_each_way_to_send_a_token_works(server: ServerProcess, how: str) -> None:
    guest = server.guest("ann")
    mine = guest["token"]
    game_id = server.new_game(mine)
    options: dict[str, Any] = {"additional_headers": header(mine) if how == "header" else {}}
    if how == "subprotocol":
        options["subprotocols"] = ["code-racer.v1", f"bearer.{mine}"]
    query = f"?token={mine}" if how == "query" else ""
    with Player(server, game_id, mine, query, **options) as ann:
        assert ann.receive()["data"]["player"]["player_id"] == guest["player_id"]
        assert ann.ws.subprotocol == ("code-racer.v1" if how == "subprotocol" else None)


def test_the_header_wins_over_the_query(server: ServerProcess) -> None:
    guest = server.guest("ann")
    game_id = server.new_game(guest["token"])
    with Player(server, game_id, guest["token"], f"?token={token('eve')}") as ann:
        assert ann.receive()["data"]["player"]["player_id"] == guest["player_id"]


def test_no_token_shows_up_in_any_output(server: ServerProcess) -> None:
    marked = token("marked")
    for path in (f"/ws/{NOBODY}?token={marked}", f"/ws/x?token={marked}"):
        fetch.get(f"{server.http_url}{path}")
        with pytest.raises(InvalidStatus), connect(f"{server.ws_url}{path}", proxy=None):
            pass
    server.until_all_is_logged()
    output = "\n".join(server.lines) + server.stderr + fetch.get(f"{server.http_url}/metrics").text
    assert marked not in output
    assert marked.split(".")[1] not in output


def test_api_errors_are_problems_that_say_what_to_do(server: ServerProcess) -> None:
    games = f"{server.http_url}/api/games"
    mine = server.guest("ann")["token"]
    for body, says in (
        ({"min_players": 0}, "min_players"),
        ({"problem": "no-such"}, "/api/problems"),
        ({"min_players": 9}, "max_players"),
        ({"colour": "red"}, "colour"),
        ({"finish": "never"}, "finish"),
    ):
        answer = fetch.post(games, json=body, headers=header(mine))
        assert answer.status_code == 400
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert says in answer.json()["detail"]
    assert fetch.post(games, json={}).status_code == 401
    assert fetch.post(games, headers=header(mine)).status_code == 201
    assert fetch.get(f"{games}/{NOBODY}", headers=header(mine)).status_code == 404
    assert fetch.get(f"{games}/x", headers=header(mine)).status_code == 404
    assert fetch.post(games, content=b"{", headers=header(mine)).status_code == 400


def test_cors_follows_the_same_list(server: ServerProcess) -> None:
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    url = f"{server.http_url}/api/games"
    good = fetch.options(url, headers=ask | {"Origin": "http://localhost:3000"})
    bad = fetch.options(url, headers=ask | {"Origin": "https://evil.example"})
    assert good.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "access-control-allow-origin" not in bad.headers
