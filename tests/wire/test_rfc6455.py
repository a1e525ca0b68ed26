"""RFC 6455 on the wire, case by case, against both transports: what each answers to exactly these bytes.

The cases follow the sections of the Autobahn suite (framing, pings, reserved bits, opcodes, fragments, UTF-8, closing,
limits), whose runner wants a Python that is hardly to be had any more; `docs/wire.md` says how to run it where it is.
"""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tools.harness.server import STEP_TIMEOUT_S, ServerProcess
from tools.harness.tokens import token
from tools.harness.wire import CLOSE, PING, PONG, TEXT, close_frame, frame, frames, upgrade

MAX_MESSAGE = 66_000
CONT = 0
FAREWELL = 999
Heard = list[tuple[int, Any]]


@pytest.fixture(scope="module", params=["lean", "uvicorn"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {
        "ws_transport": request.param,
        "max_message_bytes": MAX_MESSAGE,
        "bytes_burst": 10**9,
        "max_games_per_player": 1_000,
        "api_requests_per_player_per_second": 0,
    }
    with ServerProcess(tmp_path_factory.mktemp("wire"), close_timeout_s=2, **settings) as process:
        yield process


def hear(server: ServerProcess, pieces: list[bytes], *, farewell: bool) -> Heard:
    """Send these, and a farewell; the answers: pongs' time stamps, control frames, and the close code at last."""
    mine = token("ann")
    game_id = server.new_game(mine)
    with socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), STEP_TIMEOUT_S) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.sendall(upgrade(f"/ws/{game_id}", f"Authorization: Bearer {mine}"))
        heard: Heard = []
        with one.makefile("rb") as stream:
            answers = frames(stream)
            assert next(answers)[1].startswith(b'{"type":"welcome"')
            for piece in pieces:
                one.sendall(piece)
            if farewell:
                one.sendall(frame(TEXT, message(FAREWELL)))
            for opcode, payload in answers:
                if opcode == CLOSE:
                    heard.append((CLOSE, int.from_bytes(payload[:2], "big") if payload else None))
                elif opcode != TEXT:
                    heard.append((opcode, payload))
                elif json.loads(payload)["type"] == "pong":
                    heard.append((TEXT, json.loads(payload)["data"]["timestamp"]))
                if heard and heard[-1] == (TEXT, FAREWELL):
                    return heard[:-1]
        return heard


def message(number: int, size: int = 0, extra: bytes = b"") -> bytes:
    """A ``ping`` message, padded to `size` bytes."""
    text = b'{"type":"ping","data":{"timestamp":%d},"x":"%s"}' % (number, extra)
    return text + b" " * (size - len(text))


