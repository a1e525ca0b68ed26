"""Probes and metrics on a port of their own."""

import threading
from pathlib import Path

import httpx
import pytest

from tools.harness.player import Player
from tools.harness.server import ServerProcess

PATHS = ("/livez", "/readyz", "/startupz", "/health", "/metrics", "/version")


def ops_url(server: ServerProcess) -> str:
    return f"http://127.0.0.1:{server.logged('app.started')[-1]['ops_port']}"


def test_they_are_there_and_nowhere_else(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, ops_port=0) as server:
        for path in PATHS:
            assert httpx.get(f"{ops_url(server)}{path}").status_code == 200
            assert httpx.get(f"{server.http_url}{path}").status_code == 404
        assert httpx.get(f"{ops_url(server)}/").status_code == 404
        assert httpx.post(f"{ops_url(server)}/api/guests", json={"name": "Ann"}).status_code == 404
        assert "code_racer_ws_connections 0.0" in httpx.get(f"{ops_url(server)}/metrics").text


def test_they_answer_to_the_very_end_of_a_drain(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, ops_port=0, drain_spread_s=1, scrape_wait_s=30).start()
    url = ops_url(server)
    ann = server.guest("Ann")
    httpx.get(f"{url}/metrics")
    with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        server.wait_for_log("app.drain_progressed", phase="closing")
        assert httpx.get(f"{url}/readyz").json()["failed"] == ["not_draining"]
        assert player.until_closed()[0] == 1012
        server.wait_for_log("app.drain_progressed", phase="scrape")
        assert httpx.get(f"{url}/livez").status_code == 200
        last = httpx.get(f"{url}/metrics").text
    stopping.join()
    assert 'code_racer_ws_closes_total{code="1012",initiator="server",reason="draining"} 1.0' in last
    assert server.logged("app.stopped")


def test_without_it_they_are_on_the_one_port(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        assert "ops_port" not in server.logged("app.started")[0]
        assert httpx.get(f"{server.http_url}/metrics").status_code == 200


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "one") as first:
        second = ServerProcess(tmp_path / "two", ops_port=int(first.settings["PORT"]))
        with pytest.raises(AssertionError, match="set HOST and OPS_PORT"):
            second.start()
        assert second.wait() == 2


def test_it_is_not_ready_before_the_games_port_listens(tmp_path: Path) -> None:
    """It said yes, and a proxy that had asked was refused the connection."""
    with ServerProcess(tmp_path, "tools.harness.asked_early", ops_port=0) as server:
        assert "asked early: 503" in server.stderr
        assert httpx.get(f"{ops_url(server)}/readyz").status_code == 200
