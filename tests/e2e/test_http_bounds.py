"""Every bound of HTTP is a row of one table, on both ports of a real server: what is sent, what comes back and counts.

The bounds are small here, so that what is over them is quickly sent.
"""

import json
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.harness import fetch
from tools.harness.server import ServerProcess, sample_key, samples, until
from tools.harness.wire import upgrade

pytestmark = pytest.mark.long

HEAD = 8_192
BODY = 4_096
OVERHEAD = 1_024
MIB = 1 << 20
LIMITS = {
    "handshake_timeout_s": 1,
    "http_write_timeout_s": 1,
    "http_keep_alive_s": 1,
    "close_timeout_s": 1,
    "max_header_bytes": HEAD,
    "max_headers": 20,
    "max_body_bytes": BODY,
    "max_chunk_overhead_bytes": OVERHEAD,
    "max_http_connections": 50,
}


@dataclass(frozen=True)
class Port:
    """One of the server's ports, and a path that it answers with 200."""

    number: int
    path: bytes
    server: ServerProcess
    long_path: bytes = b""

    def dial(self, receive_bytes: int = 0) -> socket.socket:
        one = socket.socket()
        one.settimeout(30)
        if receive_bytes:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        one.connect(("127.0.0.1", self.number))
        return one

    def get(self, *headers: bytes, version: bytes = b"1.1", target: bytes = b"") -> bytes:
        lines = [b"GET " + (target or self.path) + b" HTTP/" + version, *headers]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def post(self, *headers: bytes, body: bytes = b"") -> bytes:
        return b"\r\n".join((b"POST " + self.path + b" HTTP/1.1", b"Host: x", *headers)) + b"\r\n\r\n" + body

    def ask(self, request: bytes) -> bytes:
        """All that is answered until the end."""
        with closing(self.dial()) as one:
            with suppress(BrokenPipeError, ConnectionResetError):
                one.sendall(request)
            return everything(one)


def everything(one: socket.socket) -> bytes:
    seen = b""
    with suppress(ConnectionResetError):
        while chunk := one.recv(65_536):
            seen += chunk
    return seen


