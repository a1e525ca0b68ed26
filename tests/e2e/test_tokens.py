"""Tokens on a running connection, in the first message, as tickets, from an identity provider."""

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from websockets.exceptions import InvalidStatus

from tools.harness import fetch
from tools.harness.jwks import ALGORITHMS, IdentityProvider, SigningKey
from tools.harness.player import Player
from tools.harness.server import SECRET, UNLIMITED, ServerProcess, difference, until
from tools.harness.tokens import token

OFFER: dict[str, Any] = {"additional_headers": {}, "subprotocols": ["code-racer.v1"]}


def closes(server: ServerProcess, code: int, reason: str) -> float:
    return server.metric("ws_closes_total", code=str(code), reason=reason, initiator="server")


# ------------------------------------------------------------------------------------ first message


def test_the_first_message_may_bring_the_token_and_what_follows_it_waits(server: ServerProcess) -> None:
    ann = server.guest("ann")
    game_id = server.new_game(ann["token"], min_players=2)
    before = server.metrics()
    with Player(server, game_id, "", **OFFER) as player:
        player.send("auth", {"token": ann["token"]})
        player.send("ping", {"timestamp": 7})
        player.send("ready", id="r1")
        welcome = player.receive()
        assert (welcome["type"], welcome["data"]["player"]["player_id"]) == ("welcome", ann["player_id"])
        assert player.ws.subprotocol == "code-racer.v1"
        assert player.until("pong")["data"]["timestamp"] == 7
        player.until("ack", id="r1")
    connection = welcome["data"]["connection_id"]
    assert server.wait_for_log("ws.authenticated", connection_id=connection, kind="login")
    closed = server.wait_for_log("ws.closed", connection_id=connection)
    assert (closed["player_id"], closed["messages_in"]) == (ann["player_id"], 3)
    changes = difference(before, server.metrics(), "code_racer_ws_m")
    assert changes['code_racer_ws_messages_total{direction="in",type="auth"}'] == 1
    assert changes['code_racer_ws_message_auths_total{kind="login"}'] == 1


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (json.dumps({"type": "auth", "data": {"token": "marked-nonsense"}}), "malformed"),
        (json.dumps({"type": "auth", "data": {"token": token("ann", -600)}}), "expired"),
        (json.dumps({"type": "auth", "data": {"token": token("ann", exp=10**400)}}), "exp must be a number"),
        (json.dumps({"type": "ready", "data": {"status": "ready"}}), "first message must be auth"),
        ("no json", "first message must be auth"),
        (json.dumps({"type": "batch", "data": []}), "first message must be auth"),
    ],
)
def test_a_bad_first_message_is_4401(server: ServerProcess, first: str, says: str) -> None:
    game_id = server.new_game(server.guest("ann")["token"])
    before = closes(server, 4401, "auth_failed")
    with Player(server, game_id, "", **OFFER) as player:
        player.ws.send(first)
        assert player.until_closed() == (4401, "auth_failed")
    (told,) = player.received
    assert told["type"] == "disconnect"
    assert (told["data"]["code"], told["data"]["reconnect"]) == (4401, False)
    assert says in told["data"]["message"]
    assert "marked-nonsense" not in json.dumps(told)
    assert closes(server, 4401, "auth_failed") == before + 1


def test_no_first_message_in_time_is_4408(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, auth_timeout_s=0.2) as server:
        game_id = server.new_game(server.guest("ann")["token"])
        with Player(server, game_id, "", **OFFER) as player:
            assert player.until_closed() == (4408, "auth_timeout")
        assert closes(server, 4408, "auth_timeout") == 1
        assert server.metric("ws_connections") == 0


def test_without_the_subprotocol_there_is_no_first_message_to_wait_for(server: ServerProcess) -> None:
    game_id = server.new_game(server.guest("ann")["token"])
    with pytest.raises(InvalidStatus) as error, Player(server, game_id, "", additional_headers={}):
        pass
    assert error.value.response.status_code == 401


def test_no_such_game_after_the_first_message_is_4404(server: ServerProcess) -> None:
    with Player(server, str(uuid.uuid4()), "", **OFFER) as player:
        player.send("auth", {"token": token("ann")})
        assert player.until_closed() == (4404, "no_such_game")


