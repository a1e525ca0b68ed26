"""Any sequence of frames, fragments, control frames and ends: the server lives, leaks nothing, counts everything."""

import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.protocol import BATCH, Batch, InvalidMessage, decode
from tools.harness.server import UNLIMITED, ServerProcess, until
from tools.harness.tokens import token
from tools.harness.wire import close_frame, frame, upgrade

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
TYPES = st.sampled_from(["ready", "ping", "submit_code", "progress", "batch", "auth", "dance", ""])
GOOD = st.sampled_from(
    [
        {"type": "ready", "data": {"status": "ready"}},
        {"type": "ready", "data": {"status": "not_ready"}, "id": "r"},
        {"type": "ping", "data": {"timestamp": 1}, "id": "p"},
        {"type": "progress", "data": {"percent": 50}},
        {"type": "submit_code", "data": {"code": "x = 1"}},
    ]
)
ITEMS = GOOD | st.fixed_dictionaries({"type": TYPES, "data": JSON_VALUES})
TEXTS = st.one_of(
    st.text(max_size=60),
    ITEMS.map(json.dumps),
    st.lists(ITEMS, max_size=4).map(lambda items: json.dumps({"type": BATCH, "data": items})),
    JSON_VALUES.map(json.dumps),
).filter(lambda text: "\ud800" not in text)


@dataclass(frozen=True)
class Text:
    """A text message in so many fragments, with control frames between them."""

    text: str
    fragments: int
    pings: bool


ENDS = {
    "close": close_frame(1000),
    "close with an unknown code": close_frame(4321, b"bye"),
    "close without a code": close_frame(None),
    "bad close code": close_frame(1005),
    "short close": frame(8, b"\x03"),
    "binary": frame(2, b"\x00"),
    "stray continuation": frame(0, b"x"),
    "reserved bits": frame(1, b"{}", reserved=2),
    "unknown opcode": frame(11, b""),
    "unmasked": frame(1, b"{}", masked=False),
    "fragmented ping": frame(9, b"x", fin=False),
    "long ping": frame(9, b"x" * 200),
    "bad UTF-8": frame(1, b"\xc0\xaf"),
    "too big": frame(1, b"x" * 70_000),
    "huge length": b"\x81\xff" + b"\x7f" + b"\xff" * 7,
    "unfinished frame": frame(1, b"{}" * 20)[:10],
    "unfinished message": frame(1, b"{", fin=False),
    "nothing": b"",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    unlimited = {**UNLIMITED, "max_invalid_messages_per_minute": 1_000_000}
    more = {
        "close_timeout_s": 0.3,
        "max_games_per_player": 1_000_000,
        "api_requests_per_player_per_second": 0,
        "reconnect_grace_s": 0,
    }
    more["api_requests_per_player_per_second"] = 0
    with ServerProcess(tmp_path_factory.mktemp("fuzz"), **unlimited, **more) as process:
        yield process


def frames(message: Text) -> bytes:
    data = message.text.encode()
    cut = max(1, len(data) // message.fragments)
    pieces = [data[start : start + cut] for start in range(0, len(data), cut)] or [b""]
    wire = b""
    for number, piece in enumerate(pieces):
        wire += frame(1 if number == 0 else 0, piece, fin=number == len(pieces) - 1)
        if message.pings:
            wire += frame(9, b"between") + frame(10, b"unasked")
    return wire


def expected(texts: list[str]) -> tuple[int, int]:
    """How many messages these are, batches and their items alike, and how many of them are invalid."""
    messages = invalid = 0
    for text in texts:
        messages += 1
        try:
            decoded = decode(text)
        except InvalidMessage:
            invalid += 1
            continue
        if isinstance(decoded, Batch):
            messages += len(decoded.items)
            invalid += sum(isinstance(item, InvalidMessage) for item in decoded.items)
    return messages, invalid


def received(metrics: dict[str, float]) -> int:
    return int(
        sum(value for key, value in metrics.items() if key.startswith('code_racer_ws_messages_total{direction="in"'))
    )


def refused_as_invalid(metrics: dict[str, float]) -> int:
    codes = ("invalid_json", "invalid_data", "unknown_type", "batch_too_large")
    return int(sum(metrics[f'code_racer_ws_errors_total{{code="{code}"}}'] for code in codes))


@pytest.mark.long
@pytest.mark.timeout(900)
@given(
    messages=st.lists(st.builds(Text, TEXTS, st.integers(1, 5), st.booleans()), max_size=12),
    end=st.sampled_from(sorted(ENDS)),
    vanish=st.sampled_from(["fin", "reset", "wait"]),
    chunk=st.sampled_from([1_000_000, 1000, 7]),
)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_session(server: ServerProcess, messages: list[Text], end: str, vanish: str, chunk: int) -> None:
    before, files = server.metrics(), server.open_files()
    game_id = server.new_game(token("host"), min_players=100, max_players=100)
    wire = b"".join(map(frames, messages)) + ENDS[end]
    with socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), timeout=30) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.sendall(upgrade(f"/ws/{game_id}", f"Authorization: Bearer {token('fuzz')}"))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += one.recv(65536)
        assert answer.startswith(b"HTTP/1.1 101")
        with contextlib.suppress(ConnectionError):  # whoever goes on after a violation is cut, sooner or later
            for start in range(0, len(wire), chunk):
                one.sendall(wire[start : start + chunk])
        if vanish == "reset":
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif vanish == "fin" or end in {"nothing", "unfinished frame", "unfinished message", "huge length"}:
            with contextlib.suppress(OSError):  # it may have been cut already
                one.shutdown(socket.SHUT_WR)
            drain(one)
        else:
            drain(one)
    check_no_leak(server, before, files)
    after = server.metrics()
    count, invalid = expected([message.text for message in messages])
    if end == "binary":
        count += 1
    seen = received(after) - received(before)
    if vanish == "reset":  # what the kernel had not delivered yet is gone with the connection
        assert seen <= count
    else:
        assert seen == count
        assert refused_as_invalid(after) - refused_as_invalid(before) == invalid


def drain(one: socket.socket) -> None:
    """Read until the server has closed."""
    try:
        while one.recv(65536):
            pass
    except ConnectionResetError:
        pass


def check_no_leak(server: ServerProcess, before: dict[str, float], files: int) -> None:
    assert server.alive
    names = ("code_racer_ws_connections", "code_racer_rooms", "code_racer_background_tasks")

    def is_back() -> bool:
        now = server.metrics()
        is_as_before = all(now[name] == before[name] for name in names) and server.open_files() <= files
        return is_as_before and closed(now) >= accepted(now)  # a peer that resets may be gone before it is open

    until(is_back)
    now = server.metrics()
    assert now["code_racer_faults_total"] == before["code_racer_faults_total"], server.logged("app.fault")[-1:]
    assert closed(now) == accepted(now), "every connection that came up has ended, and is counted once"


def closed(metrics: dict[str, float]) -> float:
    return sum(value for key, value in metrics.items() if key.startswith("code_racer_ws_closes_total"))


def accepted(metrics: dict[str, float]) -> float:
    return metrics['code_racer_ws_handshakes_total{outcome="accepted"}']
