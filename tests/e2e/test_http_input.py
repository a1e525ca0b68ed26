"""Bad HTTP: slow, endless, oversized, doubled, glued together. Each is answered or cut, counted, and holds nothing."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tools.harness.server import ServerProcess, difference, until
from tools.harness.tokens import token
from tools.harness.wire import frame, upgrade


@pytest.fixture(scope="module", params=["lean", "uvicorn"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    limits = {"handshake_timeout_s": 1, "max_header_bytes": 8192}
    with ServerProcess(tmp_path_factory.mktemp("http"), ws_transport=request.param, **limits) as process:
        yield process


def dial(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), timeout=30)


def answer(one: socket.socket) -> bytes:
    """All that comes until the end."""
    seen = b""
    while True:
        try:
            chunk = one.recv(65536)
        except ConnectionResetError:
            return seen
        if not chunk:
            return seen
        seen += chunk


def rejected(server: ServerProcess, reason: str) -> float:
    return server.metric("http_rejected_total", reason=reason)


def test_a_hundred_connections_that_send_nothing_are_cut_and_nobody_else_notices(server: ServerProcess) -> None:
    files, before = server.open_files(), rejected(server, "timeout")
    silent = [dial(server) for _ in range(100)]
    assert server.metric("ws_connections") == 0, "others are served meanwhile"
    for one in silent:
        assert answer(one).startswith(b"HTTP/1.1 408")
        one.close()
    assert rejected(server, "timeout") == before + 100
    until(lambda: server.open_files() <= files + 1)


@pytest.mark.parametrize(
    "part",
    [b"GET /livez HT", upgrade("/ws/x")[:-2], b"POST /api/guests HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"],
    ids=["request line", "headers", "body"],
)
def test_a_request_that_is_never_whole_is_cut(server: ServerProcess, part: bytes) -> None:
    before = rejected(server, "timeout")
    with closing(dial(server)) as one:
        one.sendall(part)
        assert b"408" in answer(one)
    assert rejected(server, "timeout") == before + 1


def test_a_slow_drip_is_cut_however_lively_it_is(server: ServerProcess) -> None:
    with closing(dial(server)) as one:
        one.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
        began = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while time.monotonic() < began + 60:
                one.sendall(b"X-Drip: 1\r\n")
                time.sleep(0.05)  # the drip


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Big: " + b"x" * 9000,
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Big: " + b"x" * 9000 + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(2000)) + b"\r\n",
        b"GET /" + b"x" * 9000,
        upgrade("/ws/x", "Authorization: Bearer " + "x" * 9000),
    ],
    ids=["one header, unfinished", "one header", "flood of headers", "path", "token"],
)
def test_an_oversized_head_is_431(server: ServerProcess, request_bytes: bytes) -> None:
    before = rejected(server, "too_large")
    with closing(dial(server)) as one:
        one.sendall(request_bytes)
        assert answer(one).startswith(b"HTTP/1.1 431")
    assert rejected(server, "too_large") == before + 1


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"HELLO\r\n\r\n", b"\x00" * 50])
def test_what_is_no_http_is_400(server: ServerProcess, garbage: bytes) -> None:
    before = rejected(server, "malformed")
    with closing(dial(server)) as one:
        one.sendall(garbage)
        assert answer(one).startswith(b"HTTP/1.1 400")
    assert rejected(server, "malformed") == before + 1


def test_a_body_that_is_larger_than_allowed_is_413(server: ServerProcess) -> None:
    head = (
        f"POST /api/games HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token('a')}\r\nContent-Type: application/json"
    )
    with closing(dial(server)) as one:
        one.sendall(f"{head}\r\nContent-Length: 70000\r\n\r\n".encode() + b"x" * 70000)
        assert one.recv(65536).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (upgrade("/ws/x").replace(b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8"), b"400"),
        (upgrade("/ws/x").replace(b"Sec-WebSocket-Key", b"X-Key"), b"400"),
        (upgrade("/ws/x", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), b"400"),
        (upgrade("/ws/x", "Sec-WebSocket-Version: 13"), b"400"),
    ],
    ids=["version", "no key", "two keys", "two versions"],
)
def test_a_bad_handshake_is_refused_counted_and_logged(
    server: ServerProcess, request_bytes: bytes, status: bytes
) -> None:
    server.until_all_is_logged()
    before, told = server.metrics(), len(server.logged("ws.refused", outcome="bad_request"))
    with closing(dial(server)) as one:
        one.sendall(request_bytes)
        assert answer(one).split(b" ")[1] == status
    changes = difference(before, server.metrics(), "code_racer_ws_handshakes_total")
    assert changes == {'code_racer_ws_handshakes_total{outcome="bad_request"}': 1}
    line = server.wait_for_log("ws.refused", outcome="bad_request", skip=told)
    assert (line["status"], line["client"]) == (400, "127.0.0.1")
    assert line["detail"].startswith("this is no WebSocket handshake")


def test_two_authorization_headers_are_401(server: ServerProcess) -> None:
    game_id = server.new_game(token("host"))
    with closing(dial(server)) as one:
        headers = [f"Authorization: Bearer {token(name)}" for name in ("a", "b")]
        one.sendall(upgrade(f"/ws/{game_id}", *headers))
        seen = answer(one)
    assert seen.startswith(b"HTTP/1.1 401")
    assert b"one Authorization header" in seen


@pytest.mark.parametrize("glued", [True, False])
def test_frames_sent_before_the_101_are_handled_after_it(server: ServerProcess, glued: bool) -> None:
    game_id = server.new_game(token("host"))
    early = frame(1, b'{"type":"ping","data":{"timestamp":77}}')
    request = upgrade(f"/ws/{game_id}", f"Authorization: Bearer {token('a')}")
    with closing(dial(server)) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if glued:
            one.sendall(request + early)
        else:
            one.sendall(request)
            one.sendall(early)
        seen = b""
        while b'"timestamp":77' not in seen:
            chunk = one.recv(65536)
            assert chunk, seen
            seen += chunk
        assert seen.startswith(b"HTTP/1.1 101")


def test_garbage_behind_the_upgrade_is_1002_and_a_refusal_stays_a_refusal(server: ServerProcess) -> None:
    game_id = server.new_game(token("host"))
    good = upgrade(f"/ws/{game_id}", f"Authorization: Bearer {token('a')}")
    with closing(dial(server)) as one:
        one.sendall(good + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        seen = answer(one)
    assert seen.startswith(b"HTTP/1.1 101")
    assert b"wire_protocol_error" in seen
    with closing(dial(server)) as one:
        one.sendall(upgrade(f"/ws/{game_id}") + b"GET /livez HTTP/1.1\r\n\r\n" * 3)
        seen = answer(one)
    assert seen.startswith(b"HTTP/1.1 401")
    assert json.loads(seen.split(b"\r\n\r\n")[1])["status"] == 401


def test_pipelined_requests_are_answered_in_order(server: ServerProcess) -> None:
    with closing(dial(server)) as one:
        one.sendall(
            b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        seen = answer(one)
    assert seen.count(b"HTTP/1.1 200") == 2
    assert seen.index(b"status") < seen.index(b"version")


def test_nothing_of_a_bad_request_reaches_the_log(server: ServerProcess) -> None:
    mark = "marked-5be1"
    with closing(dial(server)) as one:
        one.sendall(f"{mark} / HTTP/1.1\r\nX: {mark}\r\n\r\n".encode())
        answer(one)
    with closing(dial(server)) as one:
        one.sendall(upgrade(f"/ws/{mark}?token={mark}", f"Cookie: a={mark}", f"Authorization: Bearer {mark}"))
        answer(one)
    server.until_all_is_logged()
    assert mark not in "\n".join(server.lines) + server.stderr


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/ws/x", ["Authorization: Bearer " + "x" * 9_000]),
        ("/ws/x", [f"X-{number}: 1" for number in range(200)]),
        ("/ws/x?" + "x" * 9_000, []),
    ],
    ids=["line", "headers", "path"],
)
def test_an_upgrade_that_the_websocket_parser_will_not_read_is_answered_and_counted(
    tmp_path: Path, path: str, headers: list[str]
) -> None:
    """Below our own limit, above the library's: the connection used to hang unanswered."""
    with ServerProcess(tmp_path) as server, closing(dial(server)) as one:
        one.sendall(upgrade(path, *headers))
        assert answer(one).startswith(b"HTTP/1.1 431 "), "and then the end"
        assert rejected(server, "too_large") == 1
        assert server.metric("faults_total") == 0