def test_a_full_game_after_the_first_message_is_4411_and_a_finished_one_4412(server: ServerProcess) -> None:
    ann = server.guest("ann")
    game_id = server.new_game(ann["token"], min_players=1, max_players=1)
    with Player(server, game_id, ann["token"]) as first:
        first.until("player_joined")
        with Player(server, game_id, "", **OFFER) as player:
            player.send("auth", {"token": token("eve")})
            assert player.until_closed() == (4411, "game_full")
        first.send("ready")
        first.until("game_started")
        first.send("leave")
        first.until_closed()
    with Player(server, game_id, "", **OFFER) as player:
        player.send("auth", {"token": ann["token"]})
        assert player.until_closed() == (4412, "game_over")


def test_a_connection_may_resume_after_the_first_message(server: ServerProcess) -> None:
    ann = server.guest("ann")
    game_id = server.new_game(ann["token"], min_players=2)
    with Player(server, game_id, ann["token"]) as player:
        last = player.until("player_joined")["seq"]
        player.send("ready")
        player.until("player_ready")
    with Player(server, game_id, "", f"?last_seq={last}", **OFFER) as player:
        player.send("auth", {"token": ann["token"]})
        assert player.receive()["data"]["resumed"] is True
        assert player.receive()["seq"] == last + 1


# ------------------------------------------------------------------------------------ tokens end


def test_a_token_that_runs_out_is_announced_and_then_ends_the_connection(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, token_expiring_notice_s=4, jwt_leeway_s=0) as server:
        short = token("ann", 6)
        game_id = server.new_game(short)
        with Player(server, game_id, short) as player:
            expiring = player.until("token_expiring")
            ends_at = jwt.decode(short, SECRET, algorithms=["HS256"], options={"verify_exp": False})["exp"]
            assert expiring["data"]["expires_at"] == pytest.approx(ends_at * 1000, abs=1)
            assert player.until_closed() == (4401, "token_expired")
            told = player.received[-1]
            assert (told["type"], told["data"]["reconnect"]) == ("disconnect", False)
            assert time.time() * 1000 >= expiring["data"]["expires_at"]
        assert closes(server, 4401, "token_expired") == 1


def fresh(server: ServerProcess, known: str) -> httpx.Response:
    return fetch.post(f"{server.http_url}/api/guests", headers={"authorization": f"Bearer {known}"})


def test_a_guest_gets_a_fresh_token_for_the_one_that_ends(server: ServerProcess) -> None:
    guest = server.guest("ann")
    short = token(guest["player_id"], 30, name="ann")
    with Player(server, server.new_game(short), short) as player:
        player.until("token_expiring")
        answer = fresh(server, short)
        told = answer.json()
        assert (answer.status_code, told["player_id"], told["name"]) == (201, guest["player_id"], "ann")
        claims = jwt.decode(told["token"], SECRET, algorithms=["HS256"])
        assert (claims["sub"], claims["exp"] > time.time() + 3_600) == (guest["player_id"], True)
        player.send("auth", {"token": told["token"]}, id="a1")
        player.until("ack", id="a1")


def test_a_guest_whose_token_has_ended_gets_a_fresh_one_and_nothing_else(server: ServerProcess) -> None:
    ended = token("guest-late", -600, name="ann")
    told = fresh(server, ended).json()
    assert (told["player_id"], told["name"]) == ("guest-late", "ann")
    made = fetch.post(f"{server.http_url}/api/games", headers={"authorization": f"Bearer {ended}"})
    assert (made.status_code, made.json()["reason"]) == (401, "unauthorized")
    assert fresh(server, told["token"]).status_code == 201


@pytest.mark.parametrize(
    ("known", "status", "reason"),
    [
        (token("ann"), 403, "forbidden"),
        (token("guest-1", -20_000), 401, "unauthorized"),
        (token("guest-1", -600)[:-4] + "AAAA", 401, "unauthorized"),
        ("x", 401, "unauthorized"),
    ],
)
def test_nobody_else_gets_a_fresh_token(server: ServerProcess, known: str, status: int, reason: str) -> None:
    answer = fresh(server, known)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


def test_a_fresh_token_keeps_the_connection(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, token_expiring_notice_s=4, jwt_leeway_s=0, **UNLIMITED) as server:
        short = token("ann", 6)
        with Player(server, server.new_game(short), short) as player:
            player.until("token_expiring")
            player.send("auth", {"token": token("ann", 7)}, id="fresh")
            player.until("ack", id="fresh")
            second = player.until("token_expiring")
            player.send("auth", {"token": token("ann", 600)})
            while time.time() * 1000 < second["data"]["expires_at"] + 200:
                player.send("ping", {"timestamp": 1})
                player.until("pong")
        assert server.metric("ws_message_auths_total", kind="refresh") == 2
        assert closes(server, 4401, "token_expired") == 0


