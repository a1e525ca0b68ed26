"""Every limit: refused with when to come back, counted, logged; and in a dry run counted, logged and let through."""

import contextlib
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.vocabulary import LimitScope
from tools.harness import fetch
from tools.harness.player import Player
from tools.harness.server import ServerProcess, until
from tools.harness.tokens import token

pytestmark = pytest.mark.long
NO_GAME = "e3e70682-c209-4cac-a29f-6fbed82c07cd"
PRODUCTION = {"environment": "production", "guests": "true", "scrape_wait_s": 0, "drain_delay_s": 0}


def bearer(player_id: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token(player_id)}"}


def turned_away(server: ServerProcess, game_id: str, player_id: str, **options: Any) -> dict[str, Any] | None:
    """The problem that refuses the upgrade; None where the player got in."""
    try:
        with Player(server, game_id, token(player_id), **options) as player:
            player.receive()
            return None
    except InvalidStatus as error:
        problem: dict[str, Any] = json.loads(error.response.body or b"")
        if "retry_after_ms" in problem:
            assert int(error.response.headers["retry-after"]) >= 1
        return problem


Attempt = Callable[[ServerProcess], bool]
"""Goes over the limit; whether that was refused, with the right answer."""


def full_replica(server: ServerProcess) -> bool:
    game_id = server.new_game(token("host"))
    with Player(server, game_id, token("a")), Player(server, game_id, token("b")):
        problem = turned_away(server, game_id, "c")
    return problem is not None and (problem["status"], problem["reason"]) == (503, "overloaded")


def full_address(server: ServerProcess) -> bool:
    game_id = server.new_game(token("host"))
    with Player(server, game_id, token("a")), Player(server, game_id, token("b")):
        problem = turned_away(server, game_id, "c")
    if problem is not None:
        until(lambda: turned_away(server, game_id, "c") is None)  # a place that was left is free again
    return problem is not None and (problem["status"], problem["reason"]) == (429, "rate_limited")


def many_connections_of_one_player(server: ServerProcess) -> bool:
    games = [server.new_game(token("host")) for _ in range(3)]
    with Player(server, games[0], token("a")), Player(server, games[1], token("a")):
        assert turned_away(server, games[2], "b") is None, "another player is not concerned"
        problem = turned_away(server, games[2], "a")
    return problem is not None and (problem["status"], problem["reason"]) == (429, "rate_limited")


def many_handshakes(server: ServerProcess) -> bool:
    problems = [turned_away(server, str(uuid.UUID(int=7)), "a") for _ in range(4)]
    statuses = [problem["status"] for problem in problems if problem is not None]
    assert statuses[:2] == [404, 404]
    return statuses[2:] == [503, 503]


def two_windows(server: ServerProcess) -> bool:
    game_id = server.new_game(token("host"))
    with contextlib.ExitStack() as stack:
        for number in range(3):
            player = stack.enter_context(Player(server, game_id, token("a")))
            player.until("player_reconnected" if number else "player_joined", player_id="a")
        problem = turned_away(server, game_id, "a")
    return problem is not None and (problem["status"], problem["reason"]) == (429, "rate_limited")


def say(server: ServerProcess, *messages: str) -> list[dict[str, Any]]:
    """Send raw texts, then collect the answers up to that of a last ping."""
    game_id = server.new_game(token("host"))
    with Player(server, game_id, token("a")) as player:
        player.until("player_joined", player_id="a")
        for message in messages:
            player.ws.send(message)
        seen: list[dict[str, Any]] = []
        while len(seen) < len(messages):
            answer = player.receive()
            if answer["type"] in {"pong", "error", "ack"}:
                seen.append(answer)
        return seen


PING = '{"type":"ping","data":{"timestamp":1}}'


def fast_messages(server: ServerProcess) -> bool:
    answers = say(server, *[PING] * 60)
    refused = [answer["data"] for answer in answers if answer["type"] == "error"]
    assert all(data["code"] == "rate_limited" and data["retry_after_ms"] > 0 for data in refused)
    return bool(refused)


