"""What one client sends, whatever it is, stays its own affair; on real sockets, against both transports."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.harness.server import STEP_TIMEOUT_S, ServerProcess, until
from tools.harness.tokens import token
from tools.harness.wire import CLOSE, PING, PONG, TEXT, close_frame, frame, frames, upgrade

FLOODS = {
    "pings": frame(PING, b""),
    "long pings": frame(PING, b"x" * 125),
    "pongs": frame(PONG, b""),
    "empty parts": frame(0, b"", fin=False),
    "parts of an octet": frame(0, b" ", fin=False),
}
VIOLATIONS = {1002: frame(3, b""), 1007: frame(TEXT, b"\xff"), 1009: frame(TEXT, b"x" * 70_000)[:14]}
RESETS = 400


@pytest.fixture(scope="module", params=["lean", "uvicorn"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    rates = {"control_frames_per_second": 100, "control_frame_burst": 50, "max_rate_limited_per_minute": 3}
    more = {
        "socket_unsent_bytes": 4_096,
        "close_timeout_s": 8,
        "max_games_per_player": 10_000,
        "api_requests_per_player_per_second": 0,
        "max_connections_per_player": 1_000,
    }
    with ServerProcess(
        tmp_path_factory.mktemp("fair"), ws_transport=request.param, reconnect_grace_s=0, **rates, **more
    ) as process:
        yield process


def connected(server: ServerProcess, *headers: str, receive_bytes: int = 0) -> socket.socket:
    """An upgraded connection to a new game, of which not a byte has been read."""
    one = socket.socket()
    if receive_bytes:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    one.settimeout(STEP_TIMEOUT_S)
    one.connect(("127.0.0.1", int(server.settings["PORT"])))
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    one.sendall(
        upgrade(f"/ws/{server.new_game(token('host'))}", *(headers or (f"Authorization: Bearer {token('a')}",)))
    )
    return one


def code_of(one: socket.socket) -> int | None:
    """What the server closes with; None where it does without."""
    with one.makefile("rb") as stream:
        for opcode, payload in frames(stream):
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")
    return None


@pytest.mark.parametrize("is_known", [True, False], ids=["after authentication", "before it"])
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_slowed_down_and_then_closed(server: ServerProcess, name: str, is_known: bool) -> None:
    headers = () if is_known else ("Sec-WebSocket-Protocol: code-racer.v1",)
    limited = server.metric("ws_rate_limited_total", scope="control_frames", mode="enforced")
    server.until_all_is_logged()
    lines = len(server.logged("limit.exceeded", scope="control_frames"))
    with connected(server, *headers) as one:
        began = time.monotonic()
        if name.endswith(("parts", "octet")):
            one.sendall(frame(TEXT, b"", fin=False))
        one.sendall(FLOODS[name] * 1_000)
        assert code_of(one) == 4429
        slowed_s = 3 * (0.25 - 0.002)  # the loop's clock counts whole milliseconds, so a pause may end one early
        assert time.monotonic() - began >= slowed_s, "first it was read more slowly, three times"
        one.sendall(close_frame(4429))
    assert server.metric("ws_rate_limited_total", scope="control_frames", mode="enforced") == limited + 1
    server.until_all_is_logged()
    assert len(server.logged("limit.exceeded", scope="control_frames")) <= lines + 1


@pytest.mark.parametrize("code", VIOLATIONS)
def test_the_code_arrives_at_who_goes_on_sending(server: ServerProcess, code: int) -> None:
    """The server ends its side and reads on: not one of these writes fails."""
    with connected(server) as one:
        one.sendall(VIOLATIONS[code])
        assert code_of(one) == code  # and the end of the server's side
        for _ in range(5):
            one.sendall(b"\xff" * 2_000)
            assert server.metric("ready") == 1  # a turn of its event loop, in which it has read that
        assert one.recv(1) == b"", "ended, not reset"


def test_who_sends_for_ever_after_a_violation_is_cut(server: ServerProcess) -> None:
    with connected(server) as one:
        one.sendall(VIOLATIONS[1002])
        with pytest.raises(ConnectionError):
            for _ in range(64):
                one.sendall(bytes(2**20))


def test_who_ends_its_side_and_reads_nothing_is_let_go(server: ServerProcess) -> None:
    """What it was to be sent does not fit into the buffers, and will never leave."""
    closes = server.metric("ws_closes_total", code="1006", reason="connection_lost", initiator="network")
    before = server.metric("ws_messages_total", direction="in", type="ping")
    with connected(server, receive_bytes=4_096) as one:
        until(lambda: server.metric("ws_connections") == 1)
        one.sendall(frame(TEXT, b'{"type":"ping","data":{"timestamp":1},"id":"%s"}' % (b"i" * 64)) * 150)
        until(lambda: server.metric("ws_messages_total", direction="in", type="ping") >= before + 150)
        one.shutdown(socket.SHUT_WR)
        until(lambda: server.metric("ws_connections") == 0)
    assert server.metric("ws_closes_total", code="1006", reason="connection_lost", initiator="network") == closes + 1


def test_what_comes_with_the_upgrade_is_held_to_the_same(server: ServerProcess) -> None:
    game_id = server.new_game(token("host"))
    with socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), STEP_TIMEOUT_S) as one:
        one.sendall(upgrade(f"/ws/{game_id}", f"Authorization: Bearer {token('a')}") + FLOODS["pings"] * 1_000)
        assert code_of(one) == 4429


@pytest.mark.parametrize("transport", ["lean", "uvicorn"])
def test_a_violation_and_a_reset_leave_nothing_behind(tmp_path: Path, transport: str) -> None:
    """Events are told to members who break the protocol and vanish in that moment: no fault, and all are gone."""
    settings = {"ws_transport": transport, "reconnect_grace_s": 0, "close_timeout_s": 1, "max_games_per_player": 1_000}
    with ServerProcess(tmp_path, event_log_url=f"sqlite:///{tmp_path}/log.db", **settings) as server:
        workers = [threading.Thread(target=vanish, args=(server, number)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        until(lambda: server.metric("ws_connections") == server.metric("rooms") == 0)
        metrics = server.metrics()
        closes = sum(value for name, value in metrics.items() if name.startswith("code_racer_ws_closes_total"))
        assert closes == metrics['code_racer_ws_handshakes_total{outcome="accepted"}'] > 0
        assert metrics["code_racer_faults_total"] == 0
        assert "Traceback" not in server.stderr
        assert server.stop() == 0


def vanish(server: ServerProcess, worker: int) -> None:
    """Ten at a time in one game say something, break the protocol and reset, all at once; again and again."""
    said = frame(TEXT, b'{"type":"ping","data":{"timestamp":1}}') + frame(TEXT, b'{"type":"ready"}') * 3
    for number in range(RESETS // 40):
        game_id = server.new_game(token(f"host{worker}"), min_players=100, max_players=100)
        with contextlib.ExitStack() as stack:
            members = [stack.enter_context(member(server, game_id, f"p{worker}-{number}-{one}")) for one in range(10)]
            for one in members:
                one.sendall(said if number % 2 else said + VIOLATIONS[1002])
            for one in members:
                with contextlib.suppress(ConnectionError):
                    one.sendall(VIOLATIONS[1002])
                one.close()


def member(server: ServerProcess, game_id: str, player_id: str) -> socket.socket:
    """A connection that is reset when it is closed."""
    one = socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), STEP_TIMEOUT_S)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.sendall(upgrade(f"/ws/{game_id}", f"Authorization: Bearer {token(player_id)}"))
    assert one.recv(12) == b"HTTP/1.1 101"
    return one
