"""permessage-deflate (RFC 7692) against both transports; the cases follow groups 12 and 13 of the Autobahn suite."""

import json
import socket
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transport.deflate import Deflate, inflate
from app.transport.framing import TEXT, FrameReader, Violation, text_frame
from tools.harness.server import STEP_TIMEOUT_S, ServerProcess
from tools.harness.tokens import token
from tools.harness.wire import CLOSE, PING, PONG, frame, upgrade

MAX_MESSAGE = 66_000
MIN_BYTES = 200
CONT = 0
OFFER = "permessage-deflate; client_max_window_bits"
DEFLATED = 4
"""The first of the three reserved bits."""


@pytest.fixture(scope="module", params=["lean", "uvicorn"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {
        "ws_transport": request.param,
        "ws_deflate": True,
        "ws_deflate_min_bytes": MIN_BYTES,
        "max_message_bytes": MAX_MESSAGE,
        "max_games_per_player": 1_000,
        "api_requests_per_player_per_second": 0,
    }
    with ServerProcess(tmp_path_factory.mktemp("deflate"), close_timeout_s=2, **settings) as process:
        yield process


@dataclass
class Peer:
    """A socket, what was answered to the upgrade, and frames as they are."""

    socket: socket.socket
    stream: BinaryIO
    answer: dict[str, str]

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def next(self) -> tuple[int, bytes]:
        """The first byte and the payload of the next frame."""
        first, length = self.stream.read(2)
        if length >= 126:
            length = int.from_bytes(self.stream.read(2 if length == 126 else 8), "big")
        return first, self.stream.read(length)

    def until(self, first: int) -> bytes:
        """The payload of the next frame that begins so."""
        while True:
            found, payload = self.next()
            if found == first:
                return payload

    def next_message(self, type: str) -> tuple[bool, dict[str, object]]:
        """Whether the next message of this type was compressed, and the message."""
        while True:
            first, payload = self.next()
            assert first & 0x0F == TEXT
            compressed = bool(first & 0x40)
            message = json.loads(plain(payload) if compressed else payload)
            if message["type"] == type:
                return compressed, message


Connect = Callable[[str | None], Peer]
"""Makes a connection with an offer of extensions."""


@pytest.fixture
def connect(server: ServerProcess) -> Iterator[Connect]:
    with ExitStack() as stack:

        def make(offer: str | None) -> Peer:
            mine = token("ann")
            offers = [] if offer is None else [f"Sec-WebSocket-Extensions: {offer}"]
            address = ("127.0.0.1", int(server.settings["PORT"]))
            one = stack.enter_context(socket.create_connection(address, STEP_TIMEOUT_S))
            one.sendall(upgrade(f"/ws/{server.new_game(mine)}", f"Authorization: Bearer {mine}", *offers))
            stream = stack.enter_context(one.makefile("rb"))
            lines = iter(stream.readline, b"\r\n")
            status = next(lines).split()[1].decode()
            pairs = (line.decode().strip().split(": ", 1) for line in lines)
            return Peer(one, stream, {"status": status, **{name.lower(): value for name, value in pairs}})

        yield make


def packed(message: bytes, bits: int = 15) -> bytes:
    """A compressed message, as a client makes it."""
    codec = zlib.compressobj(wbits=-bits)
    return (codec.compress(message) + codec.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


def plain(payload: bytes, bits: int = 12) -> bytes:
    """A message of the server; its window is no larger than what it has told."""
    return zlib.decompressobj(wbits=-bits).decompress(payload + b"\x00\x00\xff\xff")


def ping(number: int, size: int = 0) -> bytes:
    return (b'{"type":"ping","data":{"timestamp":%d}}' % number).ljust(size)


def timestamp(message: dict[str, object]) -> object:
    data = message["data"]
    assert isinstance(data, dict)
    return data["timestamp"]


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        OFFER,
        "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=15",
        "permessage-deflate; server_max_window_bits=9, permessage-deflate",
        "x-unknown, permessage-deflate",
    ],
)
def test_an_offer_is_accepted_without_context_takeover(connect: Connect, offer: str) -> None:
    answer = connect(offer).answer
    assert answer["status"] == "101"
    parts = {part.strip() for part in answer["sec-websocket-extensions"].split(";")}
    wanted = {"permessage-deflate", "server_no_context_takeover", "client_no_context_takeover"}
    assert parts == {*wanted, "server_max_window_bits=12"}


@pytest.mark.parametrize(
    "offer",
    [
        None,
        "x-webkit-deflate-frame",
        "permessage-deflate; server_max_window_bits=9",
        "permessage-deflate; no_such_parameter",
        "permessage-deflate; server_max_window_bits=99",
    ],
)
def test_other_offers_are_passed_over_and_nothing_is_compressed(connect: Connect, offer: str | None) -> None:
    peer = connect(offer)
    assert peer.answer["status"] == "101"
    assert "sec-websocket-extensions" not in peer.answer
    assert peer.next_message("welcome")[0] is False
    peer.say(frame(TEXT, packed(ping(1)), reserved=DEFLATED))
    assert int.from_bytes(peer.until(0x80 | CLOSE)[:2], "big") == 1002


def test_a_malformed_offer_is_no_handshake(connect: Connect) -> None:
    assert connect("permessage-deflate;;").answer["status"] == "400"


def test_large_messages_are_compressed_and_small_ones_are_not(connect: Connect) -> None:
    peer = connect(OFFER)
    compressed, welcome = peer.next_message("welcome")
    assert compressed
    assert len(json.dumps(welcome)) > MIN_BYTES
    peer.say(frame(TEXT, ping(1)))
    assert peer.next_message("pong")[0] is False


@pytest.mark.parametrize(
    "pieces",
    [
        [frame(TEXT, packed(ping(1)), reserved=DEFLATED)],
        [frame(TEXT, packed(ping(1), 9), reserved=DEFLATED)],
        [frame(TEXT, packed(ping(1, MAX_MESSAGE)), reserved=DEFLATED)],
        [
            frame(TEXT, packed(ping(1))[:7], reserved=DEFLATED, fin=False),
            frame(PING, b"now"),
            frame(CONT, packed(ping(1))[7:]),
        ],
        [frame(TEXT, b"\x00" + len(ping(1)).to_bytes(2, "little") + bytes([217, 255]) + ping(1) + b"\x00", reserved=4)],
    ],
    ids=["whole", "small window", "as long as can be", "fragments", "a stored block"],
)
def test_compressed_messages_are_understood(connect: Connect, pieces: list[bytes]) -> None:
    peer = connect(OFFER)
    peer.next_message("welcome")
    peer.say(*pieces)
    heard = peer.next()
    while heard[0] != 0x80 | TEXT or b'"pong"' not in heard[1]:
        assert heard[0] in {0x80 | TEXT, 0xC0 | TEXT, 0x80 | PONG}
        heard = peer.next()
    assert timestamp(json.loads(heard[1])) == 1


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ([frame(TEXT, ping(1)[:5], fin=False), frame(CONT, ping(1)[5:], reserved=DEFLATED)], 1002),
        ([frame(PING, b"", reserved=DEFLATED)], 1002),
        ([frame(TEXT, packed(ping(1)), reserved=6)], 1002),
        ([frame(TEXT, b"\xff\xff\xff\xff", reserved=DEFLATED)], 1002),
        ([frame(TEXT, packed(b" " * (MAX_MESSAGE + 1)), reserved=DEFLATED)], 1009),
        ([frame(TEXT, packed(bytes(200_000_000)), reserved=DEFLATED)], 1009),
        ([frame(TEXT, packed(b"\xff"), reserved=DEFLATED)], 1007),
        ([frame(2, packed(b"x"), reserved=DEFLATED)], 1003),
    ],
    ids=["on a continuation", "on a ping", "with another bit", "corrupt", "too long", "a bomb", "no UTF-8", "binary"],
)
def test_what_may_not_be_compressed_ends_the_connection(connect: Connect, pieces: list[bytes], code: int) -> None:
    peer = connect(OFFER)
    peer.next_message("welcome")
    peer.say(*pieces)
    assert int.from_bytes(peer.until(0x80 | CLOSE)[:2], "big") == code


@given(st.binary(max_size=2_000) | st.text(max_size=2_000).map(str.encode))
def test_what_is_compressed_is_what_was_said(message: bytes) -> None:
    deflate = Deflate(0)
    made = text_frame(message)
    wire = deflate.wire(made)
    assert len(wire) <= len(made.wire)
    assert deflate.wire(made) is wire, "once for all"
    masked = frame(TEXT, wire[len(wire) - _size(wire) :], reserved=wire[0] >> 4 & 7)
    reader = FrameReader(len(message), inflate)
    reader.feed(masked)
    received = reader.next()
    assert received is not None
    assert received.payload == message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_violation(payload: bytes) -> None:
    try:
        assert len(inflate(payload, 1_000)) <= 1_000
    except Violation as violation:
        assert violation.code in {1002, 1009}


def _size(wire: bytes) -> int:
    return wire[1] if wire[1] < 126 else int.from_bytes(wire[2:4], "big")


def test_a_bomb_is_not_held_to_be_measured() -> None:
    bomb = packed(bytes(20_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(Violation):
            inflate(bomb, 1_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