@pytest.fixture(scope="module", params=["lean", "uvicorn"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("bounds")
    with ServerProcess(folder, ops_port=0, ws_transport=request.param, **LIMITS) as process:
        yield process


def ops_port(server: ServerProcess) -> int:
    return int(server.logged("app.started")[-1]["ops_port"])


@pytest.fixture(params=["main", "ops"])
def port(request: pytest.FixtureRequest, server: ServerProcess) -> Port:
    if request.param == "main":
        return Port(int(server.settings["PORT"]), b"/api/problems", server, b"/schema")
    return Port(ops_port(server), b"/livez", server, b"/metrics")


def sample(server: ServerProcess, name: str, **labels: str) -> float:
    text = fetch.get(f"http://127.0.0.1:{ops_port(server)}/metrics").text
    return samples(text).get(sample_key(f"code_racer_{name}", labels), 0)


def rejected(server: ServerProcess, reason: str) -> float:
    return sample(server, "http_rejected_total", reason=reason)


CHUNKED = b"Transfer-Encoding: chunked"
HOST = b"Host: x"
UPGRADE = (HOST, b"Connection: Upgrade", b"Upgrade: websocket")
Row = tuple[Callable[[Port], bytes], int, str]
REFUSED: dict[str, Row] = {
    # RFC 9112 section 3.2: Host
    "no host": (lambda port: port.get(), 400, "malformed"),
    "two hosts": (lambda port: port.get(HOST, HOST), 400, "malformed"),
    "two different hosts": (lambda port: port.get(HOST, b"Host: y"), 400, "malformed"),
    "empty host": (lambda port: port.get(b"Host:"), 400, "malformed"),
    "host with a path": (lambda port: port.get(b"Host: x/y"), 400, "malformed"),
    "host with a user": (lambda port: port.get(b"Host: a@x"), 400, "malformed"),
    "host with a space": (lambda port: port.get(b"Host: x y"), 400, "malformed"),
    "host with a bad port": (lambda port: port.get(b"Host: x:http"), 400, "malformed"),
    "bad host in HTTP/1.0": (lambda port: port.get(b"Host: /", version=b"1.0"), 400, "malformed"),
    # section 3: the request line
    "HTTP/0.9": (lambda port: b"GET " + port.path + b"\r\n\r\n", 505, "not_supported"),
    "HTTP/2.0": (lambda port: port.get(HOST, version=b"2.0"), 505, "not_supported"),
    "HTTP/1.2": (lambda port: port.get(HOST, version=b"1.2"), 400, "malformed"),
    "HTTP/2 preface": (lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed"),
    "TLS": (lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50, 400, "malformed"),
    "CONNECT": (lambda _: b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 501, "not_supported"),
    "unknown method": (lambda port: port.get(HOST).replace(b"GET", b"BREW"), 400, "malformed"),
    "huge method": (lambda _: b"A" * (HEAD // 2), 400, "malformed"),
    "target without a slash": (lambda port: port.get(HOST, target=b"livez"), 400, "malformed"),
    "absolute form of another scheme": (lambda port: port.get(HOST, target=b"ftp://x/livez"), 400, "malformed"),
    "absolute form with a user": (lambda port: port.get(HOST, target=b"http://a:b@x/livez"), 400, "malformed"),
    "NUL in the target": (lambda port: port.get(HOST, target=b"/a\x00b"), 400, "malformed"),
    # sections 2.2 and 5: lines
    "bare LF": (lambda port: b"GET " + port.path + b" HTTP/1.1\nHost: x\n\n", 400, "malformed"),
    "bare LF at the end": (lambda port: port.get(HOST)[:-2] + b"\n", 400, "malformed"),
    "obs-fold": (lambda port: port.get(HOST, b"A: b\r\n c"), 400, "malformed"),
    "NUL in a header": (lambda port: port.get(HOST, b"A: b\x00c"), 400, "malformed"),
    "space before the colon": (lambda port: port.get(b"Host : x"), 400, "malformed"),
    # section 6: the body's length
    "both lengths": (lambda port: port.post(b"Content-Length: 3", CHUNKED, body=b"0\r\n\r\n"), 400, "malformed"),
    "both lengths, other order": (lambda port: port.post(CHUNKED, b"Content-Length: 3"), 400, "malformed"),
    "two lengths": (lambda port: port.post(b"Content-Length: 3", b"Content-Length: 4"), 400, "malformed"),
    "list of lengths": (lambda port: port.post(b"Content-Length: 3, 3"), 400, "malformed"),
    "signed length": (lambda port: port.post(b"Content-Length: +3"), 400, "malformed"),
    "length beyond all numbers": (lambda port: port.post(b"Content-Length: " + b"9" * 40), 400, "malformed"),
    "chunked in HTTP/1.0": (lambda port: port.get(HOST, CHUNKED, version=b"1.0"), 400, "malformed"),
    "another coding": (lambda port: port.post(b"Transfer-Encoding: gzip, chunked"), 501, "not_supported"),
    "a coding without an end": (lambda port: port.post(b"Transfer-Encoding: gzip"), 501, "not_supported"),
    "negative chunk": (lambda port: port.post(CHUNKED, body=b"-1\r\n"), 400, "malformed"),
    "chunk beyond all numbers": (lambda port: port.post(CHUNKED, body=b"f" * 20 + b"\r\n"), 400, "malformed"),
    # sizes
    "long header": (lambda port: port.get(HOST, b"A: " + b"x" * HEAD), 431, "too_large"),
    "header without an end": (lambda port: port.get(HOST, b"A: " + b"x" * HEAD)[:-4], 431, "too_large"),
    "long target": (lambda port: port.get(HOST, target=b"/" + b"x" * HEAD), 431, "too_large"),
    "many headers": (lambda port: port.get(HOST, *[b"A: b"] * 20), 431, "too_large"),
    "empty lines for ever": (lambda _: b"\r\n" * HEAD, 431, "too_large"),
    "large body": (lambda port: port.post(b"Content-Length: %d" % (BODY + 1)), 413, "too_large"),
    "large body, all of it": (
        lambda port: port.post(b"Content-Length: %d" % (20 * BODY), body=b"x" * 20 * BODY), 413, "too_large"
    ),
    "large body that asks first": (
        lambda port: port.post(b"Content-Length: %d" % MIB, b"Expect: 100-continue"), 413, "too_large"
    ),
    "large chunk": (
        lambda port: port.post(CHUNKED, body=b"%x\r\n" % (BODY + 1) + b"x" * (BODY + 1) + b"\r\n0\r\n\r\n"),
        413,
        "too_large",
    ),
    "many small chunks": (lambda port: port.post(CHUNKED, body=b"1\r\nx\r\n" * 4 * BODY), 413, "too_large"),
    "long chunk extension": (lambda port: port.post(CHUNKED, body=b"1;" + b"a" * 2 * HEAD), 413, "too_large"),
    "many trailers": (lambda port: port.post(CHUNKED, body=b"0\r\n" + b"A: b\r\n" * HEAD), 413, "too_large"),
    "long trailer": (lambda port: port.post(CHUNKED, body=b"0\r\nA: " + b"b" * 2 * HEAD), 413, "too_large"),
    # upgrades
    "upgrade with a body": (lambda port: port.get(*UPGRADE, b"Content-Length: 3") + b"abc", 400, "malformed"),
    "upgrade with chunks": (lambda port: port.get(*UPGRADE, CHUNKED) + b"0\r\n\r\n", 400, "malformed"),
    # time
    "nothing": (lambda _: b"", 408, "timeout"),
    "half a request line": (lambda _: b"GET / HT", 408, "timeout"),
    "half a head": (lambda port: port.get(HOST)[:-2], 408, "timeout"),
    "half a body": (lambda port: port.post(b"Content-Length: 10", body=b"{"), 408, "timeout"),
    "half a chunk": (lambda port: port.post(CHUNKED, body=b"5\r\nab"), 408, "timeout"),
    "an empty line, then nothing": (lambda _: b"\r\n", 408, "timeout"),
}  # fmt: skip


@pytest.mark.parametrize("row", REFUSED)
def test_what_is_refused(port: Port, row: str) -> None:
    make, status, reason = REFUSED[row]
    before = rejected(port.server, reason)
    seen = port.ask(make(port))
    head, _, body = seen.rpartition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), seen
    assert b"content-type: application/problem+json" in head
    problem = json.loads(body)
    assert (problem["status"], problem["reason"]) == (status, reason)
    assert problem["detail"]
    assert rejected(port.server, reason) == before + 1
    assert port.server.wait_for_log("http.rejected", reason=reason, status=status)["client"] == "127.0.0.1"


SERVED: dict[str, Callable[[Port], bytes]] = {
    "HTTP/1.1": lambda port: port.get(HOST, b"Connection: close"),
    "HTTP/1.0 without a host": lambda port: port.get(version=b"1.0"),
    "absolute form": lambda port: port.get(HOST, b"Connection: close", target=b"http://y:1" + port.path),
    "IPv6 host": lambda port: port.get(b"Host: [::1]:80", b"Connection: close"),
    "empty lines before": lambda port: b"\r\n\r\n" + port.get(HOST, b"Connection: close"),
    "body on a GET": lambda port: port.get(HOST, b"Content-Length: 3", b"Connection: close") + b"abc",
    "upgrade to something else": lambda port: port.get(HOST, b"Upgrade: h2c", b"Connection: Upgrade, close"),
    "chunks of a GET": lambda port: (
        port.get(HOST, CHUNKED, b"Connection: close") + b'2;a="b"\r\n{}\r\n0\r\nHost: y\r\nAuthorization: no\r\n\r\n'
    ),
    "as many headers as allowed": lambda port: port.get(HOST, *[b"A: b"] * 18, b"Connection: close"),
    "as long a body as allowed": lambda port: (
        port.get(HOST, b"Content-Length: %d" % BODY, b"Connection: close") + b"\r\n\r\n" * (BODY // 4)
    ),
    "nothing after Connection: close": lambda port: port.get(HOST, b"Connection: close") + port.get(HOST) * 3,
}


@pytest.mark.parametrize("row", SERVED)
@pytest.mark.parametrize("pace", ["at once", "byte by byte"])
def test_what_is_served(port: Port, row: str, pace: str) -> None:
    request = SERVED[row](port)
    with closing(port.dial()) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BrokenPipeError, ConnectionResetError):  # behind Connection: close
            for piece in [request] if pace == "at once" else [request[at : at + 1] for at in range(len(request))]:
                one.sendall(piece)
        seen = everything(one)
    assert seen.startswith(b"HTTP/1.1 200 "), seen
    assert seen.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "target",
    [
        b"/%00",
        b"/index.html%00",
        b"/" + b"x" * 300,
        b"/client.js/x",
        b"/" + b"a/" * 3_000,
        b"/%ff%fe",
        b"//x",
        b"/..%2f",
        b"*",
    ],
)
def test_a_page_that_cannot_be_there_is_not_found(port: Port, target: bytes) -> None:
    seen = port.ask(port.get(HOST, b"Connection: close", target=target))
    assert seen.startswith(b"HTTP/1.1 404 "), seen
    assert json.loads(seen.rpartition(b"\r\n\r\n")[2])["reason"] == "not_found"
    assert sample(port.server, "faults_total") == 0


@pytest.mark.parametrize("method", [b"PROPFIND", b"TRACE", b"QUERY", b"SOURCE"])
def test_a_method_that_nobody_serves_is_the_application_s_to_refuse(port: Port, method: bytes) -> None:
    seen = port.ask(port.get(HOST, b"Connection: close").replace(b"GET", method))
    assert seen.startswith(b"HTTP/1.1 405 "), seen
    assert json.loads(seen.rpartition(b"\r\n\r\n")[2])["reason"] == "method_not_allowed"


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_pipelined_requests_are_all_answered_in_order(port: Port, size: int) -> None:
    count = 20
    asked = [port.get(HOST, target=port.path if number % 2 else b"/no") for number in range(count)]
    asked.append(port.get(HOST, b"Connection: close"))
    request = b"".join(asked)
    with closing(port.dial()) as one:
        for at in range(0, len(request), size):
            one.sendall(request[at : at + size])
        seen = everything(one)
    statuses = [part[:3] for part in seen.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200" if number % 2 else b"404" for number in range(count)] + [b"200"]


def test_a_body_may_be_asked_for_and_comes_then(port: Port) -> None:
    with closing(port.dial()) as one, one.makefile("rb") as stream:
        one.sendall(port.get(HOST, b"Content-Length: 2", b"Expect: 100-continue", b"Connection: close"))
        assert stream.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert stream.readline() == b"\r\n"
        one.sendall(b"{}")
        assert stream.readline().startswith(b"HTTP/1.1 200 ")


def test_a_connection_that_asks_nothing_more_ends(port: Port) -> None:
    seen = port.ask(port.get(HOST))
    assert seen.startswith(b"HTTP/1.1 200 ")
    assert seen.count(b"HTTP/1.1 ") == 1, "and no word at the end, as there is nothing to answer"


def test_empty_lines_do_not_keep_a_connection(port: Port) -> None:
    with closing(port.dial()) as one:
        one.sendall(port.get(HOST))
        assert one.recv(5) == b"HTTP/"
        one.sendall(b"\r\n")
        assert b"HTTP/1.1 408 " in everything(one)


@pytest.mark.parametrize(
    "flood",
    [
        lambda port: (port.post(CHUNKED) + b"1;", b"a" * 65_536),
        lambda port: (port.post(CHUNKED) + b"0\r\n", b"A: b\r\n" * 10_000),
        lambda port: (port.post(CHUNKED), b"1\r\nx\r\n" * 10_000),
        lambda port: (port.get(HOST)[:-2], b"A: b\r\n" * 10_000),
        lambda _: (b"", b"\r\n" * 30_000),
    ],
    ids=["chunk extension", "trailers", "chunks", "headers", "empty lines"],
)
def test_a_flood_takes_no_memory(port: Port, flood: object) -> None:
    assert callable(flood)
    begin, more = flood(port)
    before = port.server.resident_bytes()
    with closing(port.dial()) as one:
        one.sendall(begin)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1_000):
                one.sendall(more)
    assert port.server.resident_bytes() - before < 8 * MIB


@pytest.mark.parametrize("last", [b"Connection: close", b"Connection: keep-alive"])
def test_one_answer_that_nobody_reads_is_cut(port: Port, last: bytes) -> None:
    """Whether the connection would have ended with it or not: closing waits for what is unsent."""
    unread, files = rejected(port.server, "unread"), port.server.open_files()
    target = b"/metrics" if port.path == b"/livez" else b"/client.js"
    with closing(port.dial(2_048)) as one:
        filling = port.get(HOST, target=port.long_path) * 60
        one.sendall(filling + port.get(HOST, last, target=target))
        until(lambda: rejected(port.server, "unread") > unread)
        until(lambda: port.server.open_files() <= files)


def test_pipelined_requests_whose_answers_nobody_reads_take_no_memory_and_are_cut(port: Port) -> None:
    before, unread = port.server.resident_bytes(), rejected(port.server, "unread")
    files = port.server.open_files()
    many = [port.dial(4_096) for _ in range(10)]
    request = port.get(HOST, target=port.long_path) * 2_000
    for one in many:
        one.setblocking(False)
        with suppress(BlockingIOError, ConnectionResetError, BrokenPipeError):
            for _ in range(1_000):
                one.send(request)
    until(lambda: rejected(port.server, "unread") >= unread + len(many))
    assert port.server.resident_bytes() - before < 24 * MIB
    for one in many:
        one.close()
    until(lambda: port.server.open_files() <= files)  # the next test counts them


@pytest.mark.parametrize("size", [0, 200])
def test_an_upgrade_behind_answers_that_nobody_reads_keeps_no_connection(server: ServerProcess, size: int) -> None:
    """Its refusal cannot be sent either, wherever in it the way out is full."""
    port = Port(int(server.settings["PORT"]), b"/api/problems", server, b"/schema")
    before = server.open_files()
    with closing(port.dial(4_096)) as one:
        one.sendall(port.get(HOST, target=b"/schema?" + b"x" * size) * 60 + upgrade("/ws/x"))
        until(lambda: server.open_files() > before)
        until(lambda: server.open_files() <= before)


def retry_after_s(answer: bytes) -> int:
    """What an answer's Retry-After says."""
    return int(answer.partition(b"retry-after: ")[2].partition(b"\r\n")[0])


def test_more_connections_than_allowed_are_refused_and_the_others_served(port: Port) -> None:
    before = rejected(port.server, "too_many")
    limited = sample(port.server, "ws_rate_limited_total", scope="http_connections", mode="enforced")
    held = [port.dial() for _ in range(LIMITS["max_http_connections"])]
    late = [port.dial() for _ in range(5)]
    for one in late:
        seen = everything(one)
        assert seen.startswith(b"HTTP/1.1 503 ")
        assert 1 <= retry_after_s(seen) <= 5
        one.close()
    held[0].sendall(port.get(HOST, b"Connection: close"))
    assert everything(held[0]).startswith(b"HTTP/1.1 200 ")
    for one in held:
        one.close()
    until(lambda: port.ask(port.get(HOST, b"Connection: close")).startswith(b"HTTP/1.1 200 "))
    assert rejected(port.server, "too_many") >= before + 5
    assert sample(port.server, "ws_rate_limited_total", scope="http_connections", mode="enforced") >= limited + 5


def test_who_would_take_one_of_the_last_file_descriptors_is_told_and_counted_and_the_other_port_goes_on(
    tmp_path: Path,
) -> None:
    """The event loop tells nobody that it accepted without one: it cuts the connection, as if the service were gone."""
    with ServerProcess(tmp_path, ops_port=0, reserved_descriptors=20) as server:
        main = Port(int(server.settings["PORT"]), b"/api/problems", server)
        refused = rejected(server, "no_descriptors")  # and what is opened once is open now
        soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (server.open_files() + 30, hard))
        comers = [main.dial() for _ in range(40)]
        for one in comers:
            with suppress(BrokenPipeError, ConnectionResetError):  # who is refused is not waited for
                one.sendall(main.get(HOST))
        answers = [one.recv(65_536) for one in comers]
        full = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503 ")]
        assert 25 <= len(full) <= 35, answers
        assert all(b"no_descriptors" in answer for answer in full)
        assert len({retry_after_s(answer) for answer in full}) > 1, "not all come back at once"
        assert sum(answer.startswith(b"HTTP/1.1 200 ") for answer in answers) == 40 - len(full)
        assert rejected(server, "no_descriptors") == refused + len(full)
        record = server.wait_for_log("http.rejected", reason="no_descriptors")
        assert record["status"] == 503
        assert "ulimit -n" in record["detail"]
        for one in comers:
            one.close()
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft, hard))


