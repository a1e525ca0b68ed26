"""Probes and metrics on a port of their own."""

import asyncio
import gzip
import threading
from pathlib import Path

import httpx
import pytest

from app.asgi import create_app
from app.settings import load_settings
from app.vocabulary import LimitScope
from app.web.client_address import is_from_here
from tools.harness import fetch
from tools.harness.player import Player
from tools.harness.server import SECRET, ServerProcess, sample_key, samples
from tools.harness.tokens import token

PATHS = ("/livez", "/readyz", "/startupz", "/health", "/metrics", "/version", "/sd", "/sd/supervisor")


def ops_url(server: ServerProcess) -> str:
    return f"http://127.0.0.1:{server.logged('app.started')[-1]['ops_port']}"


def test_they_are_there_and_nowhere_else(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, ops_port=0, ops_requests_per_second=0.01) as server:
        for path in PATHS:
            assert fetch.get(f"{ops_url(server)}{path}").status_code == 200
            assert fetch.get(f"{server.http_url}{path}").status_code == 404
        assert fetch.get(f"{ops_url(server)}/").status_code == 404
        assert fetch.post(f"{ops_url(server)}/api/guests", json={"name": "Ann"}).status_code == 404
        bad = fetch.get(f"{ops_url(server)}/ops/api/replica", headers={"authorization": "Bearer nonsense"})
        assert bad.status_code == 401
        told = server.wait_for_log("http.refused", route="ops")
        assert (told["reason"], told["client"]) == ("unauthorized", "127.0.0.1")
        fetch.get(f"{ops_url(server)}/ops/api/replica", headers={"authorization": f"Bearer {token('oda', -60)}"})
        assert server.wait_for_log("http.refused", player_id="oda")["reason"] == "unauthorized"
        server.until_all_is_logged()
        assert not any("nonsense" in line for line in server.lines)
        assert [fetch.get(f"{ops_url(server)}/ops/api/replica").status_code for _ in range(2)] == [200, 429]
        scope = LimitScope.OPS_REQUESTS_PER_OPERATOR
        assert server.wait_for_log("limit.exceeded", scope=scope)["client"] == "127.0.0.1"
        metrics = samples(fetch.get(f"{ops_url(server)}/metrics").text)
        limited = sample_key("code_racer_ws_rate_limited_total", {"scope": scope, "mode": "enforced"})
        assert (metrics["code_racer_ws_connections"], metrics[limited]) == (0, 1)


def test_one_process_lists_itself_for_prometheus_and_no_supervisor(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, ops_port=0) as server:
        url = ops_url(server)
        assert fetch.get(f"{url}/sd").json() == [{"targets": [url.removeprefix("http://")], "labels": {}}]
        assert fetch.get(f"{url}/sd").headers["content-type"] == "application/json"
        assert fetch.get(f"{url}/sd/supervisor").json() == []
        assert fetch.get(f"{url}/sd", headers={"host": "a b"}).status_code == 400


def test_they_answer_to_the_very_end_of_a_drain(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, ops_port=0, drain_spread_s=1, scrape_wait_s=30).start()
    url = ops_url(server)
    ann = server.guest("Ann")
    fetch.get(f"{url}/metrics")
    with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        server.wait_for_log("app.drain_progressed", phase="closing")
        assert fetch.get(f"{url}/readyz").json()["failed"] == ["not_draining"]
        assert player.until_closed()[0] == 1012
        server.wait_for_log("app.drain_progressed", phase="scrape")
        assert fetch.get(f"{url}/livez").status_code == 200
        last = fetch.get(f"{url}/metrics").text
    stopping.join()
    assert 'code_racer_ws_closes_total{code="1012",initiator="server",reason="draining"} 1.0' in last
    assert server.logged("app.stopped")


def test_without_it_they_are_on_the_one_port(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        assert "ops_port" not in server.logged("app.started")[0]
        assert fetch.get(f"{server.http_url}/metrics").status_code == 200


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
        assert fetch.get(f"{ops_url(server)}/readyz").status_code == 200


def test_metrics_are_packed_for_who_takes_that_and_their_head_can_be_asked_for(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        url = f"{server.http_url}/metrics"

        def ask(method: str, accept: str, encoding: str) -> tuple[httpx.Response, bytes]:
            headers = {"accept": accept, "accept-encoding": encoding}
            with httpx.stream(method, url, headers=headers) as answer:
                return answer, b"".join(answer.iter_raw())

        for accept in ("text/plain", "application/openmetrics-text; version=1.0.0"):
            plain, body = ask("GET", accept, "identity")
            packed, less = ask("GET", accept, "br, gzip;q=0.5")
            assert (plain.status_code, "content-encoding" in plain.headers) == (200, False)
            assert (packed.status_code, packed.headers["content-encoding"]) == (200, "gzip")
            assert plain.headers["content-type"] == packed.headers["content-type"]
            assert plain.headers["content-type"].count("charset=utf-8") == 1
            assert len(less) < len(body) / 8
            assert gzip.decompress(less).count(b"\n# TYPE ") == body.count(b"\n# TYPE ")
            assert "content-encoding" not in ask("GET", accept, "gzip;q=0, deflate")[0].headers
            head, nothing = ask("HEAD", accept, "gzip")
            assert (head.status_code, nothing) == (200, b"")
            assert head.headers["content-type"] == plain.headers["content-type"]


FORWARDED = (
    {"X-Forwarded-For": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1"},
    {"X-Real-IP": "127.0.0.1"},
    {"Via": "1.1 x"},
)


@pytest.mark.parametrize("is_public", [False, True])
def test_in_production_without_it_metrics_and_verbose_probes_are_this_machines_alone_unless_told(
    tmp_path: Path, is_public: bool
) -> None:
    production = {"environment": "production", "drain_delay_s": 0, "scrape_wait_s": 0, "ops_public": is_public}
    with ServerProcess(tmp_path, trusted_proxies="127.0.0.1", **production) as server:
        assert fetch.get(f"{server.http_url}/metrics").status_code == 200
        assert "checks" in fetch.get(f"{server.http_url}/readyz?verbose").json()
        for headers in FORWARDED:
            answer = fetch.get(f"{server.http_url}/metrics", headers=headers)
            assert answer.status_code == (200 if is_public else 403)
            assert is_public or "OPS_PORT" in answer.json()["detail"]
            for probe in ("livez", "readyz", "startupz"):
                seen = fetch.get(f"{server.http_url}/{probe}?verbose", headers=headers)
                assert seen.status_code == 200
                assert ("checks" in seen.json()) == is_public


@pytest.mark.parametrize(
    ("address", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("unknown", False),
    ],
)
def test_who_comes_from_here(address: str, is_here: bool) -> None:
    assert is_from_here(address, {"host": "127.0.0.1"}) is is_here
    assert not is_from_here(address, {"x-forwarded-for": "127.0.0.1"})


def test_who_asks_for_the_head_of_the_metrics_has_not_scraped_them() -> None:
    """A drain waits for the last scrape."""
    scrapes = create_app(load_settings(jwt_secret=SECRET, environment="test")).state.service.scrapes

    async def ask() -> None:
        await scrapes.render("", is_packed=False, is_scrape=False)
        assert scrapes.count == 0
        await scrapes.render("", is_packed=True, is_scrape=True)
        assert scrapes.count == 1

    asyncio.run(ask())
