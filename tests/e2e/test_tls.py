"""TLS without a proxy: wss and https from the server itself."""

import asyncio
import contextlib
import datetime as dt
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from websockets.asyncio.client import connect

from tools.harness import fetch
from tools.harness.server import SOURCES, ServerProcess, until
from tools.harness.tls import Certificates
from tools.harness.tokens import token
from tools.harness.wire import CLOSE, frame, frames, upgrade

pytestmark = pytest.mark.anyio


async def test_a_game_over_wss(tmp_path: Path) -> None:
    made = Certificates(tmp_path / "tls")
    server = ServerProcess(tmp_path / "server", tls_cert_file=made.cert, tls_key_file=made.key)
    await asyncio.to_thread(server.start)
    try:
        context = ssl.create_default_context(cafile=str(made.ca))
        mine = token("ann")
        url = f"wss://{server.host}/ws/7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a00"
        offer = {"subprotocols": ["code-racer.v1"], "ssl": context, "proxy": None}
        async with connect(url, **offer) as ws:  # type: ignore[arg-type] # keyword arguments of many types
            await ws.send(f'{{"type":"auth","data":{{"token":"{mine}"}}}}')
            assert '"no_such_game"' in str(await ws.recv())
            await ws.wait_closed()
            assert ws.close_code == 4404
        assert server.wait_for_log("app.started")["page"].startswith("https://")
    finally:
        assert await asyncio.to_thread(server.stop) == 0


