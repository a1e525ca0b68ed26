"""Whoever the server closes is told so before the close frame, also where it breaks the protocol, is silent or deaf."""

import json
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from app.protocol import Close, CloseRow
from tools.harness.readers import CHATTER, small_socket
from tools.harness.server import STEP_TIMEOUT_S, UNLIMITED, ServerProcess, until
from tools.harness.tokens import token
from tools.harness.wire import CLOSE, PING, TEXT, frame, frames, upgrade

LOOK_EVERY_S = 0.05
SETTINGS: dict[str, Any] = {
    "close_timeout_s": 60,
    "max_message_bytes": 1_024,
    "max_rate_limited_per_minute": 1_000_000,
    "outbox_max_bytes": 65_536,
    "ping_interval_s": 3_600,
    **UNLIMITED,
}


@dataclass
class Stage:
    """A server, and a player in a game who reads when the test says so."""

    server: ServerProcess
    socket: socket.socket
    stream: BinaryIO

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)


def wait_for_a_ping(stage: Stage) -> None:
    """And answer none."""
    stage.server.wait_for_log("ws.closed")


def talk(stage: Stage) -> None:
    """And read no answer: they fill the kernel's buffers, then the outbox; once that ends it, nobody need read us."""
    said = unsent = frame(TEXT, CHATTER.encode()) * 20
    while not stage.server.logged("ws.closed"):
        _, writable, _ = select.select([], [stage.socket], [], LOOK_EVERY_S)
        if writable:
            unsent = unsent[stage.socket.send(unsent) :] or said


ENDS: dict[CloseRow, Callable[[Stage], None]] = {
    Close.WIRE_ERROR: lambda stage: stage.say(frame(TEXT, b"{}", reserved=1)),
    Close.INVALID_UTF8: lambda stage: stage.say(frame(TEXT, b"\xff")),
    Close.TOO_BIG: lambda stage: stage.say(frame(TEXT, b"x" * 1_025)),
    Close.PING_TIMEOUT: wait_for_a_ping,
    Close.SLOW_CONSUMER: talk,
}


@contextmanager
def stage(folder: Path, **settings: Any) -> Iterator[Stage]:
    with ServerProcess(folder, **SETTINGS | settings) as server:
        game_id = server.new_game(token("host"))
        with small_socket(server) as one, one.makefile("rb") as stream:
            one.settimeout(STEP_TIMEOUT_S)
            one.sendall(upgrade(f"/ws/{game_id}", f"Authorization: Bearer {token('ann')}"))
            server.wait_for_log("ws.opened")
            yield Stage(server, one, stream)


@pytest.mark.parametrize("ws_transport", ["lean", "uvicorn"])
@pytest.mark.parametrize("row", ENDS, ids=lambda row: row.reason)
def test_a_client_is_told_why_and_when_to_come_back(tmp_path: Path, row: CloseRow, ws_transport: str) -> None:
    pings = {"ping_interval_s": 0.2, "ping_timeout_s": 1} if row is Close.PING_TIMEOUT else {}
    with stage(tmp_path, ws_transport=ws_transport, **pings) as one:
        got = frames(one.stream)
        if row not in {Close.PING_TIMEOUT, Close.SLOW_CONSUMER}:
            assert any(kind == TEXT and b'"player_joined"' in payload for kind, payload in got)
        ENDS[row](one)
        closed = one.server.wait_for_log("ws.closed")
        sent = one.server.metric("ws_message_bytes_count", direction="out")
        size = one.server.metric("ws_message_bytes_sum", direction="out")
        discarded = one.server.metric("ws_messages_discarded_total", reason=row.reason)
        waiting = one.server.metric("ws_outbox_frames")
        told = one.server.metric("ws_messages_total", direction="out", type="disconnect")
        *_, (kind, last), (end, why) = to_close_frame(got)
    assert (kind, end) == (TEXT, CLOSE)
    assert why == row.code.to_bytes(2, "big") + row.reason.encode()
    message = json.loads(last)
    assert message["type"] == "disconnect"
    data = message["data"]
    assert (data["code"], data["reason"], data["reconnect"]) == (row.code, row.reason, row.comes_back)
    low, high = (1_000, 5_000) if row.comes_back else (0, 0)
    assert low <= data["retry_after_ms"] <= high
    assert told == 1
    assert (closed["messages_out"], closed["bytes_out"]) == (sent, size)
    assert closed["messages_discarded"] == discarded
    assert (discarded > 0, waiting) == (row is Close.SLOW_CONSUMER, 0)


def to_close_frame(got: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """All but pings."""
    for kind, payload in got:
        if kind != PING:
            yield kind, payload
        if kind == CLOSE:
            return


def test_a_client_that_goes_on_reading_nothing_is_cut_and_not_told(tmp_path: Path) -> None:
    with stage(tmp_path, close_timeout_s=0.2) as one:
        talk(one)
        assert one.server.wait_for_log("ws.closed")["reason"] == "slow_consumer"
        until(lambda: not has_open(one.server, one.socket))
        got = b"".join(until_reset(one.stream))
    assert got
    assert b'"disconnect"' not in got
    assert b"slow_consumer" not in got


def has_open(server: ServerProcess, client: socket.socket) -> bool:
    """Whether the server holds its end; the kernel goes on sending what it has taken (no inode: nobody's any more)."""
    local, remote = f":{int(server.settings['PORT']):04X}", f":{client.getsockname()[1]:04X}"
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines():
            fields = line.split()
            if fields[1].endswith(local) and fields[2].endswith(remote):
                return fields[9] != "0"
    return False


def until_reset(stream: BinaryIO) -> Iterator[bytes]:
    with suppress(ConnectionResetError):
        while some := stream.read(4_096):
            yield some