@pytest.mark.parametrize(
    ("fresh", "code"),
    [
        (lambda: token("eve"), "not_allowed"),
        (lambda: token("ann", -600), "auth_failed"),
        (lambda: "marked-nonsense", "auth_failed"),
        (lambda: token("ann", exp=10**400), "auth_failed"),
    ],
)
def test_a_bad_fresh_token_is_an_error_and_the_old_one_lasts(
    server: ServerProcess, fresh: Callable[[], str], code: str
) -> None:
    mine = token("ann")
    with Player(server, server.new_game(mine), mine) as player:
        player.send("auth", {"token": fresh()}, id="a1")
        error = player.until("error")["data"]
        assert (error["code"], error["id"]) == (code, "a1")
        assert "marked-nonsense" not in json.dumps(player.received)
        player.send("ping", {"timestamp": 3})
        player.until("pong")


def test_the_previous_secret_is_taken_during_a_rotation(tmp_path: Path) -> None:
    previous = "an-older-key-of-this-service-" + "o" * 32
    with ServerProcess(tmp_path, jwt_previous_secret=previous) as server:
        for secret in (SECRET, previous):
            mine = token("ann", secret=secret)
            with Player(server, server.new_game(mine), mine) as player:
                assert player.receive()["type"] == "welcome"
        assert jwt.decode(server.guest("eve")["token"], SECRET, algorithms=["HS256"])["sub"]


# ------------------------------------------------------------------------------------ tickets


def ticket(server: ServerProcess, bearer: str) -> str:
    answer = fetch.post(f"{server.http_url}/api/tickets", headers={"authorization": f"Bearer {bearer}"})
    assert answer.status_code == 201
    return str(answer.json()["ticket"])


def refused_with(server: ServerProcess, game_id: str, query: str) -> str:
    with pytest.raises(InvalidStatus) as error, Player(server, game_id, "", query, additional_headers={}):
        pass
    assert error.value.response.status_code == 401
    return str(json.loads(error.value.response.body or b"")["detail"])


def test_a_ticket_lets_in_once_and_survives_a_restart_as_used(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, ticket_ttl_s=60).start()
    mine = token("ann", name="Ann")
    game_id = server.new_game(mine)
    once = ticket(server, mine)
    assert fetch.get(f"{server.http_url}/ws/{game_id}?ticket={once}").status_code == 426, "asking does not use it up"
    with Player(server, game_id, "", f"?ticket={once}", additional_headers={}) as player:
        assert player.receive()["data"]["player"] == {"player_id": "ann", "name": "Ann"}
    assert "used already" in refused_with(server, game_id, f"?ticket={once}")
    server.kill()
    server.start()
    assert "used already" in refused_with(server, game_id, f"?ticket={once}")
    assert server.stop() == 0


def test_a_ticket_is_no_token_and_a_token_no_ticket(server: ServerProcess) -> None:
    mine = token("ann")
    game_id = server.new_game(mine)
    once = ticket(server, mine)
    assert "signature" in refused_with(server, game_id, f"?token={once}")
    assert "signature" in refused_with(server, game_id, f"?ticket={mine}")
    assert "malformed" in refused_with(server, game_id, "?ticket=nonsense")
    answer = fetch.post(f"{server.http_url}/api/tickets", headers={"authorization": f"Bearer {once}"})
    assert answer.status_code == 401


def test_a_ticket_runs_out(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, ticket_ttl_s=1) as server:
        mine = token("ann")
        game_id = server.new_game(mine)
        once = ticket(server, mine)
        until(lambda: fetch.get(f"{server.http_url}/ws/{game_id}?ticket={once}").status_code == 401)
        assert "expired" in refused_with(server, game_id, f"?ticket={once}")


def test_a_connection_by_ticket_ends_with_the_token_the_ticket_was_made_from(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, token_expiring_notice_s=0, jwt_leeway_s=0) as server:
        short = token("ann", 6)
        game_id = server.new_game(short)
        with Player(server, game_id, "", f"?ticket={ticket(server, short)}", additional_headers={}) as player:
            assert player.until_closed() == (4401, "token_expired")


# ------------------------------------------------------------------------------------ identity provider


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_tokens_of_an_identity_provider_are_verified_with_its_keys(tmp_path: Path, algorithm: str) -> None:
    key, stranger = SigningKey("k1", algorithm), SigningKey("k1", algorithm)
    with IdentityProvider(key) as provider, provider_server(tmp_path, provider) as server:
        until(lambda: server.metric("signing_keys") == 1)
        mine = key.token("ann")
        with Player(server, server.new_game(mine), mine) as player:
            assert player.receive()["type"] == "welcome"
        for bad in (stranger.token("ann"), token("ann"), token("ann", secret="", algorithm="none")):
            assert asked(server, bad).status_code == 401