def toggled(server: ServerProcess) -> bool:
    """Ready and not; what only one's own connection is told of costs nothing of it."""
    said = ("ready", "not_ready", "ready")
    texts = [json.dumps({"type": "ready", "data": {"status": status}, "id": status}) for status in said]
    texts[2] = texts[2].replace('"id": "ready"', '"id": "again"')
    first, *pongs, second, last = say(server, texts[0], PING, PING, PING, *texts[1:])
    assert [answer["type"] for answer in (first, second)] == ["ack", "ack"]
    assert {answer["type"] for answer in pongs} == {"pong"}
    if last["type"] != "error":
        return False
    assert last["data"]["code"] == "rate_limited"
    assert last["data"]["retry_after_ms"] > 0
    return True


def comes_and_goes(server: ServerProcess) -> bool:
    game_id = server.new_game(token("host"))
    assert turned_away(server, game_id, "a") is None
    assert turned_away(server, game_id, "a") is None
    assert turned_away(server, game_id, "b") is None, "each player has their own rate"
    answer = fetch.get(f"{server.http_url}/ws/{game_id}", headers=bearer("a"))
    problem = turned_away(server, game_id, "a")
    if problem is None:
        assert answer.status_code == 426
        return False
    assert answer.status_code == 429
    assert refused(answer)
    with Player(server, game_id, "", additional_headers={}, subprotocols=["code-racer.v1"]) as late:
        late.send("auth", {"token": token("a")})
        assert late.until("disconnect")["data"]["retry_after_ms"] > 0
        assert late.until_closed() == (4429, "rate_limited")
    return (problem["status"], problem["reason"]) == (429, "rate_limited") and problem["retry_after_ms"] > 0


def many_bytes(server: ServerProcess) -> bool:
    big = json.dumps({"type": "ping", "data": {"timestamp": 1}, "padding": "x" * 1000})
    (first, *_, last) = say(server, *[big] * 12)
    assert first["type"] == "pong"
    return bool(last["type"] == "error" and last["data"]["code"] == "rate_limited")


def many_pings(server: ServerProcess) -> bool:
    with Player(server, server.new_game(token("host")), token("a")) as player:
        for number in range(100):
            with contextlib.suppress(ConnectionClosed):
                player.ws.ping(str(number))
        return not pong(player) and player.ws.protocol.close_code == 4429


def one_big_message(server: ServerProcess) -> bool:
    game_id = server.new_game(token("host"))
    with Player(server, game_id, token("a")) as player:
        player.until("player_joined", player_id="a")
        player.ws.send(json.dumps({"type": "ping", "data": {"timestamp": 1}, "padding": "x" * 1100}))
        return not pong(player) and player.ws.protocol.close_code == 1009


def long_batch(server: ServerProcess) -> bool:
    batch = json.dumps({"type": "batch", "data": [json.loads(PING)] * 4, "id": "b"})
    (answer,) = say(server, batch)
    return bool(answer["type"] == "error" and answer["data"]["code"] == "batch_too_large")


def nonsense(server: ServerProcess) -> bool:
    game_id = server.new_game(token("host"))
    with Player(server, game_id, token("a")) as player:
        player.until("player_joined", player_id="a")
        for _ in range(3):
            player.ws.send("nonsense")
            player.until("error")
        return player.until_closed()[0] == 4400 if not pong(player) else False


def pong(player: Player) -> bool:
    """Whether a ping is answered; not, where the connection ends before."""
    with contextlib.suppress(ConnectionClosed):
        player.send("ping", {"timestamp": 1})
        player.until("pong")
        return True
    return False


def big_game(server: ServerProcess) -> bool:
    answer = fetch.post(f"{server.http_url}/api/games", json={"max_players": 6}, headers=bearer("a"))
    assert answer.status_code in {201, 400}
    return answer.status_code == 400 and "MAX_PLAYERS_PER_GAME" in answer.json()["detail"]


def many_games(server: ServerProcess) -> bool:
    answers = [fetch.post(f"{server.http_url}/api/games", json={"max_players": 2}, headers=bearer("a")) for _ in "123"]
    assert fetch.post(f"{server.http_url}/api/games", json={"max_players": 2}, headers=bearer("b")).status_code == 201
    return [answer.status_code for answer in answers] == [201, 201, 429] and answers[2].json()["retry_after_ms"] > 0


