"""What clients say that players meet: counted where it can be, refused where it cannot, once a connection."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tools.harness.server import ServerProcess
from tools.harness.tokens import token


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, client_releases="race-web/1.4.0") as process:
        yield process


@pytest.fixture
def ws(server: ServerProcess) -> Iterator[ClientConnection]:
    url = f"{server.ws_url}/ws/{server.new_game(token('ann'))}?client=race-web/1.4.0"
    with connect(url, additional_headers={"Authorization": f"Bearer {token('ann')}"}, proxy=None) as one:
        yield one


def say(ws: ClientConnection, **data: Any) -> dict[str, Any]:
    """Say hello; the answer."""
    ws.send(json.dumps({"type": "hello", "data": data, "id": "h"}))
    while True:
        answer: dict[str, Any] = json.loads(ws.recv(30))
        if answer["data"].get("id") == "h":
            return answer


def told(server: ServerProcess) -> dict[str, float]:
    """What is not 0 of the families that hello feeds; buckets left out."""
    areas = ("hellos", "failed_attempts", "open", "join", "outage")
    return {
        key.removeprefix("code_racer_ws_client_"): value
        for key, value in server.metrics().items()
        if value and "_bucket" not in key and key.startswith(tuple(f"code_racer_ws_client_{area}_" for area in areas))
    }


def test_welcome_tells_which_messages_the_replica_understands(ws: ClientConnection) -> None:
    welcome = json.loads(ws.recv(30))
    assert welcome["type"] == "welcome"
    assert sorted(welcome["data"]["accepts"]) == [
        "auth", "batch", "hello", "leave", "ping", "progress", "ready", "submit_code",
    ]  # fmt: skip


def test_hello_is_counted_once_a_connection_and_asked_for_nothing(server: ServerProcess, ws: ClientConnection) -> None:
    assert say(ws, reconnects=2, failed_attempts=7, open_ms=250, outage_ms=86_400_000)["type"] == "ack"
    expected = {
        'hellos_total{arrival="again",client="race-web/1.4.0"}': 1,
        'failed_attempts_total{client="race-web/1.4.0"}': 7,
        "open_seconds_count": 1,
        "open_seconds_sum": 0.25,
        "outage_seconds_count": 1,
        "outage_seconds_sum": 86_400,
    }
    assert told(server) == expected
    again = say(ws, failed_attempts=1000)
    assert (again["type"], again["data"]["code"]) == ("error", "not_allowed")
    assert "once" in again["data"]["message"]
    assert told(server) == expected


def test_hello_may_say_nothing(server: ServerProcess, ws: ClientConnection) -> None:
    assert say(ws)["type"] == "ack"
    assert told(server) == {'hellos_total{arrival="first",client="race-web/1.4.0"}': 1}


def test_a_hello_that_cannot_be_is_refused_and_nothing_is_lost(server: ServerProcess, ws: ClientConnection) -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {"reconnects": -1}, {"reconnects": 1.5}, {"failed_attempts": 1_001}, {"open_ms": -0.1}, {"join_ms": 600_001},
        {"outage_ms": 86_400_001}, {"join_ms": "soon"}, {"open_ms": 10**400},
    )  # fmt: skip
    for data in wrong:
        answer = say(ws, **data, reconnects=1) if "reconnects" not in data else say(ws, **data)
        assert (answer["type"], answer["data"]["code"]) == ("error", "invalid_data"), data
    assert told(server) == {}
    assert say(ws, join_ms=1_500)["type"] == "ack"
    assert told(server)["join_seconds_sum"] == 1.5