def test_a_token_that_names_no_key_is_tried_with_all_of_them(tmp_path: Path) -> None:
    keys = [SigningKey(f"k{number}", algorithm) for number, algorithm in enumerate((*ALGORITHMS, *ALGORITHMS))]
    with IdentityProvider(*keys) as provider, provider_server(tmp_path, provider) as server:
        until(lambda: server.metric("signing_keys") == len(keys))
        for key in keys:
            assert asked(server, key.token("ann", named=False)).status_code == 404
        for algorithm in ALGORITHMS:
            assert asked(server, SigningKey("k0", algorithm).token("eve", named=False)).status_code == 401


def provider_server(folder: Path, provider: IdentityProvider, **settings: object) -> ServerProcess:
    return ServerProcess(folder, jwt_secret="", jwt_jwks_url=provider.url, jwks_timeout_s=1, **settings)


def asked(server: ServerProcess, bearer: str) -> httpx.Response:
    return fetch.get(f"{server.http_url}/ws/{uuid.UUID(int=7)}", headers={"authorization": f"Bearer {bearer}"})


def test_keys_rotate_without_a_restart(tmp_path: Path) -> None:
    old, new = SigningKey("k1", "ES256"), SigningKey("k2", "ES256")
    with IdentityProvider(old) as provider, provider_server(tmp_path, provider, jwks_cooldown_s=0) as server:
        until(lambda: server.metric("signing_keys") == 1)
        assert asked(server, old.token("ann")).status_code == 404
        assert asked(server, new.token("ann")).status_code == 401
        provider.keys = [new]
        assert asked(server, new.token("ann")).status_code == 404, "an unknown key id asks the provider again"
        assert asked(server, old.token("ann")).status_code == 401, "and a withdrawn key is gone"


def test_an_unknown_key_id_asks_the_provider_only_now_and_then(tmp_path: Path) -> None:
    key, stranger = SigningKey("k1", "EdDSA"), SigningKey("k9", "EdDSA")
    with IdentityProvider(key) as provider, provider_server(tmp_path, provider, jwks_cooldown_s=3600) as server:
        until(lambda: server.metric("signing_keys") == 1)
        for _ in range(20):
            assert asked(server, stranger.token("eve")).status_code == 401
        assert provider.asked <= 2


def test_a_dead_provider_lets_nobody_in_blocks_nobody_and_is_told(tmp_path: Path) -> None:
    key = SigningKey("k1", "EdDSA")
    with IdentityProvider(key) as provider:
        provider.broken = True
        with provider_server(tmp_path, provider, jwks_refresh_s=1, jwks_cooldown_s=0, jwks_max_age_s=8) as server:
            answer = asked(server, key.token("ann"))
            assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
            assert answer.json()["retry_after_ms"] > 0
            verbose = fetch.get(f"{server.http_url}/readyz?verbose")
            assert (verbose.status_code, verbose.json()["checks"]["signing_keys"]) == (200, False)
            server.wait_for_log("keys.failed")
            provider.broken = False
            until(lambda: asked(server, key.token("ann")).status_code == 404)
            server.wait_for_log("keys.fetched")
            provider.thaw.clear()
            assert asked(server, key.token("ann")).status_code == 404, "keys once fetched go on being believed"
            until(lambda: asked(server, key.token("ann")).status_code == 503)
            assert server.metric("signing_keys") == 0
            assert server.metric("signing_key_fetches_total", outcome="failed") >= 1
            assert fetch.get(f"{server.http_url}/livez").status_code == 200
            provider.thaw.set()
            until(lambda: asked(server, key.token("ann")).status_code == 404)


def test_guests_and_tickets_need_a_secret_of_our_own(tmp_path: Path) -> None:
    key = SigningKey("k1", "EdDSA")
    headers = {"authorization": f"Bearer {key.token('ann')}"}
    with IdentityProvider(key) as provider:
        with provider_server(tmp_path / "without", provider) as server:
            assert fetch.post(f"{server.http_url}/api/guests").status_code == 404
            assert fetch.post(f"{server.http_url}/api/tickets", headers=headers).status_code == 404
        with provider_server(tmp_path / "with", provider, ticket_secret="t1cket" * 8) as server:
            until(lambda: server.metric("signing_keys") == 1)
            mine = key.token("ann")
            game_id = server.new_game(mine)
            with Player(server, game_id, "", f"?ticket={ticket(server, mine)}", additional_headers={}) as player:
                assert player.receive()["type"] == "welcome"
