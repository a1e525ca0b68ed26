"""Tokens of every kind and submitted code, marked, and then looked for in everything that leaves the server."""

import asyncio
import contextlib
import json
import re
import socket
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from code_racer_client import ClientError, GameWebSocket
from tools.harness import fetch
from tools.harness.collector import Collector
from tools.harness.jwks import IdentityProvider, SigningKey
from tools.harness.leaks import found, malformed, parts, requests, unfinished
from tools.harness.player import Player
from tools.harness.server import ServerProcess, until
from tools.harness.tokens import token

CODE = "def solve(numbers, limit):\n    marked_code_77 = 'unlikely text'\n    return -1\n"
FIRST: dict[str, Any] = {"additional_headers": {}, "subprotocols": ["code-racer.v1"]}


def everything(server: ServerProcess) -> str:
    """All output: logs, stderr, the log file, metrics in both formats, health, schemas."""
    server.until_all_is_logged()
    texts = [*server.lines, server.stderr]
    log = server.folder / "logs/app.log"
    texts.append(log.read_text() if log.exists() else "")
    for path in ("/metrics", "/readyz?verbose", "/version", "/schema", "/schema/asyncapi"):
        accepts = ("*/*", "application/openmetrics-text")
        texts += [fetch.get(server.http_url + path, headers={"accept": accept}).text for accept in accepts]
    return "\n".join(texts)


def test_no_token_and_no_code_is_found_anywhere(tmp_path: Path) -> None:
    marks: list[str] = ["marked_code_77", "unlikely text"]
    told: list[str] = []
    with ServerProcess(tmp_path, log_level="debug", token_expiring_notice_s=600) as server:

        def made(player_id: str, ttl_s: float = 500, **claims: Any) -> str:
            one = token(player_id, ttl_s, **claims)
            marks.extend(parts(one))
            return one

        game_id = server.new_game(made("host"))
        bad = ["marked-nonsense-5511", made("eve", -600), made("eve")[:-4] + "AAAA", made("x" * 300)]
        marks.extend(bad)
        for one_bad in bad:
            told += refused_everywhere(server, game_id, one_bad)
        answer = fetch.post(f"{server.http_url}/api/tickets", headers={"authorization": f"Bearer {made('t')}"})
        ticket = answer.json()["ticket"]
        marks.extend(parts(ticket))
        for _ in range(2):
            with contextlib.suppress(InvalidStatus), Player(server, game_id, "", f"?ticket={ticket}", **FIRST) as one:
                one.until("player_joined", player_id="t")
        mine = made("ann")
        with Player(server, game_id, mine, f"?token={made('q')}") as ann:
            ann.until("token_expiring")
            ann.send("auth", {"token": made("ann", 550)}, id="a")
            ann.until("ack", id="a")
            ann.send("auth", {"token": made("other")})
            ann.until("error")
            ann.ws.send(json.dumps({"type": "auth", "data": {"token": [made("shape")]}}))
            ann.until("error")
            ann.ws.send('{"type":"auth","data":{"token":"' + made("cut"))
            ann.until("error")
            ann.send("submit_code", {"code": CODE})
            ann.until("error")
            told += [json.dumps(message) for message in ann.received]
        race_with(server, made("solo"))
        told += [str(error) for error in client_errors(server, game_id, bad[0])]
        output = everything(server)
    output += server.stderr + "\n".join(server.lines)
    for mark in marks:
        assert mark not in output, f"{mark[:12]}… is in the output"
        assert mark not in "\n".join(told), f"{mark[:12]}… was told to a client"
    assert not re.search(r"eyJ[\w-]+\.eyJ", output)