def many_guests(server: ServerProcess) -> bool:
    answers = [fetch.post(f"{server.http_url}/api/guests", json={}) for _ in "123"]
    return [answer.status_code for answer in answers] == [201, 201, 429] and answers[2].json()["retry_after_ms"] > 0


def many_open(server: ServerProcess) -> bool:
    """Two that ask nothing, and then somebody does."""
    address = ("127.0.0.1", int(server.settings["PORT"]))
    with socket.create_connection(address), socket.create_connection(address):
        turned_away = not alive(server)
    until(lambda: alive(server))
    return turned_away


def alive(server: ServerProcess) -> bool:
    try:
        answer = fetch.get(f"{server.http_url}/livez")
    except httpx.TransportError:  # the server had ended it before the request was sent
        return False
    assert answer.status_code == 200 or answer.json()["reason"] == "too_many"
    return answer.status_code == 200


def refused(answer: httpx.Response) -> bool:
    if answer.status_code != 429:
        return False
    assert answer.json()["reason"] == "rate_limited"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["retry_after_ms"] > 0
    assert int(answer.headers["retry-after"]) >= 1
    return True


def many_requests(server: ServerProcess) -> bool:
    """Answered or not, each counts; probes and pages do not."""
    paths = ("/api/problems", f"/api/games/{NO_GAME}", "/ws/nonsense", "/api/problems")
    answers = [fetch.get(f"{server.http_url}{path}") for path in paths]
    assert [answer.status_code for answer in answers[:3]] == [200, 401, 400]
    assert all(fetch.get(f"{server.http_url}{path}").status_code == 200 for path in ("/livez", "/", "/readyz") * 3)
    return refused(answers[3])


def many_requests_of_a_player(server: ServerProcess) -> bool:
    paths = (f"/api/games/{NO_GAME}", f"/ws/{NO_GAME}", f"/api/games/{NO_GAME}")
    answers = [fetch.get(f"{server.http_url}{path}", headers=bearer("a")) for path in paths]
    assert [answer.status_code for answer in answers[:2]] == [404, 404]
    assert fetch.get(f"{server.http_url}{paths[0]}", headers=bearer("b")).status_code == 404
    return refused(answers[2])


def many_games_of_many_players(server: ServerProcess) -> bool:
    answers = [fetch.post(f"{server.http_url}/api/games", json={}, headers=bearer(name)) for name in "abc"]
    assert [answer.status_code for answer in answers[:2]] == [201, 201]
    return refused(answers[2])


def many_submissions(server: ServerProcess) -> bool:
    """Three games of one player: one is judged, one waits, the third is put off; a fourth comes once there is room."""
    with contextlib.ExitStack() as stack:
        players = [stack.enter_context(racing(server)) for _ in "1234"]
        for player in players[:3]:
            player.send("submit_code", {"code": ENDLESS}, id="s")
            player.until("ack", id="s")
        for player in players[:2]:
            player.until("submission_judged")
        players[3].send("submit_code", {"code": ENDLESS})
        players[3].until("submission_judged")
        judged = server.metric("submissions_total", verdict="time_limit")
        assert judged in {3, 4}
        return judged == 3


@contextlib.contextmanager
def racing(server: ServerProcess) -> Iterator[Player]:
    """A player alone in a race."""
    with Player(server, server.new_game(token("a"), min_players=1), token("a")) as player:
        player.send("ready")
        player.until("game_started")
        yield player


ENDLESS = "def solve(*args):\n    while True:\n        pass"


def used_up(server: ServerProcess) -> bool:
    with Player(server, server.new_game(token("host")), token("a")) as player:
        for number in range(100):
            player.send("ready", {"status": ("ready", "not_ready")[number % 2]}, id=f"r{number}")
            while (answer := player.receive())["type"] not in {"ack", "error"}:
                pass
            if answer["type"] == "error":
                return bool(answer["data"]["code"] == "rate_limited")
    return False


