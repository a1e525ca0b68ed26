"""Clients who try to connect are counted by address: one that tries a hundred times is one."""

import http.client
from http import HTTPStatus
from pathlib import Path

import pytest

from app.telemetry.newcomers import Newcomers
from tools.harness.server import ServerProcess
from tools.harness.tokens import token

HEADERS = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def knock(server: ServerProcess, path: str, source: str, shown: str) -> int:
    """Try to connect from an address; the status of the answer."""
    client = http.client.HTTPConnection("127.0.0.1", int(server.settings["PORT"]), source_address=(source, 0))
    try:
        client.request("GET", path, headers={**HEADERS, "Authorization": f"Bearer {shown}"})
        return client.getresponse().status
    finally:
        client.close()


def counted(server: ServerProcess) -> dict[str, float]:
    return {one: server.metric("ws_handshake_clients_total", answer=one) for one in ("accepted", "refused")}


def test_each_address_is_counted_once_for_each_answer(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        path = f"/ws/{server.new_game(token('host'))}"
        for name, source in (("ann", "127.0.0.2"), ("bob", "127.0.0.3"), ("bob", "127.0.0.3")):
            assert knock(server, path, source, token(name)) == HTTPStatus.SWITCHING_PROTOCOLS
        for source in ("127.0.0.3", *["127.0.0.4"] * 5):
            assert knock(server, path, source, "forged") == HTTPStatus.UNAUTHORIZED
        assert knock(server, "/ws/nowhere", "127.0.0.5", token("cat")) == HTTPStatus.BAD_REQUEST
        assert counted(server) == {"accepted": 2, "refused": 3}
        assert server.metric("ws_handshakes_total", outcome="unauthorized") == 6


@pytest.mark.parametrize(
    ("at", "counted"),
    [([0, 599, 600, 601], [True, False, True, False]), ([0, 0, 700, 1299], [True, False, True, False])],
)
def test_a_window_that_is_over_is_forgotten(at: list[float], counted: list[bool]) -> None:
    times = [0.0]
    newcomers = Newcomers(600, 10, lambda: times[-1])
    found = []
    for now in at:
        times.append(now)
        found.append(newcomers.is_new("a"))
    assert found == counted


def test_no_more_are_remembered_than_there_is_room_for() -> None:
    newcomers = Newcomers(600, 3, lambda: 0.0)
    assert [newcomers.is_new(one) for one in "abcabc"] == [True] * 3 + [False] * 3
    assert [newcomers.is_new(one) for one in "dda"] == [True, False, True]
