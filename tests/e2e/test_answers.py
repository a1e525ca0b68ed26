"""What every HTTP answer says of itself, and whose pages may read it."""

import socket
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tools.harness import fetch
from tools.harness.server import ServerProcess

NOBODY = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a00"
OURS = "https://race.example.org"
FOREIGN = [
    "https://evil.example", "http://race.example.org", "https://race.example.org:8443", "https://race.example.org.evil",
    "https://race.example.orgx", "https://xrace.example.org", "null", "*", "http://localhost:3000", "https://race.example.org/",
    "HTTPS://RACE.EXAMPLE.ORG", "https://race.example.org, https://evil.example",
]  # fmt: skip
PRODUCTION: dict[str, Any] = {"environment": "production", "frontend_url": OURS, "guests": True, "drain_delay_s": 0}
ANSWERS = [
    ("POST", "/api/guests", 201), ("POST", "/api/games", 401), ("PUT", "/api/games", 405),
    ("GET", "/api/problems", 200), ("GET", "/api/nothing", 404), ("OPTIONS", "/api/games", 204),
    ("GET", f"/api/games/{NOBODY}", 401),
    ("GET", f"/ws/{NOBODY}", 401), ("GET", "/ws/x", 400), ("GET", "/nothing", 404), ("GET", "/schema", 200),
    ("GET", "/schema/asyncapi", 200), ("GET", "/livez", 200), ("HEAD", "/readyz", 200), ("GET", "/metrics", 200),
    ("GET", "/version", 200), ("DELETE", "/livez", 405),
]  # fmt: skip

FOR_ALL = {"/api/problems", "/schema", "/schema/asyncapi"}


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with ServerProcess(tmp_path_factory.mktemp("server"), **PRODUCTION) as server:
        yield server


def said(headers: Any) -> tuple[str, str]:
    return headers["x-content-type-options"], headers["cache-control"]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
@pytest.mark.parametrize("origin", [None, OURS, "https://evil.example"])
def test_an_answer_is_kept_by_nobody_unless_it_is_for_all_and_taken_for_what_it_is(
    production: ServerProcess, method: str, path: str, status: int, origin: str | None
) -> None:
    headers = {} if origin is None else {"origin": origin}
    answer = fetch.request(method, production.http_url + path, headers=headers)
    foreign = origin not in {None, OURS}
    assert answer.status_code in ({status, 400, 403} if foreign else {status})
    assert said(answer.headers) == ("nosniff", "no-cache" if path in FOR_ALL else "no-store")
    assert answer.headers.get_list("vary") == ["Origin, Accept-Encoding"]
    assert answer.headers.get("access-control-allow-origin") == (OURS if origin == OURS else None)


@pytest.mark.parametrize("path", ["/ws/x", f"/ws/{NOBODY}", "/nothing"])
def test_a_refused_upgrade_says_the_same(server: ServerProcess, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(server.ws_url + path, proxy=None):
        pass
    assert said(refused.value.response.headers) == ("nosniff", "no-store")


@pytest.mark.parametrize("request_", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_no_request_gets_the_same(tmp_path: Path, request_: bytes) -> None:
    with ServerProcess(tmp_path, ops_port=0) as server:
        for port in (server.settings["PORT"], server.logged("app.started")[0]["ops_port"]):
            with socket.create_connection(("127.0.0.1", int(port))) as one:
                one.sendall(request_)
                head = b"".join(iter(lambda: one.recv(65536), b"")).lower()
            assert head.startswith(b"http/1.1 400")
            assert b"\r\nx-content-type-options: nosniff\r\n" in head
            assert b"\r\ncache-control: no-store\r\n" in head


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_page_reads_nothing_and_is_promised_nothing(production: ServerProcess, origin: str) -> None:
    url = f"{production.http_url}/api/games"
    ask = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    preflight = fetch.options(url, headers=ask)
    assert preflight.status_code == 400
    for answer in (preflight, fetch.get(f"{production.http_url}/api/problems", headers={"origin": origin})):
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers
    assert fetch.post(f"{production.http_url}/api/guests", headers={"origin": origin}).status_code == 403


def test_our_page_may_send_a_token_and_nothing_more(production: ServerProcess) -> None:
    url = f"{production.http_url}/api/games"
    ask = {"origin": OURS, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    preflight = fetch.options(url, headers=ask)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, OURS)
    assert "access-control-allow-credentials" not in preflight.headers, "cookies are never read"
    for wrong in ({"access-control-request-method": "PUT"}, {"access-control-request-headers": "x-other"}):
        assert fetch.options(url, headers=ask | wrong).status_code == 400


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://127.0.0.1", "http://localhost"])
def test_in_development_pages_of_this_machine_may(server: ServerProcess, origin: str) -> None:
    answer = fetch.get(f"{server.http_url}/api/problems", headers={"origin": origin})
    assert answer.headers["access-control-allow-origin"] == origin
    for other in ("http://localhost.evil", "http://localhost:3000.evil", "http://127.0.0.1:99999999"):
        answer = fetch.get(f"{server.http_url}/api/problems", headers={"origin": other})
        assert "access-control-allow-origin" not in answer.headers


def test_there_is_no_chaos_in_production(production: ServerProcess) -> None:
    """Neither for the upgrade nor for the GET that explains it, whoever asks."""
    answer = fetch.get(f"{production.http_url}/ws/{NOBODY}?chaos=latency_ms:1")
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_request")
    assert "ENVIRONMENT=development" in answer.json()["detail"]
    with pytest.raises(InvalidStatus) as raised, connect(f"{production.ws_url}/ws/{NOBODY}?chaos=cut_ms:1"):
        pass
    assert raised.value.response.status_code == 400
