"""An identity provider that answers anything but a key set: bounded, told, and asked again until it is well."""

import contextlib
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tools.harness import fetch
from tools.harness.jwks import IdentityProvider, SigningKey
from tools.harness.server import ServerProcess, until

MIB = 1 << 20
Answer = Callable[[BaseHTTPRequestHandler], None]


def body(content: bytes, *headers: tuple[str, str], status: int = 200) -> Answer:
    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        for name, value in headers:
            to.send_header(name, value)
        to.end_headers()
        with contextlib.suppress(OSError):
            to.wfile.write(content)

    return answer


def endless(to: BaseHTTPRequestHandler) -> None:
    """As much as is taken."""
    to.send_response(200)
    to.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(1_000):
            to.wfile.write(b" " * MIB)


def drip(start: bytes, drop: bytes) -> Answer:
    """Always something new, and never the end."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        with contextlib.suppress(OSError):
            to.wfile.write(start)
            while True:
                to.wfile.write(drop)
                time.sleep(0.1)  # the drip

    return answer


def many_keys() -> bytes:
    return b'{"keys":[' + b",".join([b'{"kty":"EC"}'] * 200) + b"]}"


HOSTILE: dict[str, tuple[Answer, str]] = {
    "endless": (endless, "KeySetTooLarge"),
    "many keys": (body(many_keys()), "KeySetTooLarge"),
    "nested": (body(b"[" * 100_000), "RecursionError"),
    "nested in a key": (body(b'{"keys":[' * 20_000), "RecursionError"),
    "no JSON": (body(b"<html>"), "JSONDecodeError"),
    "no UTF-8": (body(b"\xff\xfe\xfd"), "UnicodeDecodeError"),
    "no object": (body(b"[1, 2]"), "TypeError"),
    "no keys": (body(b"{}"), "KeyError"),
    "keys that are none": (body(b'{"keys":[1, "a", null]}'), "PyJWKSetError"),
    "a redirect to a file": (body(b"", ("location", "file:///etc/passwd"), status=302), "HTTPError"),
    "a redirect to somebody else": (body(b"", ("location", "http://127.0.0.1:9/"), status=302), "HTTPError"),
    "head that drips": (drip(b"HTTP/1.0 200 OK\r\n", b"a: b\r\n"), ""),
    "body that drips": (drip(b"HTTP/1.0 200 OK\r\n\r\n", b" "), "TimeoutError"),
}


@pytest.mark.parametrize("row", HOSTILE)
def test_what_is_no_key_set_is_told_and_asked_for_again(tmp_path: Path, row: str) -> None:
    answer, error = HOSTILE[row]
    key = SigningKey("one", "ES256")
    fast = {"jwks_timeout_s": 0.5, "jwks_refresh_s": 1, "jwks_max_bytes": 200_000}
    with IdentityProvider(key) as provider:
        provider.instead = answer
        with ServerProcess(tmp_path, jwt_secret="", jwt_jwks_url=provider.url, **fast) as server:
            until(lambda: server.metric("signing_key_fetches_total", outcome="failed") >= 1)
            told, before = server.wait_for_log("keys.failed"), resident_bytes(server)
            assert told["error"] == error or not error
            until(lambda: server.metric("signing_key_fetches_total", outcome="failed") >= 3)
            assert resident_bytes(server) - before < 8 * MIB
            assert server.metric("faults_total") == 0
            provider.instead = None
            until(lambda: server.metric("signing_keys") == 1)
            headers = {"authorization": f"Bearer {key.token('ann')}"}
            assert fetch.post(f"{server.http_url}/api/games", json={}, headers=headers).status_code == 201


def test_a_fetch_that_never_ends_leaves_no_thread_and_holds_up_no_end(tmp_path: Path) -> None:
    with IdentityProvider(SigningKey("one", "ES256")) as provider:
        provider.instead = drip(b"HTTP/1.0 200 OK\r\n\r\n", b" ")
        fast = {"jwks_timeout_s": 0.2, "jwks_refresh_s": 1}
        with ServerProcess(tmp_path, jwt_secret="", jwt_jwks_url=provider.url, **fast) as server:
            until(lambda: server.metric("signing_key_fetches_total", outcome="failed") >= 1)
            threads = len(list(Path(f"/proc/{server.pid}/task").iterdir()))
            until(lambda: server.metric("signing_key_fetches_total", outcome="failed") >= 4)
            assert len(list(Path(f"/proc/{server.pid}/task").iterdir())) <= threads + 1
        with ServerProcess(tmp_path, jwt_secret="", jwt_jwks_url=provider.url, jwks_timeout_s=60) as server:
            until(lambda: provider.asked > 4)
            stopping = threading.Thread(target=server.stop)
            stopping.start()
            stopping.join(15)
            assert not stopping.is_alive(), "the fetch was ended with the service"


def resident_bytes(server: ServerProcess) -> int:
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * 4_096
