"""Tokens in every place of a request, through the shipped nginx site in every trouble; then its logs are read."""

import contextlib
import json
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.deploy.machine import Machine
from tools.harness import leaks
from tools.harness.nginx import Site
from tools.harness.server import free_port, until
from tools.harness.tokens import token

pytestmark = pytest.mark.timeout(300)
QUICK = {
    "client_header_timeout 10s": "client_header_timeout 1s",
    "client_body_timeout 10s": "client_body_timeout 1s",
    "proxy_connect_timeout 2s": "proxy_connect_timeout 1s",
    "proxy_read_timeout 60s": "proxy_read_timeout 1s",
}


class Marked:
    """Makes tokens, and remembers what of them must be found nowhere."""

    def __init__(self) -> None:
        self.marks: list[str] = []

    def __call__(self) -> str:
        made = token(f"m-{uuid.uuid4().hex}")
        self.marks += leaks.parts(made)
        return made


@contextlib.contextmanager
def upstream(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A replica that takes a request, does as it is told, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take(one: socket.socket) -> None:
            with one, contextlib.suppress(OSError):
                one.recv(65536)
                answer(one)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=take, args=listener.accept()[:1], daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
TROUBLES: dict[str, tuple[Callable[[socket.socket], None], set[int]]] = {
    "hangs up": (lambda _: None, {502}),
    "says nothing in time": (lambda _: time.sleep(1.5), {504}),
    "says what is no HTTP": (lambda one: one.sendall(b"marked\r\n\r\n"), {0}),  # taken for HTTP/0.9
    "hangs up within a head": (lambda one: one.sendall(b"HTTP/1.1 200 OK\r\nX:"), {502}),
    "hangs up within a body": (lambda one: one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"), {200}),
    "has too large a head": (lambda one: one.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000), {502}),
    "hangs up once a WebSocket is open": (lambda one: one.sendall(SWITCHED), {101}),
}
UNASKED = {"query of another path", "path of nothing"}
"""Places in what nginx does not pass on."""


def ask(site: Site, request: bytes, port: int = 0) -> int:
    """The status of the answer; 0 where there is none."""
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", port or site.port), 20))
        one = plain if port else stack.enter_context(site.trust.wrap_socket(plain, server_hostname="localhost"))
        got = b""
        with contextlib.suppress(OSError):
            one.sendall(request)
            while b"\r\n\r\n" not in got and (chunk := one.recv(65536)):
                got += chunk
        return int(got.split(b" ", 2)[1]) if got.startswith(b"HTTP/1.") else 0


def ask_all(site: Site, requests: dict[str, bytes], port: int = 0) -> dict[str, int]:
    """The same of several, by their names."""
    with ThreadPoolExecutor(len(requests)) as pool:
        return dict(zip(requests, pool.map(partial(ask, site, port=port), requests.values()), strict=True))


def opened(stack: ExitStack, folder: Path, replica: str, **changes: str) -> Site:
    """The site, in front of one replica, whose nginx keeps all that it has to say."""
    site = Site(folder, [replica], **changes)
    site.conf.write_text(site.conf.read_text().replace("error.log;", "error.log info;"))
    return stack.enter_context(site)


def no_leak(folder: Path, marks: list[str]) -> None:
    assert not list(leaks.found(marks, folder))


@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_token_is_logged_when_a_replica(tmp_path: Path, trouble: str) -> None:
    answer, statuses = TROUBLES[trouble]
    marked = Marked()
    with ExitStack() as stack:
        site = opened(stack, tmp_path, stack.enter_context(upstream(answer)), **QUICK)
        seen = ask_all(site, leaks.requests(marked()))
    assert {status for place, status in seen.items() if place not in UNASKED} == statuses
    assert {status for place, status in seen.items() if place in UNASKED} == {404}
    no_leak(tmp_path, marked.marks)
    text = site.log.read_text().replace('"status":009', '"status":9')  # of HTTP/0.9, which is no JSON number
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == len(seen)
    assert all(line["upstream_status"] for line in lines if line["upstream"])


def test_no_token_is_logged_when_a_replica_is_down_and_the_log_says_so(tmp_path: Path) -> None:
    marked = Marked()
    with ExitStack() as stack:
        site = opened(stack, tmp_path, f"127.0.0.1:{free_port()}")
        seen = ask_all(site, leaks.requests(marked()))
        until(lambda: len(site.log.read_text().splitlines()) == len(seen))
        lines = [json.loads(line) for line in site.log.read_text().splitlines()]
    no_leak(tmp_path, marked.marks)
    assert {status for place, status in seen.items() if place not in UNASKED} == {502}
    told = [line for line in lines if line["path"] == leaks.GAME]
    assert len(told) >= len(seen) / 2
    assert {(line["status"], line["upstream_status"], line["upstream_connect_s"]) for line in told} == {
        (502, "502", "-")
    }


def test_no_token_is_logged_when_nginx_itself_refuses(tmp_path: Path) -> None:
    marked = Marked()
    with ExitStack() as stack:
        replica = stack.enter_context(upstream(lambda one: one.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")))
        limited = QUICK | {"rate=50r/s": "rate=1r/m", "burst=400 nodelay": "burst=1 nodelay"}
        for name, changes in {"as it is": QUICK, "slow down": limited}.items():
            site = opened(stack, tmp_path / name.replace(" ", "-"), replica, **changes)
            seen = Counter(
                status
                for port in (0, site.plain_port, site.port)  # the last one: no TLS where it should be
                for make in (leaks.requests, leaks.malformed)
                for status in ask_all(site, make(marked()), port).values()
            )
            seen += Counter(ask_all(site, leaks.unfinished(marked())).values())
            wanted = {400, 413, 414, 308, 0} | ({404, 204} if changes is QUICK else {429})
            assert wanted <= set(seen), f"{name}: {seen}"
        statuses = {
            json.loads(line)["status"] for line in (tmp_path / "as-it-is/code-racer.log").read_text().splitlines()
        }
        assert 408 in statuses, "a request that was never whole"
        refused = [json.loads(line) for line in site.log.read_text().splitlines()]
        assert "REJECTED" in {line["limit_req"] for line in refused}
    no_leak(tmp_path, marked.marks)


def test_no_token_is_logged_when_an_address_has_too_many_connections_or_breaks_them(tmp_path: Path) -> None:
    marked = Marked()
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 1)
        changes = {"limit_conn code_racer_connections 400": "limit_conn code_racer_connections 1"}
        site = opened(stack, tmp_path / "few", machine.replicas["a"].host, **changes)
        game = machine.new_game()
        mine = marked()
        player = site.player(game, "", f"?token={mine}")
        player.until("welcome")
        assert set(ask_all(site, leaks.requests(marked())).values()) == {429, 404}
        player.ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        player.ws.socket.close()  # a reset
        machine.replicas["a"].wait_for_log("ws.closed")
        with site.player(game, "", f"?token={mine}") as player:
            player.until("welcome")
            machine.replicas["a"].kill()
            player.until_closed()
    no_leak(tmp_path, marked.marks)


def test_no_token_is_logged_by_the_site_and_the_service_together(tmp_path: Path) -> None:
    marked = Marked()
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 1, log_level="debug")
        game = machine.new_game()
        for request in [*leaks.requests(marked()).values(), *leaks.malformed(marked()).values()]:
            ask(machine.site, request.replace(leaks.GAME.encode(), f"/ws/{game}".encode()))
        machine.place(game, "x", f"?token={marked()}")
        server = machine.replicas["a"]
        assert server.stop() == 0
        (tmp_path / "stdout.txt").write_text("\n".join(server.lines))
    no_leak(tmp_path, marked.marks)
