"""The page's files over HTTP, as browsers and caches expect them, from a real server."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.web.pages import CLIENT, PageFile, served
from tools.harness.server import ServerProcess

FILES = {"/": served()["index.html"]} | {f"/{name}": path for name, path in served().items()}
OURS = "https://race.example.org"
TYPES = {
    "index.html": "text/html; charset=utf-8",
    "client.js": "text/javascript; charset=utf-8",
    "client.d.ts": "text/plain; charset=utf-8",
    "race.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml; charset=utf-8",
    "favicon.ico": "image/vnd.microsoft.icon",
}
SAID = {
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One server in production, asked over one connection, by who says nothing of encodings."""
    folder = tmp_path_factory.mktemp("server")
    with (
        ServerProcess(folder, environment="production", frontend_url=OURS, drain_delay_s=0) as server,
        httpx.Client(base_url=server.http_url) as client,
    ):
        del client.headers["accept-encoding"]
        yield client


def without_date(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "date"}


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_sent_whole_or_packed_or_not_again(asked: httpx.Client, path: str) -> None:
    content = FILES[path].read_bytes()
    plain = asked.get(path)
    assert (plain.status_code, plain.content) == (200, content)
    assert plain.headers["cache-control"] == "no-cache"
    assert plain.headers.get_list("vary") == ["Origin, Accept-Encoding"]
    assert "content-encoding" not in plain.headers
    if FILES[path].name in TYPES:
        assert plain.headers["content-type"] == TYPES[FILES[path].name]

    with asked.stream("GET", path, headers={"accept-encoding": "br, gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    if "content-encoding" in packed.headers:
        assert gzip.decompress(raw) == content
        assert len(raw) < 0.9 * len(content)
    else:
        assert raw == content
        assert len(content) < 1_024, "what is as small as that goes into one packet anyway"
    for refused in ("gzip;q=0", "identity", "br", "xgzip"):
        assert "content-encoding" not in asked.head(path, headers={"accept-encoding": refused}).headers

    for encoding in ("identity", "gzip"):
        head, get = (asked.request(method, path, headers={"accept-encoding": encoding}) for method in ("HEAD", "GET"))
        assert head.content == b""
        assert without_date(head) == without_date(get)

    tag = plain.headers["etag"]
    assert packed.headers["etag"] == tag
    for known in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
        for method in ("GET", "HEAD"):
            again = asked.request(method, path, headers={"if-none-match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == tag
            for name in ("cache-control", "vary", "content-security-policy"):
                assert again.headers[name] == plain.headers[name]
    assert asked.get(path, headers={"if-none-match": 'W/"of-before"'}).status_code == 200


def test_every_module_of_the_package_is_served_at_its_name() -> None:
    exports = json.loads((CLIENT / "package.json").read_text())["exports"]
    named = [path for export in exports.values() if isinstance(export, dict) for path in export["import"].values()]
    assert {"./http.js", "./presence.d.ts"} <= set(named)
    assert set(named) <= {f"./{name}" for name in served()}


def test_a_deploy_is_seen_at_once_and_one_to_an_older_version_too(tmp_path: Path) -> None:
    path = tmp_path / "race.js"
    tags = []
    for content in ("new", "newer", "new"):
        path.write_text(content)
        tags.append(PageFile.read(path).tag)
    assert tags[0] == tags[2] != tags[1]


def test_a_file_of_a_type_that_nobody_named_is_refused_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "page.mp2t"
    path.write_text("")
    with pytest.raises(KeyError):
        PageFile.read(path)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/favicon.ico", 200),
        ("POST", "/", 405),
        ("DELETE", "/client.js", 405),
        ("GET", "/nothing.js", 404),
        ("HEAD", "/nothing.js", 404),
        ("GET", "/api/problems", 200),
    ],
)
def test_an_answer_tells_browsers_what_it_may_do(asked: httpx.Client, method: str, path: str, status: int) -> None:
    answer = asked.request(method, path)
    assert answer.status_code == status
    for name, value in SAID.items():
        assert answer.headers[name] == value
    assert "geolocation=()" in answer.headers["permissions-policy"]
    policy = dict(part.partition(" ")[::2] for part in answer.headers["content-security-policy"].split("; "))
    for name in ("default-src", "base-uri", "form-action", "frame-ancestors"):
        assert policy[name] == "'none'"
    if status == 405:
        assert set(answer.headers["allow"].split(", ")) >= {"GET", "HEAD"}


@pytest.mark.parametrize("host", ["race.example.org", "localhost:8080", "192.0.2.7:80"])
def test_the_page_may_connect_to_where_it_comes_from_and_nowhere_else(asked: httpx.Client, host: str) -> None:
    policy = asked.get("/", headers={"host": host}).headers["content-security-policy"]
    assert f"connect-src 'self' ws://{host} wss://{host}; " in policy
    assert "*" not in policy


@pytest.mark.parametrize("host", ["x; script-src *", "x y", "*", "[::1]:80", "x, default-src *", "'unsafe-inline'"])
def test_a_host_that_is_none_gets_into_no_policy(asked: httpx.Client, host: str) -> None:
    answer = asked.get("/", headers={"host": host})
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        assert re.search("connect-src 'self'; ", answer.headers["content-security-policy"])


def test_who_may_connect_may_load_the_client(asked: httpx.Client) -> None:
    """A module of another origin is asked for with an Origin: the same list is for it as for the connection."""
    for origin, allowed in ((OURS, OURS), ("https://evil.example", None)):
        answer = asked.get("/client.js", headers={"origin": origin, "accept-encoding": "gzip"})
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert answer.headers.get_list("vary") == ["Origin, Accept-Encoding"], "a cache keeps them apart"