def test_connections_of_one_address_are_bounded_but_in_development_and_from_proxies(tmp_path: Path) -> None:
    limits = {"environment": "test", "max_http_connections_per_address": 5, "guests": "true"}
    with ServerProcess(tmp_path / "one", **limits) as server:
        port = Port(int(server.settings["PORT"]), b"/livez", server)
        held = [port.dial() for _ in range(5)]
        with closing(port.dial()) as late:
            assert everything(late).startswith(b"HTTP/1.1 503 ")
        for one in held:
            one.close()
        until(lambda: port.ask(port.get(HOST, b"Connection: close")).startswith(b"HTTP/1.1 200 "))
        assert server.metric("ws_rate_limited_total", scope="http_connections_per_address", mode="enforced") >= 1
    for name, more in (("two", {"environment": "development"}), ("three", {"trusted_proxies": "127.0.0.0/8"})):
        with ServerProcess(tmp_path / name, **(limits | more)) as server:
            port = Port(int(server.settings["PORT"]), b"/livez", server)
            held = [port.dial() for _ in range(20)]
            assert port.ask(port.get(HOST, b"Connection: close")).startswith(b"HTTP/1.1 200 ")
            for one in held:
                one.close()


def test_websockets_leave_their_place(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, max_http_connections=2) as server:
        token = server.guest("Ann")["token"]
        game_id = server.new_game(token)
        port = Port(int(server.settings["PORT"]), b"/livez", server)
        sockets = []
        for _ in range(5):
            one = port.dial()
            one.sendall(upgrade(f"/ws/{game_id}", f"Authorization: Bearer {token}"))
            assert one.recv(65_536).startswith(b"HTTP/1.1 101 ")
            sockets.append(one)
        assert port.ask(port.get(HOST, b"Connection: close")).startswith(b"HTTP/1.1 200 ")
        for one in sockets:
            one.close()


@pytest.mark.parametrize("transport", ["lean", "uvicorn"])
def test_an_upgrade_in_absolute_form_and_in_http_1_0(tmp_path: Path, transport: str) -> None:
    with ServerProcess(tmp_path, ws_transport=transport) as server:
        token = server.guest("Ann")["token"]
        game_id = server.new_game(token)
        port = Port(int(server.settings["PORT"]), b"/livez", server)
        with closing(port.dial()) as one:
            one.sendall(upgrade(f"http://{server.host}/ws/{game_id}?last_seq=0&token={token}"))
            assert one.recv(65_536).startswith(b"HTTP/1.1 101 ")
            opened = server.wait_for_log("ws.opened")
            assert opened["game_id"] == game_id
        old = upgrade(f"/ws/{game_id}?token={token}").replace(b"HTTP/1.1", b"HTTP/1.0")
        assert port.ask(old).startswith(b"HTTP/1.1 400 ")
        bad = port.ask(upgrade(f"http://{server.host}/ws/{game_id}?token={token}x#{token}y"))
        assert bad.startswith(b"HTTP/1.1 401 ")
        server.wait_for_log("ws.refused", outcome="unauthorized")
        assert token not in "\n".join(server.lines) + server.stderr
