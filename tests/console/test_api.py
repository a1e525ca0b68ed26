"""Every operation of the console's document: whatever is asked, the answer is what was meant or a problem document.

The document is read, so that an operation that is new is asked as well.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.asgi import Service, create_app
from app.console.hot import MOST_AT_ONCE
from app.settings import load_settings
from app.telemetry.catalogue import Metrics
from tools.harness.server import SECRET

pytestmark = pytest.mark.anyio
GAME = "0d9bb1a4-6a3c-4a53-9a8e-000000000000"
STREAMS = {"/ops/api/watch"}
"""Their answers have no end."""
OPS_TOKEN = "an-operators-token-of-enough-length-0123456789"
LONG = "x" * 9_000
BAD = ("", LONG, "-1", "0", "1e99", "99999999999999999999", "null", "\x00", "é\u2028", "a b&c=d", "../../etc")
BODIES = (b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"reason": {}}', b'{"reason": ""}', b"\xff", b"[" * 5_000)
"""None says why."""


@pytest.fixture
async def service() -> AsyncIterator[tuple[Service, httpx.AsyncClient]]:
    app: Any = create_app(
        load_settings(jwt_secret=SECRET, ops_token=OPS_TOKEN, environment="test", event_log_url="memory:")
    )
    running: Service = app.state.service
    async with (
        running.lifecycle.run(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost", timeout=30) as client,
    ):
        yield running, client


async def operations(client: httpx.AsyncClient) -> list[tuple[str, str, list[str], list[str]]]:
    """Path, method, parameters of the path and of the query of each."""
    document = (await client.get("/ops/api/openapi.json")).json()
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parameters = operation.get("parameters", [])
            names = {kind: [one["name"] for one in parameters if one["in"] == kind] for kind in ("path", "query")}
            found.append((path, method.upper(), names["path"], names["query"]))
    return found


def at(path: str, names: list[str], value: str | None = None) -> str:
    """The path, with a value in the place of each parameter."""
    for name in names:
        given = GAME if value is None else httpx.QueryParams({"": value}).__str__()[1:].replace("+", "%20")
        path = path.replace(f"{{{name}}}", given or "%20")
    return path


def assert_answered(answer: httpx.Response, asked: object) -> None:
    assert answer.status_code < 500 or answer.status_code == 503, (asked, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", asked
        assert answer.json().keys() >= {"title", "status", "detail", "reason"}, asked
    assert OPS_TOKEN not in answer.text
    assert SECRET not in answer.text


async def test_bad_parameters_are_refused_or_find_nothing(service: tuple[Service, httpx.AsyncClient]) -> None:
    _, client = service
    asked = 0
    for path, method, in_path, in_query in await operations(client):
        if method != "GET" or path in STREAMS:
            continue
        assert_answered(await client.get(at(path, in_path)), path)
        for value in BAD:
            for name in in_query:
                assert_answered(await client.get(at(path, in_path), params={name: value}), (path, name, value))
                asked += 1
            if in_path:
                assert_answered(await client.get(at(path, in_path, value)), (path, value))
                asked += 1
    assert asked > 150


async def test_what_is_too_long_for_any_id_or_name_is_refused_everywhere(
    service: tuple[Service, httpx.AsyncClient],
) -> None:
    running, client = service
    headers = {"content-type": "application/json", "x-reason": "asked for"}
    for path, method, in_path, in_query in await operations(client):
        whole = at(path, in_path)
        urls = [f"{whole}?{name}={LONG}" for name in {*in_query, "replica"}]
        urls += [path.replace(f"{{{name}}}", LONG) for name in in_path]
        for url in urls:
            answer = await client.request(method, url, headers=headers)
            assert_answered(answer, url)
            assert answer.status_code in {400, 404}, (method, url.replace(LONG, "LONG"), answer.text)
    assert running.recorder.lately.acts.last(1, "") == [], "nothing of that length is told as done"


async def test_what_needs_no_parameter_is_shown_without_one(service: tuple[Service, httpx.AsyncClient]) -> None:
    _, client = service
    for path, method, in_path, _ in await operations(client):
        if method == "GET" and path not in STREAMS and not in_path:
            answer = await client.get(path)
            assert answer.status_code in {200, 409}, (path, answer.text)


async def test_what_is_gone_is_told_and_is_no_fault(service: tuple[Service, httpx.AsyncClient]) -> None:
    running, client = service
    answer = await client.post("/ops/api/connections/gone-1/close", json={"reason": "asked for"})
    assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
    assert sum(running.recorder.store.counter(Metrics.FAULTS).values.values()) == 0


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("PUT", "bans/%0a", 400, "printable"),
        ("GET", "watch?replica=nobody", 400, "from a replica itself alone"),
    ],
)
async def test_what_makes_no_sense_is_told_in_words_and_at_once(
    service: tuple[Service, httpx.AsyncClient], method: str, path: str, status: int, detail: str
) -> None:
    running, client = service
    running.console.watch.join()
    async with asyncio.timeout(20):
        json_type = {"content-type": "application/json", "x-reason": "asked for"}
        answer = await client.request(method, f"/ops/api/{path}", headers=json_type)
    assert (answer.status_code, detail in answer.json()["detail"]) == (status, True), answer.text


async def test_few_at_a_time_wait_for_what_comes(service: tuple[Service, httpx.AsyncClient]) -> None:
    """Each waits in one of the few requests that an address may have, of the probes' port as well."""
    _, client = service
    waiting = [asyncio.create_task(client.get("/ops/api/hot?over_s=60")) for _ in range(MOST_AT_ONCE + 1)]
    done, others = await asyncio.wait(waiting, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    (one,) = done
    assert (one.result().status_code, "retry-after" in one.result().headers) == (429, True)
    assert (await client.get("/ops/api/hot")).status_code == 200
    for other in others:
        other.cancel()
    await asyncio.wait(others)
    assert (await client.get("/ops/api/hot?over_s=0.01")).status_code == 200, "who goes away leaves the place"


async def test_nothing_is_done_without_a_reason(service: tuple[Service, httpx.AsyncClient]) -> None:
    running, client = service
    for path, method, in_path, _ in await operations(client):
        if method == "GET":
            continue
        for body in BODIES:
            answer = await client.request(
                method, at(path, in_path), content=body, headers={"content-type": "application/json"}
            )
            assert_answered(answer, (path, method, body))
            assert 400 <= answer.status_code < 500, (path, method, body, answer.text)
    assert running.hub.accepting
    assert not running.hub.draining
    assert running.health.is_ready


async def test_each_list_has_its_bounds_in_the_document(service: tuple[Service, httpx.AsyncClient]) -> None:
    _, client = service
    document = (await client.get("/ops/api/openapi.json")).json()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            names = [one["name"] for one in operation["parameters"]]
            assert ("replica" in names) is (path not in STREAMS), path
            assert len(set(names)) == len(names), path
            for one in operation.get("parameters", []):
                schema = json.dumps(one["schema"])
                if one["name"] == "limit":
                    assert '"maximum"' in schema, path
                    assert '"minimum"' in schema, path
            refused = operation["responses"]["default"]["content"]["application/problem+json"]["schema"]
            assert refused == {"$ref": "#/components/schemas/ProblemDetails"}
    assert "ProblemDetails" in document["components"]["schemas"]