LIMITS: dict[LimitScope, tuple[Attempt, dict[str, object]]] = {
    LimitScope.CONNECTIONS: (full_replica, {"max_connections": 2}),
    LimitScope.CONNECTIONS_PER_ADDRESS: (full_address, {"max_connections_per_address": 2}),
    LimitScope.CONNECTIONS_PER_PLAYER: (many_connections_of_one_player, {"max_connections_per_player": 2}),
    LimitScope.HANDSHAKES: (many_handshakes, {"handshakes_per_second": 0.001, "handshake_burst": 2}),
    LimitScope.REPLACEMENTS: (two_windows, {"max_replacements_per_minute": 2}),
    LimitScope.MESSAGES: (fast_messages, {"messages_per_second": 0.01, "message_burst": 50}),
    LimitScope.BYTES: (many_bytes, {"bytes_per_second": 1, "bytes_burst": 8192, "max_message_bytes": 8192}),
    LimitScope.CONTROL_FRAMES: (
        many_pings,
        {"control_frames_per_second": 20, "control_frame_burst": 5, "max_rate_limited_per_minute": 1},
    ),
    LimitScope.MESSAGE_SIZE: (one_big_message, {"max_message_bytes": 1024}),
    LimitScope.BATCH_SIZE: (long_batch, {"max_batch": 3}),
    LimitScope.COMMANDS: (toggled, {"commands_per_second": 0.01, "command_burst": 2}),
    LimitScope.ENTRIES: (comes_and_goes, {"entries_per_minute": 0.1, "entry_burst": 2}),
    LimitScope.EVENT_DELIVERIES: (toggled, {"event_deliveries_per_second": 0.01, "event_delivery_burst": 4}),
    LimitScope.INVALID_MESSAGES: (nonsense, {"max_invalid_messages_per_minute": 2}),
    LimitScope.PLAYERS_PER_GAME: (big_game, {"max_players_per_game": 5}),
    LimitScope.EVENTS_PER_GAME: (used_up, {"max_events_per_game": 160, "commands_per_second": 0}),
    LimitScope.GAMES_PER_PLAYER: (many_games, {"max_games_per_player": 2}),
    LimitScope.GUESTS: (many_guests, {"guests_per_address_per_minute": 2}),
    LimitScope.HTTP_CONNECTIONS: (many_open, {"max_http_connections": 2}),
    LimitScope.HTTP_CONNECTIONS_PER_ADDRESS: (many_open, {"max_http_connections_per_address": 2}),
    LimitScope.API_REQUESTS_PER_ADDRESS: (
        many_requests,
        {"api_requests_per_address_per_second": 0.01, "api_request_burst_per_address": 3},
    ),
    LimitScope.API_REQUESTS_PER_PLAYER: (
        many_requests_of_a_player,
        {"api_requests_per_player_per_second": 0.01, "api_request_burst_per_player": 2},
    ),
    LimitScope.SUBMISSIONS_PER_PLAYER: (
        many_submissions,
        {"judge_max_queued_per_player": 1, "judge_time_limit_s": 2, "sweep_interval_s": 3_600},
    ),
    LimitScope.GAMES_PER_ADDRESS: (many_games_of_many_players, {"games_per_address_per_minute": 2}),
}


def test_every_limit_is_tried() -> None:
    """The console's is tried where its port is (test_ops_port.py)."""
    assert {*LIMITS, LimitScope.OPS_REQUESTS_PER_OPERATOR} == set(LimitScope)


@pytest.mark.parametrize("scope", LIMITS, ids=str)
def test_a_limit_is_enforced(tmp_path: Path, scope: LimitScope) -> None:
    """A dry run of all the others changes nothing for it."""
    attempt, settings = LIMITS[scope]
    others = ",".join(set(LIMITS) - {scope})
    with ServerProcess(tmp_path, **PRODUCTION, **settings, limits_dry_run=others) as server:
        assert attempt(server)
        assert over(server, scope)[0] >= 1
        assert over(server, scope)[1] == 0
        check(server, scope, is_enforced=True)


