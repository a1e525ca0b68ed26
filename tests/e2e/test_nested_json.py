"""JSON that is nested without end, or no text, wherever JSON comes in: a mistake of who sent it, never a fault."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from app.eventlog import LogUnavailable
from app.eventlog.codec import decode_events
from app.protocol import MAX_TOKEN_LENGTH, InvalidMessage, decode
from code_racer_client import message
from tools.harness import fetch
from tools.harness.player import Player
from tools.harness.server import SECRET, ServerProcess
from tools.harness.tokens import token

DEPTH = 30_000
NESTED = {
    "arrays": b"[" * DEPTH + b"]" * DEPTH,
    "objects": b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
    "arrays without an end": b"[" * 2 * DEPTH,
    "in a field": b'{"type":"ready","name":' + b"[" * DEPTH + b"]" * DEPTH + b"}",
    "in the data": b'{"type":"ready","data":{"status":' + b"[" * DEPTH + b"]" * DEPTH + b"}}",
    "in a batch": b'{"type":"batch","data":[' + b"[" * DEPTH + b"]" * DEPTH + b"]}",
}


@pytest.fixture(scope="module", params=["lean", "uvicorn"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    limits = {"max_body_bytes": 1_000_000, "max_message_bytes": 500_000, "bytes_burst": 10_000_000}
    with ServerProcess(tmp_path_factory.mktemp("nested"), ws_transport=request.param, **limits) as process:
        yield process
    assert not process.logged("app.fault")
    assert "Traceback" not in "\n".join(process.lines) + process.stderr


@pytest.mark.parametrize("path", ["/api/guests", "/api/games"])
@pytest.mark.parametrize("nested", NESTED)
def test_a_body(server: ServerProcess, path: str, nested: str) -> None:
    headers = {"authorization": f"Bearer {token('ann')}", "content-type": "application/json"}
    answer = fetch.post(server.http_url + path, content=NESTED[nested], headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_request"), answer.text


@pytest.mark.parametrize("path", ["/api/guests", "/api/games"])
@pytest.mark.parametrize("body", [b'{"name":"\xff"}', b'{"na\xffme":"ann"}', b'"\xff"', b'{"finish":"\xc3"}'])
def test_a_body_that_is_no_utf_8(server: ServerProcess, path: str, body: bytes) -> None:
    headers = {"authorization": f"Bearer {token('ann')}", "content-type": "application/json"}
    answer = fetch.post(server.http_url + path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_request"), answer.text


@pytest.mark.parametrize("nested", NESTED)
def test_a_message(server: ServerProcess, nested: str) -> None:
    with Player(server, server.new_game(token("ann")), token("ann")) as player:
        player.until("player_joined")
        player.ws.send(NESTED[nested].decode())
        assert player.until("error")["data"]["code"] in {"invalid_json", "invalid_data"}
        player.send("ping", {"timestamp": 1})
        player.until("pong")


def signed(header: bytes, claims: bytes) -> str:
    parts = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, claims))
    signature = hmac.new(SECRET.encode(), parts, hashlib.sha256).digest()
    return (parts + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    "bad",
    [
        signed(b'{"alg":"HS256","x":' + b"[" * 5_000, b"{}"),
        signed(b'{"alg":"HS256"}', b'{"sub":"ann","exp":4e9,"x":' + b"[" * 5_000),
    ],
    ids=["header", "claims"],
)
def test_a_token(server: ServerProcess, bad: str) -> None:
    answer = fetch.post(f"{server.http_url}/api/tickets", headers={"authorization": f"Bearer {bad}"})
    assert (answer.status_code, answer.json()["reason"]) == (401, "unauthorized")
    answer = fetch.get(f"{server.http_url}/ws/{server.new_game(token('ann'))}?token={bad}")
    assert (answer.status_code, answer.json()["reason"]) == (401, "unauthorized")


def test_a_token_whose_claims_are_nested_as_deep_as_its_length_allows(server: ServerProcess) -> None:
    """How deep Python reads is the interpreter's choice (3.13: far deeper): taken or refused, never a fault."""
    deep = signed(b'{"alg":"HS256"}', b'{"sub":"ann","exp":4e9,"x":' + b"[" * 2_900 + b"]" * 2_900 + b"}")
    assert len(deep) > 0.95 * MAX_TOKEN_LENGTH
    answer = fetch.post(f"{server.http_url}/api/tickets", headers={"authorization": f"Bearer {deep}"})
    assert (answer.status_code, answer.json().get("reason")) in {
        (HTTPStatus.CREATED, None),
        (HTTPStatus.UNAUTHORIZED, "unauthorized"),
    }


@pytest.mark.parametrize("nested", NESTED)
def test_a_frame_of_either_side_and_a_commit(nested: str) -> None:
    with pytest.raises(InvalidMessage):
        decode(NESTED[nested])
    assert message.decode(NESTED[nested]) is None
    with pytest.raises(LogUnavailable):
        decode_events(b'[{"type":"player_left","x":' + NESTED[nested])
