"""Hostile and broken clients: each gets the answer the contract names, and the others race on."""

import json
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from tools.harness import fetch
from tools.harness.player import SOLUTION, Player
from tools.harness.server import STEP_TIMEOUT_S, ServerProcess, difference, sample_key
from tools.harness.wire import frame


@pytest.fixture
def victim(server: ServerProcess) -> Iterator[tuple[Player, Player]]:
    """Two players in a game: one misbehaves, the other must not notice."""
    bad, good = server.guest("bad"), server.guest("good")
    game_id = server.new_game(bad["token"])
    with Player(server, game_id, good["token"]) as other, Player(server, game_id, bad["token"]) as player:
        player.until("player_joined", player_id=bad["player_id"])
        other.until("player_joined", player_id=bad["player_id"])
        yield player, other


def lives_on(player: Player) -> None:
    """The connection still answers."""
    player.send("ping", {"timestamp": 42})
    assert player.until("pong")["data"]["timestamp"] == 42


@pytest.mark.parametrize(
    ("text", "code", "type"),
    [
        ("not json", "invalid_json", "other"),
        ("[1,2]", "invalid_data", "other"),
        ('{"type":"dance"}', "unknown_type", "other"),
        ('{"type":"ready","data":{"status":7}}', "invalid_data", "ready"),
        ('{"type":"submit_code","data":{"code":"x"}}', "not_allowed", "submit_code"),
        ('{"type":"auth"}', "invalid_data", "auth"),
        ("\u2028\ud55c\uad6d\uc5b4", "invalid_json", "other"),
        ("[" * 60_000, "invalid_data", "other"),
    ],
)
def test_a_bad_message_is_one_error_one_count_one_log_line(
    server: ServerProcess, victim: tuple[Player, Player], text: str, code: str, type: str
) -> None:
    bad, good = victim
    before = server.metrics()
    connection = bad.received[0]["data"]["connection_id"]
    bad.ws.send(text)
    error = bad.until("error")
    assert error["data"]["code"] == code
    assert "Traceback" not in json.dumps(error)
    changes = difference(before, server.metrics(), "code_racer_ws_errors_total")
    assert changes == {sample_key("code_racer_ws_errors_total", {"code": code}): 1}
    record = server.wait_for_log("message.rejected", connection_id=connection)
    assert (record["code"], record["type"]) == (code, type)
    lives_on(bad)
    lives_on(good)
    server.until_all_is_logged()
    assert len(server.logged("message.rejected", connection_id=connection)) == 1


def raw(player: Player, data: bytes) -> None:
    """Bytes on the wire, past the client library."""
    player.ws.socket.sendall(data)


WIRE_FAULTS: list[tuple[str, Callable[[Player], None], int, str]] = [
    ("binary", lambda player: raw(player, frame(2, b"\x00\x01")), 1003, "binary_unsupported"),
    ("bad UTF-8", lambda player: raw(player, frame(1, b"\xff\xfe")), 1007, "invalid_utf8"),
    (
        "bad UTF-8 in a fragment",
        lambda player: raw(player, frame(1, b"\xc3", fin=False) + frame(0, b"\x28")),
        1007,
        "invalid_utf8",
    ),
    ("too big", lambda player: raw(player, frame(1, b"x" * 70_000)), 1009, "message_too_big"),
    (
        "too big in fragments",
        lambda player: raw(player, frame(1, b"x" * 40_000, fin=False) + frame(0, b"x" * 40_000)),
        1009,
        "message_too_big",
    ),
    ("unmasked", lambda player: raw(player, frame(1, b"{}", masked=False)), 1002, "wire_protocol_error"),
    ("reserved bit", lambda player: raw(player, frame(1, b"{}", reserved=4)), 1002, "wire_protocol_error"),
    ("unknown opcode", lambda player: raw(player, frame(5, b"")), 1002, "wire_protocol_error"),
    ("stray continuation", lambda player: raw(player, frame(0, b"x")), 1002, "wire_protocol_error"),
    ("long control frame", lambda player: raw(player, frame(9, b"x" * 126)), 1002, "wire_protocol_error"),
    ("garbage", lambda player: raw(player, b"GET / HTTP/1.1\r\n\r\n" * 3), 1002, "wire_protocol_error"),
]


@pytest.mark.parametrize(
    ("break_it", "code", "reason"), [fault[1:] for fault in WIRE_FAULTS], ids=[fault[0] for fault in WIRE_FAULTS]
)
def test_a_broken_wire_is_closed_with_its_code(
    server: ServerProcess,
    victim: tuple[Player, Player],
    break_it: Callable[[Player], None],
    code: int,
    reason: str,
) -> None:
    bad, good = victim
    before = server.metrics()
    connection = bad.received[0]["data"]["connection_id"]
    break_it(bad)
    assert bad.until_closed()[0] == code
    record = server.wait_for_log("ws.closed", connection_id=connection)
    assert (record["code"], record["reason"], record["initiator"]) == (code, reason, "server")
    changes = difference(before, server.metrics(), "code_racer_ws_closes_total")
    labels = {"code": str(code), "reason": reason, "initiator": "server"}
    assert changes == {sample_key("code_racer_ws_closes_total", labels): 1}
    lives_on(good)


