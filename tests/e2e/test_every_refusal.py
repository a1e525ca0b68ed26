"""Every way an attempt to connect can end, seen by the client, a plain GET, the counter and the log."""

import contextlib
import json
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.vocabulary import HandshakeOutcome
from tools.harness import fetch
from tools.harness.jwks import SigningKey
from tools.harness.player import Player
from tools.harness.server import ServerProcess, until
from tools.harness.tokens import token
from tools.harness.wire import upgrade

NOBODY = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a00"


@dataclass
class Case:
    """Where to connect so that it ends like this, and what the answer is."""

    status: int
    path: Callable[[ServerProcess], str]
    headers: dict[str, str] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    module: str = "app"
    retry: bool = False
    plain_get: bool = True
    during: Callable[[ServerProcess], contextlib.AbstractContextManager[object]] = contextlib.nullcontext


def waiting(server: ServerProcess) -> str:
    return f"/ws/{server.new_game(token('host'))}"


def full(server: ServerProcess) -> str:
    game_id = server.new_game(token("host"), min_players=1, max_players=1)
    with Player(server, game_id, token("first")) as player:
        player.until("player_joined")
    return f"/ws/{game_id}"


def running(server: ServerProcess) -> str:
    game_id = server.new_game(token("host"), min_players=1)
    with Player(server, game_id, token("first")) as player:
        player.send("ready")
        player.until("game_started")
    return f"/ws/{game_id}"


def over(server: ServerProcess) -> str:
    game_id = server.new_game(token("host"), min_players=1)
    with Player(server, game_id, token("first")) as player:
        player.send("ready")
        player.until("game_started")
        player.send("leave")
        player.until_closed()
    return f"/ws/{game_id}"


def left(server: ServerProcess) -> str:
    game_id = server.new_game(token("host"))
    with Player(server, game_id, token("first")) as player, Player(server, game_id, token("eve")) as eve:
        eve.until("player_joined", player_id="eve")
        player.send("ready")
        eve.send("ready")
        eve.until("game_started")
        eve.send("leave")
        player.until("player_left", player_id="eve")
    return f"/ws/{game_id}"


def removed(server: ServerProcess) -> str:
    game_id = server.new_game(token("host"))
    with Player(server, game_id, token("eve")) as player:
        player.until("player_joined")
        url = f"{server.http_url}/api/games/{game_id}/players/eve"
        assert fetch.delete(url, headers={"authorization": f"Bearer {token('host')}"}).status_code == 204
        assert player.until_closed()[0] == 4403
    return f"/ws/{game_id}"


@contextmanager
def draining(server: ServerProcess) -> Iterator[None]:
    """A race near its end holds the drain."""
    game_id = server.new_game(token("host"), min_players=1, time_limit_s=60)
    with Player(server, game_id, token("first")) as player:
        player.send("ready")
        player.until("game_started")
        os.kill(server.pid, signal.SIGTERM)
        server.wait_for_log("app.drain_progressed", phase="games")
        yield
        os.kill(server.pid, signal.SIGTERM)


@contextmanager
def two_of_them(server: ServerProcess) -> Iterator[None]:
    game_id = server.new_game(token("host"))
    with Player(server, game_id, token("eve")) as player:
        player.until("player_joined")
        yield


@contextmanager
def overloaded(server: ServerProcess) -> Iterator[None]:
    server.wait_for_log("app.overloaded")
    yield


def just(path: str) -> Callable[[ServerProcess], str]:
    return lambda _: path


CASES = {
    HandshakeOutcome.INVALID_GAME_ID: Case(400, just("/ws/no-uuid")),
    HandshakeOutcome.UNAUTHORIZED: Case(401, just(f"/ws/{NOBODY}"), {"Authorization": "Bearer nonsense"}),
    HandshakeOutcome.ORIGIN_REFUSED: Case(403, waiting, {"Origin": "https://evil.example"}),
    HandshakeOutcome.FORBIDDEN: Case(403, removed),
    HandshakeOutcome.NO_SUCH_GAME: Case(404, just(f"/ws/{NOBODY}")),
    HandshakeOutcome.NO_SUCH_PATH: Case(404, just("/elsewhere"), plain_get=False),
    HandshakeOutcome.GAME_FULL: Case(409, full),
    HandshakeOutcome.GAME_RUNNING: Case(409, running),
    HandshakeOutcome.GAME_OVER: Case(409, over),
    HandshakeOutcome.LEFT: Case(409, left),
    HandshakeOutcome.RATE_LIMITED: Case(
        429, waiting, settings={"max_connections_per_player": 1}, retry=True, during=two_of_them
    ),
    HandshakeOutcome.DRAINING: Case(
        503, just(f"/ws/{NOBODY}"), settings={"drain_game_wait_s": 600}, retry=True, during=draining
    ),
    HandshakeOutcome.OVERLOADED: Case(
        503,
        just(f"/ws/{NOBODY}"),
        settings={"memory_limit_bytes": 1, "overload_interval_s": 0.05},
        retry=True,
        during=overloaded,
    ),
    HandshakeOutcome.UNAVAILABLE: Case(
        503,
        just(f"/ws/{NOBODY}"),
        {"Authorization": f"Bearer {SigningKey('k1', 'ES256').token('eve')}"},
        settings={"jwt_secret": "", "jwt_jwks_url": "http://127.0.0.1:1/"},
        retry=True,
    ),
    HandshakeOutcome.INTERNAL_ERROR: Case(500, waiting, module="tools.harness.faulty", plain_get=False),
}
ELSEWHERE = {
    HandshakeOutcome.ACCEPTED: "tests/e2e/test_race.py",
    HandshakeOutcome.BAD_REQUEST: "tests/e2e/test_http_input.py",
    HandshakeOutcome.ABANDONED: "tests/e2e/test_every_refusal.py",
}


