"""HTTP: what is never whole, never read, too much, or no HTTP at all."""

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Final

from tests.attack.fight import Act, Fight
from tests.attack.model import Attack, Place
from tools.harness.wire import upgrade

MIB: Final = 2**20
_BLOCK: Final = b"x" * 65_536
_CHUNKED: Final = (
    b"POST /api/guests HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_TEST: Final = {"environment": "test"}
"""As in production limits by address hold; guests are admitted."""
_TOO_LARGE: Final = ("400", "408", "413", "431", "eof", "reset")


def _nothing(_: int = 0) -> bytes:
    return b""


def _get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def _post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def _endless(opening: bytes, piece: bytes, *, reads: bool = True, again: bool = False) -> Act:
    """Connections that send the opening, then the piece for ever."""

    def act(fight: Fight) -> None:
        fight.pour(_nothing, lambda _: chain((opening,), repeat(piece)), reads=reads, waits=False, again=again)

    return act


def _once(request: bytes, *, again: bool = False) -> Act:
    """Connections that send this, and hear the answer."""

    def act(fight: Fight) -> None:
        fight.pour(_nothing, lambda _: iter((request,)), waits=False, again=again)

    return act


def _bytewise(data: bytes) -> Act:
    """Connections that send this, a byte at a time."""

    def act(fight: Fight) -> None:
        fight.pour(_nothing, lambda _: (data[at : at + 1] for at in range(len(data))), waits=False)

    return act


def _flood(make: Callable[[Fight, int], bytes]) -> Act:
    """Requests one after the other, each when the one before is answered; ended connections are replaced."""

    def act(fight: Fight) -> None:
        fight.pour(_nothing, lambda number: repeat(make(fight, number)), waits=False, turns=True, again=True)

    return act


def _bearer(fight: Fight, number: int) -> str:
    return f"Authorization: Bearer {fight.token(number)}"


def _chunks(_: int) -> Iterator[bytes]:
    return chain((_CHUNKED,), repeat(b"1\r\nx\r\n" * 10_000))


def _one_byte_chunks(fight: Fight) -> None:
    fight.pour(_nothing, _chunks, waits=False, again=True)


def _both_ports(
    id: str, what: str, opening: bytes, piece: bytes, *, is_named: bool, seconds: float = 2.0, reads: bool = True
) -> list[Attack]:
    """The same stream to PORT and to OPS_PORT."""
    return [
        Attack(
            id=f"{id}-{place}",
            what=f"{what}, to {'PORT' if place is Place.MAIN else 'OPS_PORT'}",
            item=2,
            act=_endless(opening, piece, reads=reads),
            connections=2,
            most_bytes=400 * MIB,
            seconds=seconds,
            place=place,
            expect=_TOO_LARGE if reads else ("open", *_TOO_LARGE),
            is_named=is_named,
        )
        for place in (Place.MAIN, Place.OPS)
    ]


def _guests(_fight: Fight, _number: int) -> bytes:
    return _post("/api/guests", b'{"name":"x"}')


def _games(fight: Fight, number: int) -> bytes:
    return _post("/api/games", b"{}", _bearer(fight, number))


def _absolute_form(fight: Fight) -> None:
    """As a client behind a forward proxy asks (RFC 9112 section 3.2.2)."""
    for number in range(20):
        request = upgrade(f"http://localhost:{fight.port}/ws/{fight.game()}", _bearer(fight, number))
        fight.pour(lambda _, sent=request: sent, lambda _: iter(()))  # type: ignore[misc] # bound now
        return


_OBJECTS: Final = b'{"a":' * 10_000 + b"1" + b"}" * 10_000
_BAD: Final = {
    "http-no-host": ("no Host (RFC 9112 section 3.2)", b"GET /livez HTTP/1.1\r\n\r\n", True),
    "http-two-hosts": ("two Hosts (section 3.2)", b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", True),
    "http-both-lengths": (
        "Content-Length beside Transfer-Encoding (section 6.1), as in request smuggling",
        b"POST /api/guests HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
        False,
    ),
    "http-two-lengths": (
        "two different Content-Lengths (section 6.3)",
        b"POST /api/guests HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        False,
    ),
    "http-chunk-size": (
        "a chunk size that no number holds",
        _CHUNKED + b"f" * 32 + b"\r\n",
        False,
    ),
    "http-bare-lf-header": (
        "a space before the colon (section 5.1)",
        b"GET /livez HTTP/1.1\r\nHost : a\r\n\r\n",
        False,
    ),
    "http-upgrade-1-0": (
        "an upgrade by HTTP/1.0 (RFC 6455 section 4.1)",
        upgrade("/ws/00000000-0000-4000-8000-000000000000").replace(b"HTTP/1.1", b"HTTP/1.0"),
        False,
    ),
    "http-garbage": ("bytes that are no HTTP", bytes(range(128, 256)) * 8, False),
}

ATTACKS: Final = (
    *_both_ports("http-chunk-extension", "a chunk extension without an end", _CHUNKED + b"1;", _BLOCK, is_named=True),
    *_both_ports(
        "http-trailers",
        "trailers without an end",
        _CHUNKED + b"2\r\n{}\r\n0\r\n",
        b"x-trailer: " + b"y" * 1_000 + b"\r\n",
        is_named=True,
    ),
    *_both_ports(
        "http-pipelining-unread",
        "pipelined requests whose answers nobody reads",
        b"",
        _get("/livez") * 500,
        is_named=True,
        reads=False,
    ),
    *_both_ports(
        "http-huge-head", "a header without an end", b"GET / HTTP/1.1\r\nHost: a\r\nx: ", _BLOCK, is_named=False
    ),
    *_both_ports(
        "http-long-target", "a request target without an end", b"GET /", b"x" * 65_536, is_named=False, seconds=1.0
    ),
    *_both_ports(
        "http-blank-lines", "blank lines without an end before a request", b"", b"\r\n" * 32_768, is_named=False
    ),
    Attack(
        id="http-many-headers",
        what="headers of two bytes without an end",
        item=2,
        act=_endless(b"GET / HTTP/1.1\r\nHost: a\r\n", b"a:\r\n" * 16_384, again=True),
        connections=2,
        opened=400,
        seconds=1.0,
        most_bytes=64 * MIB,
        expect=_TOO_LARGE,
    ),
    Attack(
        id="http-pipelining",
        what="pipelined requests of the page, whose answers are read",
        item=2,
        act=_endless(b"", _get("/") * 100),
        connections=4,
        most_bytes=8 * MIB,
        expect=("200", "429", "eof"),
    ),
    Attack(
        id="http-unread-answers",
        what="the largest answer is asked for, and never read",
        item=2,
        act=_endless(b"", _get("/schema/openapi.json") * 4, reads=False),
        connections=100,
        per_second=20.0,
        most_bytes=4 * MIB,
        seconds=3.0,
        expect=("open", "reset", "eof"),
        is_named=True,
    ),
    Attack(
        id="http-nested-arrays",
        what="a body of 50,000 nested arrays",
        item=2,
        act=_flood(lambda _, __: _post("/api/guests", b"[" * 50_000)),
        connections=2,
        opened=400,
        per_second=50.0,
        seconds=1.0,
        expect=("400", "413", "429"),
        is_named=True,
    ),
    Attack(
        id="http-nested-objects",
        what="a body of 10,000 nested objects",
        item=2,
        act=_flood(lambda fight, number: _post("/api/games", _OBJECTS, _bearer(fight, number))),
        connections=2,
        opened=400,
        per_second=50.0,
        seconds=1.0,
        expect=("400", "413", "429"),
        is_named=True,
    ),
    Attack(
        id="http-slow-head",
        what="a head of which a byte comes every tenth of a second",
        item=2,
        act=_bytewise(_get("/", "x: " + "y" * 200)),
        connections=200,
        per_second=10.0,
        seconds=3.0,
        settings={"handshake_timeout_s": 1.5},
        expect=("408", "eof"),
        counts=("code_racer_http_rejected_total",),
    ),
    Attack(
        id="http-slow-head-ops",
        what="the same, to OPS_PORT",
        item=2,
        act=_bytewise(_get("/livez", "x: " + "y" * 200)),
        connections=200,
        per_second=10.0,
        seconds=3.0,
        settings={"handshake_timeout_s": 1.5},
        place=Place.OPS,
        expect=("408", "eof"),
    ),
    Attack(
        id="http-slow-body",
        what="a body of which a byte comes every tenth of a second",
        item=2,
        act=_bytewise(_post("/api/guests", b'{"name":"' + b"y" * 200 + b'"}')),
        connections=200,
        per_second=10.0,
        seconds=3.0,
        settings={"handshake_timeout_s": 1.5},
        expect=("408", "eof"),
    ),
    Attack(
        id="http-silent",
        what="connections that send nothing",
        item=2,
        act=_bytewise(b""),
        connections=500,
        seconds=3.0,
        settings={"handshake_timeout_s": 1.5},
        expect=("408", "eof"),
    ),
    Attack(
        id="http-kept-and-silent",
        what="one request, then nothing",
        item=2,
        act=_once(_get("/api/problems")),
        connections=300,
        expect=("200",),
    ),
    Attack(
        id="http-garbage-behind",
        what="a request, and bytes that are no HTTP behind it",
        item=2,
        act=_once(_get("/api/problems") + b"\x00"),
        connections=100,
        seconds=1.0,
        expect=("200", "400"),
    ),
    *(
        Attack(
            id=id,
            what=what,
            item=2,
            act=_once(request, again=True),
            connections=4,
            opened=400,
            seconds=0.5,
            expect=("400", "505") if "1-0" in id else ("400",),
            never=("500", "101", "200", "204"),
            is_named=is_named,
        )
        for id, (what, request, is_named) in _BAD.items()
    ),
    Attack(
        id="http-absolute-form",
        what="an upgrade whose target is in absolute form must be served (RFC 9112 section 3.2.2)",
        item=2,
        act=_absolute_form,
        seconds=0.5,
        expect=("101",),
        never=("500", "400", "404"),
        is_named=True,
    ),
    Attack(
        id="http-one-byte-chunks",
        what="a body in chunks of one byte",
        item=2,
        act=_one_byte_chunks,
        connections=4,
        opened=400,
        most_bytes=64 * MIB,
        expect=("400", "413", "429", "eof", "reset"),
    ),
    Attack(
        id="http-huge-body",
        what="a body of 10 GB is announced, and sent as far as it is taken",
        item=2,
        act=_endless(_post("/api/guests", b"").replace(b"Length: 0", b"Length: 10000000000"), _BLOCK, again=True),
        connections=2,
        opened=200,
        most_bytes=256 * MIB,
        seconds=1.0,
        expect=("400", "413", "429", "eof", "reset"),
    ),
    Attack(
        id="http-guest-flood",
        what="guests are asked for as fast as they are given",
        item=2,
        act=_flood(_guests),
        connections=20,
        opened=20_000,
        most_bytes=16 * MIB,
        settings=_TEST,
        expect=("429",),
        counts=("code_racer_ws_rate_limited_total",),
    ),
    Attack(
        id="http-game-flood",
        what="60 players make games as fast as they are made",
        item=2,
        act=_flood(_games),
        connections=60,
        opened=20_000,
        players=60,
        most_bytes=16 * MIB,
        settings=_TEST,
        expect=("429",),
        is_named=True,
    ),
    Attack(
        id="http-forged-tokens",
        what="requests with forged tokens",
        item=2,
        act=_flood(lambda fight, number: _post("/api/games", b"{}", _bearer(fight, number) + "x")),
        connections=20,
        opened=20_000,
        most_bytes=16 * MIB,
        settings=_TEST,
        expect=("401", "429"),
    ),
    Attack(
        id="http-unknown-games",
        what="games that do not exist are asked for",
        item=2,
        act=_flood(
            lambda fight, number: _get(f"/api/games/00000000-0000-4000-8000-{number:012}", _bearer(fight, number))
        ),
        connections=20,
        opened=20_000,
        most_bytes=16 * MIB,
        settings=_TEST,
        expect=("404", "429"),
    ),
    Attack(
        id="http-page-flood",
        what="the page is asked for as fast as it is served",
        item=2,
        act=_flood(lambda _, __: _get("/")),
        connections=20,
        opened=20_000,
        most_bytes=16 * MIB,
        expect=("200", "429"),
    ),
    Attack(
        id="http-schema-flood",
        what="the OpenAPI document is asked for as fast as it is made",
        item=2,
        act=_flood(lambda _, __: _get("/schema/openapi.json")),
        connections=20,
        opened=20_000,
        most_bytes=16 * MIB,
        expect=("200", "429"),
    ),
    Attack(
        id="http-metrics-flood",
        what="/metrics is asked for as fast as it is made",
        item=2,
        act=_flood(lambda _, __: _get("/metrics")),
        connections=20,
        opened=20_000,
        most_bytes=16 * MIB,
        expect=("200", "429"),
    ),
    Attack(
        id="http-connect-churn",
        what="a connection for each request",
        item=2,
        act=_once(_get("/api/problems", "Connection: close"), again=True),
        connections=20,
        opened=10_000,
        expect=("200", "429"),
    ),
    Attack(
        id="http-diagnoses",
        what="plain GETs of a game's URL, which answer what an upgrade would",
        item=2,
        act=_flood(lambda fight, number: _get(f"/ws/{fight.game()}", _bearer(fight, number))),
        connections=20,
        opened=20_000,
        most_bytes=16 * MIB,
        settings=_TEST,
        expect=("426", "429", "503"),
    ),
)