@pytest.fixture(scope="module")
def dry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with every limit as low as its test has it, all in a dry run."""
    low = {name: value for _, settings in LIMITS.values() for name, value in settings.items()}
    low |= LIMITS[LimitScope.COMMANDS][1]  # another has none of them
    with ServerProcess(tmp_path_factory.mktemp("dry"), **PRODUCTION, **low, limits_dry_run=",".join(LIMITS)) as server:
        yield server


@pytest.mark.parametrize("scope", LIMITS, ids=str)
def test_a_limit_in_a_dry_run_refuses_nobody(dry: ServerProcess, scope: LimitScope) -> None:
    _, before = over(dry, scope)
    assert not LIMITS[scope][0](dry)
    assert over(dry, scope)[0] == 0
    assert over(dry, scope)[1] >= before + 1
    check(dry, scope, is_enforced=False)


def over(server: ServerProcess, scope: LimitScope) -> tuple[float, float]:
    """How often the limit was exceeded: refused, and let through."""
    refused, let_through = (
        server.metric("ws_rate_limited_total", scope=scope, mode=mode) for mode in ("enforced", "dry_run")
    )
    return refused, let_through


def check(server: ServerProcess, scope: LimitScope, *, is_enforced: bool) -> None:
    """What went over the limit is in the log as that, and has gone."""
    assert server.wait_for_log("limit.exceeded", scope=scope)["enforced"] is is_enforced
    until(lambda: server.metric("ws_connections") == 0)


def test_who_goes_on_too_fast_is_closed_and_told_when_to_come_back(tmp_path: Path) -> None:
    settings = {"messages_per_second": 0.01, "message_burst": 50, "max_rate_limited_per_minute": 5}
    with ServerProcess(tmp_path, rate_limit_retry_s=7, **settings) as server:
        with Player(server, server.new_game(token("host")), token("a")) as player:
            for _ in range(60):
                player.ws.send(PING)
            assert player.until_closed() == (4429, "rate_limited")
        told = player.received[-1]["data"]
        assert (told["reconnect"], told["retry_after_ms"]) == (True, 7000)
        answers = [message["type"] for message in player.received]
        assert (answers.count("pong"), answers.count("error")) == (50, 6)


def test_a_refused_batch_costs_nothing_and_may_be_sent_again(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, messages_per_second=25, message_burst=50) as server:
        batch = json.dumps({"type": "batch", "data": [json.loads(PING)] * 50, "id": "b"})
        with Player(server, server.new_game(token("host")), token("a")) as player:
            player.ws.send(batch)
            player.until("ack", id="b")
            player.ws.send(batch)
            error = player.until("error")["data"]
            assert (error["code"], error["id"]) == ("rate_limited", "b")
            time.sleep(error["retry_after_ms"] / 1000)  # as the server asked
            player.ws.send(batch)
            player.until("ack", id="b")


# ------------------------------------------------------------------------------------ behind a proxy


@pytest.mark.parametrize(
    ("trusted", "forwarded", "shown"),
    [
        ("", "198.51.100.7", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.0/8,10.0.0.0/8", "203.0.113.9, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("10.0.0.0/8", "198.51.100.7", "127.0.0.1"),
        ("127.0.0.1", "not an address" * 100, "unknown"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_the_clients_address_is_believed_only_of_trusted_proxies(
    tmp_path: Path, trusted: str, forwarded: str, shown: str
) -> None:
    with ServerProcess(tmp_path, trusted_proxies=trusted) as server:
        game_id = server.new_game(token("host"))
        headers = {"Authorization": f"Bearer {token('a')}", "X-Forwarded-For": forwarded}
        with Player(server, game_id, "", additional_headers=headers) as player:
            player.receive()
        assert server.wait_for_log("ws.opened", player_id="a")["client"] == shown


def test_addresses_behind_a_proxy_are_limited_one_by_one(tmp_path: Path) -> None:
    settings = {"max_connections_per_address": 1, "trusted_proxies": "127.0.0.1"}
    with ServerProcess(tmp_path, **PRODUCTION, **settings) as server:
        game_id = server.new_game(token("host"))

        def coming_from(address: str, player_id: str) -> dict[str, Any]:
            return {"Authorization": f"Bearer {token(player_id)}", "X-Forwarded-For": address}

        with Player(server, game_id, "", additional_headers=coming_from("192.0.2.1", "a")):
            for address, status in (("192.0.2.1", 429), ("192.0.2.2", None), ("2001:db8::1", None)):
                problem = turned_away(server, game_id, "b", additional_headers=coming_from(address, "b"))
                assert (problem or {}).get("status") == status