def octets(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


GOOD, BAD_WIRE, BAD_TEXT, BIG = [(TEXT, 1)], [(CLOSE, 1002)], [(CLOSE, 1007)], [(CLOSE, 1009)]
CASES: dict[str, tuple[list[bytes], Heard]] = {
    # framing
    **{f"text of {size}": ([frame(TEXT, message(1, size))], GOOD) for size in (125, 126, 127, 128, 65_535, 65_536)},
    "octet by octet": (octets(frame(TEXT, message(1))), GOOD),
    "octet by octet, two length bytes": (octets(frame(TEXT, message(1, 130))), GOOD),
    "several in one piece": ([b"".join(frame(TEXT, message(n)) for n in range(20))], [(TEXT, n) for n in range(20)]),
    "one and a half, then the rest": (
        [(whole := frame(TEXT, message(1)) + frame(TEXT, message(2)))[:70], whole[70:]],
        [(TEXT, 1), (TEXT, 2)],
    ),
    "unmasked": ([frame(TEXT, message(1), masked=False)], BAD_WIRE),
    # pings
    "empty ping": ([frame(PING, b"")], [(PONG, b"")]),
    "ping of 125": ([frame(PING, b"x" * 125)], [(PONG, b"x" * 125)]),
    "ping of binary": ([frame(PING, bytes(range(250, 256)))], [(PONG, bytes(range(250, 256)))]),
    "ping of 126": ([frame(PING, b"x" * 126)], BAD_WIRE),
    "pong nobody asked for": ([frame(PONG, b""), frame(PONG, b"payload"), frame(TEXT, message(1))], GOOD),
    "ten pings": ([b"".join(frame(PING, b"%d" % n) for n in range(10))], [(PONG, b"%d" % n) for n in range(10)]),
    "ping octet by octet": (octets(frame(PING, b"slow")), [(PONG, b"slow")]),
    # reserved bits and opcodes
    **{f"reserved bits {bits}, text": ([frame(TEXT, message(1), reserved=bits)], BAD_WIRE) for bits in range(1, 8)},
    **{f"reserved bits {bits}, ping": ([frame(PING, b"", reserved=bits)], BAD_WIRE) for bits in (1, 2, 4)},
    "reserved bits, close": ([frame(CLOSE, b"", reserved=7)], BAD_WIRE),
    **{f"opcode {code}": ([frame(code, b"")], BAD_WIRE) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "a message, then opcode 5": ([frame(TEXT, message(1)) + frame(5, b"")], [*GOOD, *BAD_WIRE]),
    # fragments
    "ping in fragments": ([frame(PING, b"", fin=False), frame(CONT, b"")], BAD_WIRE),
    "pong in fragments": ([frame(PONG, b"", fin=False), frame(CONT, b"")], BAD_WIRE),
    "two fragments": ([frame(TEXT, message(1)[:9], fin=False), frame(CONT, message(1)[9:])], GOOD),
    "two fragments in one piece": ([frame(TEXT, message(1)[:9], fin=False) + frame(CONT, message(1)[9:])], GOOD),
    "fragments of an octet each": (
        [
            frame(TEXT, message(1)[:1], fin=False),
            *(frame(CONT, one, fin=False) for one in octets(message(1)[1:])),
            frame(CONT, b""),
        ],
        GOOD,
    ),
    "empty fragments": (
        [frame(TEXT, b"", fin=False), frame(CONT, b"", fin=False), frame(CONT, message(1))],
        GOOD,
    ),
    "ping between fragments": (
        [frame(TEXT, message(1)[:9], fin=False), frame(PING, b"now"), frame(CONT, message(1)[9:])],
        [(PONG, b"now"), *GOOD],
    ),
    "continuation of nothing": ([frame(CONT, b"x")], BAD_WIRE),
    "continuation of nothing, not final": ([frame(CONT, b"x", fin=False)], BAD_WIRE),
    "text within text": ([frame(TEXT, b"{", fin=False) + frame(TEXT, message(1))], BAD_WIRE),
    "binary within text": ([frame(TEXT, b"{", fin=False) + frame(2, b"x")], BAD_WIRE),
    "continuation after the last": ([frame(TEXT, message(1)) + frame(CONT, b"x")], [*GOOD, *BAD_WIRE]),
    # UTF-8
    **{
        f"valid UTF-8 {text!a}": ([frame(TEXT, message(1, extra=text.encode()))], GOOD)
        for text in ("κόσμε", "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\uffff", "\U00010000",
                     "\U0001fffe", "\U0010ffff")
    },
    "a character over two fragments": (
        [frame(TEXT, (parted := message(1, extra="€".encode()))[:-4], fin=False), frame(CONT, parted[-4:])],
        GOOD,
    ),
    **{
        f"invalid UTF-8 {bad.hex()}": ([frame(TEXT, message(1, extra=bad))], BAD_TEXT)
        for bad in (b"\x80", b"\xbf", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
                    b"\xf0\x80\x80\xaf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff", b"\xe2\x82")
    },
    "text that ends within a character": ([frame(TEXT, message(1) + b"\xe2\x82")], BAD_TEXT),
    "small text that ends within a character": ([frame(TEXT, b"\xe2\x82")], BAD_TEXT),
    "fragments that end within a character": ([frame(TEXT, b"{", fin=False), frame(CONT, b"\xe2\x82")], BAD_TEXT),
    # closing
    "close without a code": ([close_frame(None)], [(CLOSE, None)]),
    **{
        f"close {code}": ([close_frame(code)], [(CLOSE, code)])
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
    },
    **{
        f"close {code}, which is never sent": ([close_frame(code)], BAD_WIRE)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
    },
    "close with a reason of 123": ([close_frame(1000, b"x" * 123)], [(CLOSE, 1000)]),
    "close with a reason of 124": ([close_frame(1000, b"x" * 124)], BAD_WIRE),
    "close with half a code": ([frame(CLOSE, b"\x03")], BAD_WIRE),
    "close with a reason that is no UTF-8": ([close_frame(1000, b"\xff")], BAD_TEXT),
    "close twice": ([close_frame(1000) + close_frame(1001)], [(CLOSE, 1000)]),
    "a message after the close": ([close_frame(1000) + frame(TEXT, message(1))], [(CLOSE, 1000)]),
    "a ping after the close": ([close_frame(1000) + frame(PING, b"late")], [(CLOSE, 1000)]),
    "a close amid fragments": (
        [frame(TEXT, b"{", fin=False) + close_frame(1000) + frame(CONT, b"}")],
        [(CLOSE, 1000)],
    ),
    "messages, then a close, in one piece": ([frame(TEXT, message(1)) + close_frame(1000)], [*GOOD, (CLOSE, 1000)]),
    "close octet by octet": (octets(close_frame(1000, b"bye")), [(CLOSE, 1000)]),
    # limits
    "the longest message": ([frame(TEXT, message(1, MAX_MESSAGE))], GOOD),
    "one byte too long": ([frame(TEXT, message(1, MAX_MESSAGE + 1))], BIG),
    "too long, seen by its head": ([frame(TEXT, message(1, 70_000))[:14]], BIG),
    "too long in fragments": ([frame(TEXT, b" " * 40_000, fin=False) + frame(CONT, b" " * 40_000, fin=False)], BIG),
    "longer than can be": ([bytes([0x81, 0xFF, 0x7F, *b"\xff" * 7, *b"mask"])], BIG),
    "binary": ([frame(2, b"x")], [(CLOSE, 1003)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_what_the_rfc_says(server: ServerProcess, name: str) -> None:
    pieces, expected = CASES[name]
    ends = any(opcode == CLOSE for opcode, _ in expected)
    assert hear(server, pieces, farewell=not ends) == expected