def test_every_outcome_has_its_case() -> None:
    assert set(CASES) | set(ELSEWHERE) == set(HandshakeOutcome)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The server of the cases that need no settings."""
    with ServerProcess(tmp_path_factory.mktemp("plain")) as server:
        yield server


@pytest.mark.parametrize("outcome", CASES, ids=str)
def test_a_refusal(tmp_path: Path, plain: ServerProcess, outcome: HandshakeOutcome) -> None:
    case = CASES[outcome]
    with contextlib.ExitStack() as stack:
        server = plain
        if case.settings or case.module != "app":
            server = stack.enter_context(ServerProcess(tmp_path, case.module, **case.settings))
        path = case.path(server)
        headers = {"Authorization": f"Bearer {token('eve')}"} | case.headers
        with case.during(server):
            before = server.metric("ws_handshakes_total", outcome=outcome)
            with (
                pytest.raises(InvalidStatus) as refused,
                connect(server.ws_url + path, additional_headers=headers, proxy=None),
            ):
                pass
            response = refused.value.response
            problem: dict[str, Any] = json.loads(response.body or b"")
            assert (response.status_code, problem["status"]) == (case.status, case.status)
            assert problem["reason"] == outcome
            assert response.headers["content-type"] == "application/problem+json"
            assert ("retry-after" in response.headers) is case.retry
            assert ("retry_after_ms" in problem) is case.retry
            assert server.metric("ws_handshakes_total", outcome=outcome) == before + 1
            if outcome not in {HandshakeOutcome.NO_SUCH_PATH, HandshakeOutcome.INTERNAL_ERROR}:
                assert server.wait_for_log("ws.refused", outcome=outcome)["status"] == case.status
            if case.plain_get:
                asked = fetch.get(server.http_url + path, headers=headers)
                assert (asked.status_code, asked.json()["reason"]) == (case.status, outcome)
                assert server.metric("ws_handshakes_total", outcome=outcome) == before + 1, "asking is no attempt"


def test_who_has_gone_before_the_answer_is_counted_as_such(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        game_id = server.new_game(token("host"))

        def tried() -> float:
            with socket.create_connection(("127.0.0.1", int(server.settings["PORT"]))) as one:
                one.sendall(upgrade(f"/ws/{game_id}", f"Authorization: Bearer {token('eve')}"))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return server.metric("ws_handshakes_total", outcome="abandoned")

        until(tried)
        until(lambda: server.metric("ws_connections") == 0)
        assert server.metric("faults_total") == 0


def test_a_host_removes_players_for_good_and_others_may_not(tmp_path: Path) -> None:
    odd = "a/b%2F #é?"  # whatever is printable names a player
    with ServerProcess(tmp_path, operators="oda") as server:
        game_id = server.new_game(token("host"))

        def remove(player_id: str, by: str) -> int:
            url = f"{server.http_url}/api/games/{game_id}/players/{quote(player_id, safe='')}"
            return fetch.delete(url, headers={"authorization": f"Bearer {token(by)}"}).status_code

        with Player(server, game_id, token(odd)) as a, Player(server, game_id, token("b")) as b:
            b.until("player_joined", player_id="b")
            assert remove(odd, "b") == 403
            assert remove("nobody", "host") == 409
            assert remove(odd, "oda") == 204
            assert a.until_closed() == (4403, "forbidden")
            assert b.until("player_left")["data"]["reason"] == "removed"
            assert remove(odd, "host") == 409
        url = f"{server.http_url}/api/games/{NOBODY}/players/a"
        assert fetch.delete(url, headers={"authorization": f"Bearer {token('host')}"}).status_code == 404
        server.kill()
        server.start()
        with pytest.raises(InvalidStatus) as refused, Player(server, game_id, token(odd)):
            pass
        assert refused.value.response.status_code == 403, "also after a restart: it stands in the log"
