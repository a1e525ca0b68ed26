"""What is asked over HTTP is counted by route, timed, and logged where it is refused."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.asgi import create_app, create_ops_app
from app.settings import load_settings
from app.telemetry.measured_http import find_route
from app.vocabulary import HttpRoute
from tools.harness import fetch
from tools.harness.server import SECRET, ServerProcess, until

GAME = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a00"
PRIVATE = "private-word"


@pytest.mark.parametrize("transport", ["lean", "uvicorn"])
def test_every_request_is_counted_once_by_route_method_and_status_and_timed(tmp_path: Path, transport: str) -> None:
    with ServerProcess(tmp_path, ops_port=0, ws_transport=transport, guests=True) as server:
        ops = f"http://127.0.0.1:{server.logged('app.started')[0]['ops_port']}"

        def measured() -> dict[str, float]:
            lines = [line.rpartition(" ") for line in fetch.get(f"{ops}/metrics").text.splitlines()]
            return {name: float(value) for name, _, value in lines if name.startswith("code_racer_http_request")}

        before = measured()
        asked = [
            ("POST", "/api/guests", "2xx", HttpRoute.GUESTS),
            ("POST", "/api/guests", "2xx", HttpRoute.GUESTS),
            ("GET", "/api/problems", "2xx", HttpRoute.PROBLEMS),
            ("GET", f"/api/games/{GAME}", "4xx", HttpRoute.GAME),
            ("GET", f"/api/games/{GAME}/submissions/3", "4xx", HttpRoute.SUBMISSION),
            ("DELETE", f"/api/games/{GAME}/players/ann", "4xx", HttpRoute.PLAYER),
            ("GET", f"/ws/{GAME}", "4xx", HttpRoute.SOCKET),
            ("GET", "/", "2xx", HttpRoute.PAGE),
            ("HEAD", "/favicon.ico", "2xx", HttpRoute.PAGE),
            ("GET", "/schema", "2xx", HttpRoute.SCHEMA),
            ("PUT", "/api/problems", "4xx", HttpRoute.OTHER),
            ("OPTIONS", "/api/problems", "2xx", HttpRoute.OTHER),
            ("GET", f"/{PRIVATE}", "4xx", HttpRoute.OTHER),
        ]
        expected: dict[str, float] = {}
        for method, path, status, route in asked:
            answer = fetch.request(method, server.http_url + path, json={"name": "Ann"} if method == "POST" else None)
            assert f"{answer.status_code // 100}xx" == status, (method, path, answer.text)
            shown = "other" if route is HttpRoute.OTHER else method
            name = f'code_racer_http_requests_total{{method="{shown}",route="{route}",status="{status}"}}'
            expected[name] = expected.get(name, 0) + 1
        after = measured()
        changes = {name: after[name] - value for name, value in before.items() if after[name] != value}
        counted = {name: by for name, by in changes.items() if "_total{" in name and 'route="ops"' not in name}
        assert counted == expected
        timed = {re.search('route="(.*?)"', name)[1]: by for name, by in changes.items() if "_count{" in name}  # type: ignore[index] # it has one
        timed.pop("ops")
        assert timed == Counter(route for *_, route in asked), "under the route under which it is counted"
        assert after["code_racer_http_requests_in_flight"] == 1, "the scrape itself"


def test_who_is_refused_is_logged_like_a_handshake_and_not_by_what_was_sent(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        ann = server.guest("ann")
        bearer = {"Authorization": f"Bearer {ann['token']}"}
        fetch.get(f"{server.http_url}/api/games/{GAME}?x={PRIVATE}", headers={"Authorization": f"Bearer {PRIVATE}"})
        fetch.get(f"{server.http_url}/api/games/{GAME}", headers=bearer)
        fetch.post(f"{server.http_url}/api/games", headers=bearer, json={"finish": PRIVATE})
        fetch.get(f"{server.http_url}/{PRIVATE}")
        fetch.get(f"{server.http_url}/readyz")
        until(lambda: len(server.logged("http.refused")) == 4)
        unauthorized, missing, malformed, nowhere = server.logged("http.refused")
        assert unauthorized["route"] == "/api/games/{game_id}"
        assert (unauthorized["status"], unauthorized["reason"]) == (401, "unauthorized")
        assert (unauthorized["client"], unauthorized["game_id"]) == ("127.0.0.1", GAME)
        assert unauthorized["detail"].startswith("Authentication required")
        assert (missing["status"], missing["player_id"]) == (404, ann["player_id"])
        assert (malformed["method"], malformed["status"], malformed["reason"]) == ("POST", 400, "bad_request")
        assert "detail" not in malformed, "the words are others', and quote what was sent"
        assert (nowhere["route"], nowhere["status"], nowhere["reason"]) == ("other", 404, "not_found")
    assert not any(PRIVATE in line for line in server.lines)


def test_every_path_that_is_served_has_a_route_to_be_counted_by() -> None:
    application: Any = create_app(load_settings(jwt_secret=SECRET, environment="test"))
    paths = {route.path_format for route in application.routes}
    assert {find_route(path) for path in paths} == set(HttpRoute) - {HttpRoute.OTHER}
    api = {path for path in paths if path.startswith("/api/")}
    assert all(find_route(path) not in {HttpRoute.PAGE, HttpRoute.OTHER} for path in api), "each its own"
    ops: Any = create_ops_app(application.state.service)
    assert {find_route(route.path_format) for route in ops.routes} == {HttpRoute.OPS}