@pytest.fixture
def off_terminal() -> Iterator[None]:
    """On a terminal SIGHUP ends the server, but for where it is ignored when that starts (nohup)."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("off_terminal")
@pytest.mark.parametrize("transport", ["lean", "uvicorn"])
def test_a_certificate_is_replaced_by_sighup_and_nobody_is_cut(tmp_path: Path, transport: str) -> None:
    made = Certificates(tmp_path / "tls", days=1)
    context = ssl.create_default_context(cafile=str(made.ca))
    tls = {"tls_cert_file": made.cert, "tls_key_file": made.key, "ws_transport": transport, "http_keep_alive_s": 600}
    with ServerProcess(tmp_path / "server", **tls) as server, kept(server, context) as old:
        first = served(old)
        made.renew(days=30)
        assert days_left(server, context) < 2, "a file alone changes nothing"
        os.kill(server.pid, signal.SIGHUP)
        told = dt.datetime.fromisoformat(server.wait_for_log("certificate.loaded")["ends"])
        assert 29 < (told - dt.datetime.now(dt.UTC)).days + 1 <= 30
        assert 29 < days_left(server, context) <= 30
        alive(old)
        assert served(old) == first
        good = (made.cert.read_bytes(), made.key.read_bytes())
        made.renew(days=60)
        for cert, key in ((made.cert.read_bytes(), good[1]), (b"no certificate", good[1]), (good[0], b"")):
            made.cert.write_bytes(cert)
            made.key.write_bytes(key)
            seen = len(server.logged("certificate.refused"))
            os.kill(server.pid, signal.SIGHUP)
            assert "must be PEM, of one pair" in server.wait_for_log("certificate.refused", skip=seen)["error"]
            assert 29 < days_left(server, context) <= 30
        alive(old)
        metrics = fetch.get(f"https://{server.host}/metrics", verify=context).text
        for outcome, times in (("loaded", 1), ("refused", 3)):
            assert f'code_racer_certificate_loads_total{{outcome="{outcome}"}} {times}.0\n' in metrics


@contextlib.contextmanager
def kept(server: ServerProcess, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """A connection that is kept."""
    plain = socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), timeout=30)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
        alive(secure)
        yield secure


def alive(secure: ssl.SSLSocket) -> None:
    """The connection serves."""
    secure.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while not answer.endswith(b"}"):
        answer += secure.recv(4_096)
    assert answer.startswith(b"HTTP/1.1 200 ")


def served(secure: ssl.SSLSocket) -> bytes:
    """The certificate of a connection."""
    certificate = secure.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


def days_left(server: ServerProcess, context: ssl.SSLContext) -> float:
    """How long the certificate is valid that a new connection meets."""
    with kept(server, context) as secure:
        ends = x509.load_der_x509_certificate(served(secure)).not_valid_after_utc
    return (ends - dt.datetime.now(dt.UTC)) / dt.timedelta(days=1)


def test_what_is_sent_over_tls_and_not_read_takes_no_memory(tmp_path: Path) -> None:
    """A hundred ask on and on, and read no answer: of each the kernel and TLS hold little."""
    made = Certificates(tmp_path / "tls")
    context = ssl.create_default_context(cafile=str(made.ca))
    requests = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 50_000
    patient = dict.fromkeys(("handshake_timeout_s", "http_keep_alive_s", "http_write_timeout_s"), 300)
    tls = {"tls_cert_file": made.cert, "tls_key_file": made.key}
    with ServerProcess(tmp_path / "server", **tls, **patient) as server, contextlib.ExitStack() as held:
        many = [held.enter_context(asking(server, context)) for _ in range(100)]
        before, idle = server.resident_bytes(), 0
        while idle < 20:  # turns of the server's in which nobody could send more
            sent = sum(push(one, requests) for one in many)
            idle = 0 if sent else idle + 1
            answer(server, context)
        assert server.resident_bytes() - before < 64 * 2**20


def push(one: ssl.SSLSocket, data: bytes) -> int:
    """Send until the way is full; how much that was."""
    sent = 0
    with contextlib.suppress(ssl.SSLWantWriteError):
        while True:
            sent += one.send(data[:16_384])
    return sent


def answer(server: ServerProcess, context: ssl.SSLContext) -> None:
    """The server has had a turn."""
    with asking(server, context) as one:
        one.settimeout(30)
        one.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert one.recv(4_096).startswith(b"HTTP/1.1 200 ")


def asking(server: ServerProcess, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    plain.settimeout(30)
    plain.connect(("127.0.0.1", int(server.settings["PORT"])))
    secure = context.wrap_socket(plain, server_hostname="127.0.0.1")
    secure.setblocking(False)
    return secure


@pytest.mark.parametrize("transport", ["lean", "uvicorn"])
def test_requests_with_a_body_over_tls(tmp_path: Path, transport: str) -> None:
    """On one connection, the body with its head and after it: a reader that is paused for TLS must go on for each."""
    made = Certificates(tmp_path / "tls")
    tls = {"tls_cert_file": made.cert, "tls_key_file": made.key, "ws_transport": transport}
    context = ssl.create_default_context(cafile=str(made.ca))
    body = b'{"name":"ann"}'
    head = b"POST /api/guests HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n"
    with ServerProcess(tmp_path / "server", **tls) as server:
        plain = socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), timeout=30)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure, secure.makefile("rb") as answers:
            for parts in ((head + body,), (head, body), (head, body[:5], body[5:])):
                for part in parts:
                    secure.sendall(part)
                assert answers.readline() == b"HTTP/1.1 201 Created\r\n"
                headers = dict(line.lower().strip().split(b": ", 1) for line in iter(answers.readline, b"\r\n"))
                assert b'"ann"' in answers.read(int(headers[b"content-length"]))


def test_a_tls_handshake_that_never_comes_is_cut(tmp_path: Path) -> None:
    """Within HANDSHAKE_TIMEOUT_S; by asyncio itself it is a minute, and no protocol knows of it."""
    made = Certificates(tmp_path / "tls")
    tls = {"tls_cert_file": made.cert, "tls_key_file": made.key}
    with ServerProcess(tmp_path / "server", handshake_timeout_s=1, **tls) as server:
        with socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), timeout=30) as silent:
            assert silent.recv(1) == b""
        with socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), timeout=30) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert not plain.recv(65_536).startswith(b"HTTP/1.1 200")


def test_answers_over_tls_are_taken_or_cut(tmp_path: Path) -> None:
    made = Certificates(tmp_path / "tls")
    tls = {"tls_cert_file": made.cert, "tls_key_file": made.key}
    context = ssl.create_default_context(cafile=str(made.ca))
    request = b"GET /schema HTTP/1.1\r\nHost: x\r\n\r\n"
    with ServerProcess(tmp_path / "server", http_write_timeout_s=1, http_keep_alive_s=1, **tls) as server:
        address = ("127.0.0.1", int(server.settings["PORT"]))
        with context.wrap_socket(socket.create_connection(address, timeout=30), server_hostname="127.0.0.1") as secure:
            secure.sendall(request * 5)
            answer = b""
            while chunk := secure.recv(65_536):
                answer += chunk
            assert answer.count(b"HTTP/1.1 200 ") == 5
        files = server.open_files()
        with context.wrap_socket(socket.create_connection(address, timeout=30), server_hostname="127.0.0.1") as secure:
            secure.sendall(request * 1_000)
            server.wait_for_log("http.rejected", reason="unread")
            until(lambda: server.open_files() <= files)


def test_a_refusal_over_tls_is_read_to_its_end(tmp_path: Path) -> None:
    made = Certificates(tmp_path / "tls")
    tls = {"tls_cert_file": made.cert, "tls_key_file": made.key}
    context = ssl.create_default_context(cafile=str(made.ca))
    with ServerProcess(tmp_path / "server", handshake_timeout_s=1, http_write_timeout_s=1, **tls) as server:
        for sent, status in ((b"GET / HTTP/1.1\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\n", b"408")):
            plain = socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), timeout=30)
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                secure.sendall(sent)
                answer = b""
                while chunk := secure.recv(65_536):
                    answer += chunk
                assert answer.startswith(b"HTTP/1.1 " + status)
                assert answer.endswith(b"}")


@pytest.mark.parametrize("transport", ["lean", "uvicorn"])
def test_the_code_of_a_violation_arrives_over_tls_at_who_goes_on_sending(tmp_path: Path, transport: str) -> None:
    """There is no half-closed TLS connection: the server says that it ends, and drains what comes."""
    made = Certificates(tmp_path / "tls")
    tls = {"tls_cert_file": made.cert, "tls_key_file": made.key, "ws_transport": transport}
    context = ssl.create_default_context(cafile=str(made.ca))
    with ServerProcess(tmp_path / "server", **tls) as server:
        plain = socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), timeout=30)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
            path = "/ws/7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a00"
            secure.sendall(upgrade(path, "Sec-WebSocket-Protocol: code-racer.v1"))
            secure.sendall(frame(3, b""))
            for _ in range(20):
                secure.sendall(b"\xff" * 2_000)
            with secure.makefile("rb") as stream:
                told, closed = frames(stream)
                assert json.loads(told[1])["type"] == "disconnect"
                assert (closed[0], closed[1][:2]) == (CLOSE, b"\x03\xea")


@pytest.mark.parametrize("half", ["TLS_CERT_FILE", "TLS_KEY_FILE"])
def test_half_a_pair_is_a_mistake_that_is_told(half: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "check-config"],
        cwd=tmp_path,
        env={half: "x.pem", "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "TLS_CERT_FILE: needs TLS_KEY_FILE" in done.stderr