def refused_everywhere(server: ServerProcess, game_id: str, token: str) -> list[str]:
    """Offer a bad token in every way there is; what was answered."""
    told = []
    base, path = server.ws_url, f"/ws/{game_id}"
    ways: list[tuple[str, dict[str, Any]]] = [
        (path, {"additional_headers": {"Authorization": f"Bearer {token}"}}),
        (f"{path}?token={token}&last_seq=0", {}),
        (f"{path}?ticket={token}", {}),
        (f"/ws/{token[:30]}", {"additional_headers": {"Cookie": f"token={token}"}}),
        (path, {"subprotocols": ["code-racer.v1", f"bearer.{token}"]}),
    ]
    for where, options in ways:
        try:
            with connect(base + where, proxy=None, **options):
                raise AssertionError("a bad token was taken")
        except InvalidStatus as error:
            told.append(bytes(error.response.body or b"").decode() + str(error.response.headers))
        told.append(fetch.get(server.http_url + where).text)
    with Player(server, game_id, "", **FIRST) as player:
        player.send("auth", {"token": token})
        with contextlib.suppress(ConnectionClosed):
            player.until("never")
        told += [json.dumps(message) for message in player.received]
    return told


def race_with(server: ServerProcess, token: str) -> None:
    """A race in which the marked code is judged."""
    with Player(server, server.new_game(token, min_players=1), token) as player:
        player.send("ready")
        player.until("game_started")
        player.send("submit_code", {"code": CODE})
        player.until("submission_result")


def client_errors(server: ServerProcess, game_id: str, token: str) -> list[ClientError]:
    """What the Python client raises."""

    async def fail() -> list[ClientError]:
        errors = []
        for url in (server.ws_url, "ws://127.0.0.1:1"):
            ws = GameWebSocket(game_id, token, url, max_reconnect_attempts=0)
            try:
                await ws.connect()
            except ClientError as error:
                errors.append(error)
        return errors

    errors = asyncio.run(fail())
    assert len(errors) == 2
    return errors


def test_nor_the_keys_and_tokens_of_an_identity_provider(tmp_path: Path) -> None:
    key = SigningKey("k1", "ES256")
    with (
        IdentityProvider(key) as provider,
        ServerProcess(tmp_path, jwt_secret="", jwt_jwks_url=provider.url, log_level="debug") as server,
    ):
        until(lambda: server.metric("signing_keys") == 1)
        tokens = [key.token("ann"), SigningKey("k2", "ES256").token("eve")]
        for token in tokens:
            fetch.get(f"{server.http_url}/ws/7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a00?token={token}")
        provider.broken = True
        fetch.get(f"{server.http_url}/ws/x?token={tokens[1]}")
        output = everything(server)
    for token in tokens:
        assert not [part for part in parts(token) if part in output]


def test_nor_tokens_where_they_do_not_belong_and_in_requests_that_are_none(tmp_path: Path) -> None:
    """Each on both ports; also the collector is told none."""
    settings: dict[str, Any] = {"log_level": "debug", "log_file": "logs/app.log", "handshake_timeout_s": 1}
    tokens = [token(f"m-{number}") for number in range(3)]
    with Collector() as collector:
        settings |= collector.settings | {"otel_traces_sampler": "always_on"}
        with ServerProcess(tmp_path, ops_port=0, **settings) as server:
            ports = (server.settings["PORT"], server.logged("app.started")[0]["ops_port"])
            making = (requests, malformed, unfinished)
            for port in map(int, ports):
                for make, mine in zip(making, tokens, strict=True):
                    for request in make(mine).values():
                        send(port, request)
            server.stop()
            (tmp_path / "stdout.txt").write_text("\n".join(server.lines))
        (tmp_path / "spans.txt").write_text("\n".join(map(str, collector.spans)))
        assert collector.spans
    assert server.logged("ws.refused")
    assert not list(found([part for mine in tokens for part in parts(mine)], tmp_path))


def send(port: int, request: bytes) -> None:
    """Send it, and wait for an answer or the end."""
    with socket.create_connection(("127.0.0.1", port), 20) as one, contextlib.suppress(OSError):
        one.sendall(request)
        one.recv(65536)
