"""All that can be read is answered as browsers and caches expect it: HEAD, tags, packing, from a real server."""

import gzip
import re
from collections.abc import Iterator
from http import HTTPStatus

import httpx
import pytest

from app.vocabulary import HttpRoute
from tools.harness.player import SOLUTION, Player
from tools.harness.server import ServerProcess
from tools.harness.tokens import token

MINE = {"authorization": f"Bearer {token('ann')}"}
DOCUMENTS = ["/api/problems", "/schema", "/schema/openapi.json", "/schema/asyncapi"]
BESIDE = [
    "/livez",
    "/readyz",
    "/startupz",
    "/health",
    "/version",
    "/sd/supervisor",
    "/",
    "/client.js",
    "/ops",
    "/ops/icon.svg",
]
"""What is in no OpenAPI document; of /metrics, another test."""


class Reader:
    """A player who has handed something in, and reads all there is over one connection."""

    def __init__(self, server: ServerProcess, client: httpx.Client) -> None:
        self.server = server
        self.client = client
        self.game_id = server.new_game(token("ann"), min_players=1)
        with Player(server, self.game_id, token("ann")) as player:
            player.send("ready")
            player.until("game_started")
            player.send("submit_code", {"code": SOLUTION})
            player.until("submission_judged")

    def ask(self, method: str, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
        """Ask for something; the answer, and its bytes as they came."""
        asked = MINE | {name.replace("_", "-"): value for name, value in headers.items()}
        with self.client.stream(method, path, headers=asked) as answer:
            return answer, b"".join(answer.iter_raw())

    def readable(self) -> list[str]:
        """The paths of all operations of the OpenAPI document that read."""
        paths = self.client.get("/schema/openapi.json").json()["paths"]
        filled = {"{game_id}": self.game_id, "{attempt}": "1"}
        return [
            re.sub(r"{\w+}", lambda one: filled[one[0]], path)
            for path, operations in paths.items()
            if "get" in operations
        ]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Metrics and the console are on the same port."""
    with (
        ServerProcess(tmp_path_factory.mktemp("server")) as server,
        httpx.Client(base_url=server.http_url) as client,
    ):
        del client.headers["accept-encoding"]
        yield Reader(server, client)


def without_date(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "date"}


def test_whatever_can_be_read_has_a_head_that_says_the_same(reader: Reader) -> None:
    paths = [*reader.readable(), *DOCUMENTS, *BESIDE, f"/ws/{reader.game_id}"]
    assert len(paths) > len(DOCUMENTS) + len(BESIDE) + 3
    for path in paths:
        (get, body), (head, nothing) = reader.ask("GET", path), reader.ask("HEAD", path)
        assert get.status_code in {HTTPStatus.OK, HTTPStatus.UPGRADE_REQUIRED, HTTPStatus.CONFLICT}, path
        assert (head.status_code, nothing) == (get.status_code, b""), path
        assert without_date(head) == without_date(get), path
        assert int(head.headers["content-length"]) == len(body) > 0, path
    assert reader.server.metric("http_requests_total", route=HttpRoute.GAME, method="GET", status="2xx") == 2


def test_a_document_is_sent_packed_and_not_again(reader: Reader) -> None:
    for path in DOCUMENTS:
        plain, content = reader.ask("GET", path)
        packed, raw = reader.ask("GET", path, accept_encoding="gzip")
        assert "content-encoding" not in plain.headers
        assert (packed.headers["content-encoding"], gzip.decompress(raw)) == ("gzip", content)
        assert len(raw) < len(content)
        assert plain.headers["cache-control"] == "no-cache"
        tag = plain.headers["etag"]
        assert packed.headers["etag"] == tag
        for method in ("GET", "HEAD"):
            again, nothing = reader.ask(method, path, if_none_match=tag, accept_encoding="gzip")
            assert (again.status_code, nothing, again.headers["etag"]) == (HTTPStatus.NOT_MODIFIED, b"", tag)
            assert "content-type" not in again.headers
        assert reader.ask("GET", path, if_none_match='W/"of-before"')[0].status_code == HTTPStatus.OK


def test_what_is_one_players_is_kept_by_nobody(reader: Reader) -> None:
    for path in set(reader.readable()) - set(DOCUMENTS):
        answer, _ = reader.ask("GET", path, accept_encoding="gzip")
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers


def test_where_nothing_can_be_read_that_is_said_of_head_too(reader: Reader) -> None:
    for path, status in (("/api/guests", 405), ("/api/nothing", 404), ("/nothing", 404)):
        head, nothing = reader.ask("HEAD", path)
        assert (head.status_code, nothing) == (status, b"")
    assert "HEAD" not in reader.ask("HEAD", "/api/guests")[0].headers["allow"]
    for path in (*reader.readable(), "/schema", "/version"):
        for method in ("PATCH", "OPTIONS"):
            allowed = reader.ask(method, path)[0].headers["allow"].split(", ")
            assert {"GET", "HEAD"} <= set(allowed), path
            assert len(set(allowed)) == len(allowed)