def test_what_came_before_a_violation_still_counts(victim: tuple[Player, Player]) -> None:
    bad, good = victim
    raw(bad, frame(1, b'{"type":"ready"}') + frame(5, b""))
    assert bad.until_closed()[0] == 1002
    assert good.until("player_ready")["data"]["status"] == "ready"


def test_fragments_with_control_frames_between_are_one_message(victim: tuple[Player, Player]) -> None:
    bad, _ = victim
    raw(bad, frame(1, b'{"type":"ping",', fin=False) + frame(9, b"hi") + frame(0, b'"data":{"timestamp":5}}'))
    assert bad.until("pong")["data"]["timestamp"] == 5


@pytest.mark.parametrize(
    ("code", "row"), [(1000, "normal"), (1001, "client_going_away"), (4999, "other"), (None, "client_no_code")]
)
def test_a_clients_close_is_recorded_as_such(
    server: ServerProcess, victim: tuple[Player, Player], code: int | None, row: str
) -> None:
    bad, _ = victim
    connection = bad.received[0]["data"]["connection_id"]
    raw(bad, frame(8, b"" if code is None else struct.pack("!H", code) + b"bye"))
    record = server.wait_for_log("ws.closed", connection_id=connection)
    assert (record["reason"], record["initiator"], record["received_code"]) == (row, "client", code or 1005)


def test_messages_that_come_in_one_piece_with_the_close_are_handled(
    server: ServerProcess, victim: tuple[Player, Player]
) -> None:
    bad, good = victim
    connection = bad.received[0]["data"]["connection_id"]
    ping, ready = b'{"type":"ping","data":{"timestamp":1}}', b'{"type":"ready"}'
    raw(bad, frame(1, ping) + frame(1, b"nonsense") + frame(1, ready) + frame(8, struct.pack("!H", 4321)))
    record = server.wait_for_log("ws.closed", connection_id=connection)
    assert (record["received_code"], record["initiator"], record["messages_in"]) == (4321, "client", 3)
    assert good.until("player_ready")["data"]["status"] == "ready"


@pytest.mark.parametrize("reset", [False, True])
def test_a_peer_that_vanishes_is_1006(server: ServerProcess, victim: tuple[Player, Player], reset: bool) -> None:
    bad, good = victim
    connection = bad.received[0]["data"]["connection_id"]
    if reset:
        bad.ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    bad.drop()
    record = server.wait_for_log("ws.closed", connection_id=connection)
    assert (record["code"], record["reason"], record["initiator"]) == (1006, "connection_lost", "network")
    assert good.until("player_disconnected")["data"]["grace_until"] > 0


def test_who_keeps_sending_nonsense_is_closed(victim: tuple[Player, Player]) -> None:
    bad, good = victim
    for _ in range(11):
        bad.ws.send("nonsense")
    assert bad.until_closed() == (4400, "protocol_error")
    assert bad.received[-1]["type"] == "disconnect"
    assert bad.received[-1]["data"]["reconnect"] is False
    lives_on(good)


def receive_until(peer: socket.socket, mark: bytes) -> bytes:
    """All bytes up to and including those that hold `mark`."""
    received = b""
    while mark not in received:
        part = peer.recv(4096)
        assert part, "the server ended the socket"
        received += part
    return received


def test_the_server_waits_for_the_peers_close_frame_before_it_ends_the_socket(server: ServerProcess) -> None:
    """RFC 6455 section 7.1.1; a socket ended with unread bytes is reset, and the peer never sees the code."""
    guest = server.guest("ann")
    request = (
        f"GET /ws/{server.new_game(guest['token'])} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Authorization: Bearer {guest['token']}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), STEP_TIMEOUT_S) as peer:
        peer.sendall(request.encode())
        assert receive_until(peer, b"welcome").startswith(b"HTTP/1.1 101")
        peer.sendall(frame(2, b""))
        receive_until(peer, b"\x03\xebbinary_unsupported")
        peer.settimeout(0.5)
        with pytest.raises(TimeoutError):
            peer.recv(1)
        peer.sendall(frame(8, struct.pack("!H", 1003)))
        peer.settimeout(STEP_TIMEOUT_S)
        assert peer.recv(1) == b""


def test_submitted_code_is_in_no_output(server: ServerProcess) -> None:
    guest = server.guest("ann")
    secret = "hunter2_in_the_code"
    with Player(server, server.new_game(guest["token"], min_players=1), guest["token"]) as ann:
        ann.send("ready")
        ann.until("game_started")
        ann.send("submit_code", {"code": f"{secret} = 1\nraise ValueError({secret!r})"})
        ann.until("submission_result")
        ann.ws.send('{"type":"submit_code","data":{"code":"' + secret)
        ann.until("error")
        ann.send("submit_code", {"code": SOLUTION + f"# {secret}"})
        ann.until("game_finished")
    server.wait_for_log("ws.closed", player_id=guest["player_id"])
    output = "\n".join(server.lines) + server.stderr + fetch.get(f"{server.http_url}/metrics").text
    assert secret not in output


def test_series_do_not_depend_on_what_clients_send(server: ServerProcess) -> None:
    before = set(server.metrics())
    guest = server.guest("ann")
    with Player(server, server.new_game(guest["token"]), guest["token"]) as ann:
        for number in range(9):
            ann.send(f"odd-{number}", {})
        ann.until("error")
        ann.ws.close(4321, "odd")
    server.wait_for_log("ws.closed", received_code=4321)
    assert set(server.metrics()) == before
