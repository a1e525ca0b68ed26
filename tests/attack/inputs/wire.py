"""The wire: frames that are no messages, messages without an end, peers that do not read, or break the rules."""

import json
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from itertools import chain, cycle, repeat
from typing import Final

from tests.attack.fight import Act, Fight, always, message
from tests.attack.model import BOTH, LEAN, Attack, Place
from tools.harness.wire import PING, PONG, TEXT, close_frame, frame

MIB: Final = 2**20
_LIMITED: Final = ("4429", "reset", "eof")
_SLOWED: Final = ("open", *_LIMITED)
"""Who sends what completes no message is read no faster than it may send; who goes on is ended."""
_CONTROL: Final = ('code_racer_ws_rate_limited_total{mode="enforced",scope="control_frames"}',)
_BINARY: Final = 2
_BUSY: Final = 10
_SEVERAL: Final = 20
_CONTINUATION: Final = 0
_EMPTY: Final = frame(_CONTINUATION, b"", fin=False) * 4_000
_CHATTER: Final = message("ping", {"timestamp": 1}, id="x" * 64)


def _endless(piece: bytes, *, first: bytes = b"", reads: bool = True, again: bool = False) -> Act:
    """Players who send `first`, then the piece for ever."""

    def act(fight: Fight) -> None:
        fight.pour(fight.opening, lambda _: chain((first,) if first else (), repeat(piece)), reads=reads, again=again)

    return act


def _before_login(piece: bytes, *, first: bytes = b"") -> Act:
    """The same of peers that have not said who they are."""

    def act(fight: Fight) -> None:
        fight.pour(fight.anonymous, lambda _: chain((first,) if first else (), repeat(piece)), again=True)

    return act


def _bytewise(data: bytes) -> Act:
    """Players who send this for ever, a byte at a time."""
    return lambda fight: fight.pour(fight.opening, lambda _: (bytes((one,)) for one in cycle(data)))


def _deflated(payload: bytes) -> bytes:
    """A compressed text frame (RFC 7692 section 7.2.1)."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return frame(TEXT, data[:-4], reserved=4)


def _with_deflate(piece: bytes) -> Act:
    """Players who have offered compression."""

    def act(fight: Fight) -> None:
        def opening(number: int) -> bytes:
            return fight.opening(number, "Sec-WebSocket-Extensions: permessage-deflate")

        fight.pour(opening, always(piece), again=True)

    return act


def _behind_the_upgrade(fight: Fight) -> None:
    """Frames follow the request before it is answered."""
    fight.pour(lambda number: fight.opening(number) + _CHATTER * 500, always(_CHATTER * 500), waits=False, again=True)


def _wrong_token(fight: Fight) -> None:
    def opening(number: int) -> bytes:
        return fight.opening(number).replace(b"Bearer ", b"Bearer x")

    fight.pour(opening, lambda _: iter(()), again=True)


def _comes_and_goes(fight: Fight) -> None:
    """Upgrades whose peer has gone when they are answered."""
    fight.pour(fight.opening, lambda _: iter((close_frame(1000),)), again=True)


def _log_in_flood(fight: Fight) -> None:
    pieces = message("auth", {"token": "x" * 4_000})
    fight.pour(fight.anonymous, always(pieces), again=True)


def _half_closed(fight: Fight) -> None:
    """The way out is shut behind the upgrade; the peer goes on reading."""
    for number in range(fight.attack.connections):
        one = fight.talker(token=fight.token(number))
        one.sock.shutdown(socket.SHUT_WR)
    fight.until_over()
    fight.tally.seen["open"] += 1


def _resumes(fight: Fight) -> Iterator[None]:
    """A long game is played again from its beginning, again and again, by players who come and go."""
    first = fight.talker(token=fight.token(0))
    for number in range(300):
        first.say("ready", {"status": "ready" if number % 2 else "not_ready"})
        first.drain()
        time.sleep(0.003)
    yield
    fight.pour(
        lambda number: fight.opening(1 + number % 20, query="?last_seq=0"),
        lambda _: iter((close_frame(1000),)),
        again=True,
    )


def _replaces(fight: Fight) -> None:
    """One player connects again and again, over the connection before."""
    for number in fight.paced():
        if number >= fight.attack.most_opened:
            break
        fight.talker(token=fight.token(0))
    fight.until_over()


def _violates_and_resets(fight: Fight) -> Iterator[None]:
    """Frames, a violation, a reset, while events of their game flow: the way out is shut when an event comes."""
    busy = [fight.talker(token=fight.token(number)) for number in range(_BUSY)]
    yield
    violation = frame(TEXT, b"\xff\xfe")
    reset = struct.pack("ii", 1, 0)
    for number in fight.paced():
        if fight.tally.opened >= fight.attack.most_opened:
            break
        several = [fight.talker(token=fight.token(_BUSY + (number + one * 4) % 80)) for one in range(_SEVERAL)]
        for player in busy:
            player.say("ready", {"status": "ready" if number % 2 else "not_ready"})
        for index, one in enumerate(several):
            one.send(message("ready", {"status": "ready" if index % 2 else "not_ready"}) + violation)
            one.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            one.sock.close()
        for player in busy:
            player.drain()
    fight.tally.seen["done"] += 1


def _pings_unread(fight: Fight) -> None:
    """Pings of a peer that reads nothing for a second, then all: the last one must have its pong."""
    one = fight.talker(small=True)
    one.sock.setblocking(False)
    sent, pending = 0, b""
    while time.monotonic() < fight.ends - 1 and sent < 4_000:
        pending = pending or frame(PING, b"%08d" % sent + b"x" * 117)
        try:
            count = one.sock.send(pending)
        except BlockingIOError:
            time.sleep(0.01)
            continue
        except OSError:
            break
        fight.tally.sent += count
        pending = pending[count:]
        sent += not pending
    one.sock.settimeout(0.5)
    heard = b""
    try:
        while data := one.sock.recv(262_144):
            heard = heard[-65_536:] + data
    except OSError:
        pass
    fight.tally.pieces += sent
    fight.tally.seen[
        "last pong" if b"%08d" % (sent - 1) in heard else "4429" if b"\x11\x4d" in heard else "no pong"
    ] += 1


def _violation_then_more(fight: Fight) -> None:
    """A violation, and then on and on, as one does who has not read the close frame yet: the code must arrive."""
    for number in range(20):
        one = fight.talker(token=fight.token(number))
        one.send(frame(TEXT, b"\xff\xfe"))
        for _ in range(20):
            if not one.send(_CHATTER):
                break
            time.sleep(0.002)
        one.wait("never", 1.0)
        fight.tally.seen["told" if one.code == 1007 else "untold"] += 1
    if fight.aim.is_sink:
        fight.tally.seen["told"] += 1


def _batch(item: dict[str, object], size: int = 50) -> bytes:
    return message("batch", [item] * size)


_UNFINISHED: Final = frame(TEXT, b"x" * 60_000)[:-1]
_NESTED: Final = frame(TEXT, b'{"type":"progress","data":' + b"[" * 60_000)
_LONG: Final = json.dumps({"type": "ping", "data": {"timestamp": 1}, "pad": "x" * 60_000}).encode()
_TYPES: Final = b"".join(message(f"type-{number}") for number in range(100))
_FRAGMENTS: Final = frame(TEXT, b'"', fin=False) + frame(_CONTINUATION, b"x", fin=False) * 3_000
_BOMB: Final = _deflated(b" " * 60 * MIB)
_SWOLLEN: Final = _deflated(b'{"type":"ping","data":{"timestamp":1},"pad":"' + b" " * 60_000 + b'"}')
_DEFLATE: Final = {"ws_deflate": True}


def _flood(id: str, what: str, act: Act, *, is_named: bool = False, **more: object) -> Attack:
    """On both transports."""
    fields: dict[str, object] = {
        "item": 3, "connections": 1, "opened": 40, "players": 40, "most_bytes": 64 * MIB, "expect": _LIMITED,
        "transports": BOTH,
    }  # fmt: skip
    return Attack(id=id, what=what, act=act, is_named=is_named, **(fields | more))  # type: ignore[arg-type] # of many types


ATTACKS: Final = (
    _flood(
        "ws-pings",
        "pings, as fast as they are taken",
        _endless(frame(PING, b"") * 4_000),
        is_named=True,
        seconds=3.0,
        expect=_SLOWED,
        counts=_CONTROL,
    ),
    _flood(
        "ws-long-pings", "pings of 125 bytes", _endless(frame(PING, b"x" * 125) * 400), expect=_SLOWED, counts=_CONTROL
    ),
    _flood(
        "ws-pings-before-login",
        "pings of somebody who has not said who they are",
        _before_login(frame(PING, b"") * 4_000),
        is_named=True,
        expect=_SLOWED,
        counts=_CONTROL,
    ),
    _flood(
        "ws-pongs", "pongs that nobody asked for", _endless(frame(PONG, b"") * 4_000), expect=_SLOWED, counts=_CONTROL
    ),
    _flood(
        "ws-pongs-before-login",
        "the same before login",
        _before_login(frame(PONG, b"") * 4_000),
        seconds=1.0,
        expect=_SLOWED,
        counts=_CONTROL,
    ),
    _flood(
        "ws-empty-fragments",
        "empty continuation frames of a message without an end",
        _endless(_EMPTY, first=frame(TEXT, b"", fin=False)),
        is_named=True,
        seconds=3.0,
        expect=_SLOWED,
        counts=_CONTROL,
    ),
    _flood(
        "ws-empty-fragments-before-login",
        "the same before login",
        _before_login(_EMPTY, first=frame(TEXT, b"", fin=False)),
        is_named=True,
        expect=_SLOWED,
        counts=_CONTROL,
    ),
    _flood(
        "ws-fragments",
        "messages in fragments of one byte",
        _endless(_FRAGMENTS + frame(_CONTINUATION, b'"')),
        expect=_SLOWED,
        counts=_CONTROL,
    ),
    _flood(
        "ws-fragments-without-end",
        "one message in fragments of one byte, without an end",
        _endless(frame(_CONTINUATION, b"x", fin=False) * 4_000, first=frame(TEXT, b"x", fin=False)),
        expect=_SLOWED,
        counts=_CONTROL,
    ),
    _flood(
        "ws-bytewise",
        "frames of which each byte comes by itself",
        _bytewise(_CHATTER),
        connections=4,
        expect=("open", *_LIMITED),
    ),
    _flood(
        "ws-unfinished",
        "messages of 60 KB whose last byte never comes",
        lambda fight: fight.pour(fight.opening, lambda _: iter((_UNFINISHED,))),
        connections=100,
        players=100,
        expect=("open",),
        wishes={"max_players": 100},
        transports=LEAN,
    ),
    _flood(
        "ws-unfinished-before-login",
        "the same before login",
        lambda fight: fight.pour(fight.anonymous, lambda _: iter((_UNFINISHED,))),
        connections=200,
        settings={"auth_timeout_s": 1},
        expect=("4408",),
        transports=LEAN,
    ),
    _flood(
        "ws-too-large",
        "a frame announces 10 GB",
        _endless(b"x" * 65_536, first=struct.pack("!BBQ", 0x81, 0xFF, 10**10)),
        expect=("1009", "reset", "eof"),
        seconds=1.0,
    ),
    _flood("ws-invalid-json", "what is no JSON", _endless(frame(TEXT, b"{") * 1_000), expect=("4400", *_LIMITED)),
    _flood("ws-nested-json", "messages of 60,000 nested arrays", _endless(_NESTED), expect=("4400", *_LIMITED)),
    _flood("ws-unknown-types", "types that there are not", _endless(_TYPES * 10), expect=("4400", *_LIMITED)),
    _flood("ws-messages", "messages, as fast as they are taken", _endless(_CHATTER * 200), seconds=3.0),
    _flood("ws-long-messages", "messages of 60 KB", _endless(frame(TEXT, _LONG))),
    _flood("ws-batches", "batches of 50 pings", _endless(_batch({"type": "ping", "data": {"timestamp": 1}}) * 4)),
    _flood(
        "ws-batches-of-nothing",
        "batches of 50 items that are no messages",
        _endless(_batch({"type": "?"}) * 4),
        expect=("4400", *_LIMITED),
    ),
    _flood(
        "ws-binary",
        "binary frames",
        _endless(frame(_BINARY, b"x" * 100) * 400, again=True),
        seconds=1.0,
        expect=("1003",),
    ),
    _flood(
        "ws-unmasked",
        "frames without a mask",
        _endless(frame(TEXT, b"x" * 100, masked=False) * 400, again=True),
        seconds=1.0,
        expect=("1002",),
    ),
    _flood(
        "ws-after-the-close",
        "a close frame, and then data without an end",
        _endless(_CHATTER * 400, first=close_frame(1000), again=True),
        expect=("1000", "reset", "eof"),
    ),
    _flood(
        "ws-paced-violation",
        "a violation, and a paced sender that goes on: the close code must arrive",
        _violation_then_more,
        players=20,
        wishes={"max_players": 30},
        opened=20,
        expect=("told",),
        never=("500", "untold"),
    ),
    _flood(
        "ws-pings-unread",
        "pings of somebody who reads nothing for a while, then all: the last must be answered",
        _pings_unread,
        opened=1,
        seconds=3.0,
        expect=("last pong", "4429"),
        never=("500", "no pong"),
        is_named=True,
    ),
    _flood(
        "ws-violation-and-reset",
        "frames, a violation and a reset, 1,500 times, while events flow",
        _violates_and_resets,
        item=6,
        connections=_BUSY + _SEVERAL,
        opened=1_500,
        players=_BUSY + 80,
        per_second=20.0,
        seconds=6.0,
        wishes={"max_players": 100, "min_players": 100},
        expect=("done",),
        is_named=False,
    ),
    _flood(
        "ws-half-closed",
        "the way out is shut, the way in is read",
        _half_closed,
        connections=100,
        players=100,
        wishes={"max_players": 100},
        expect=("open",),
        seconds=1.0,
    ),
    _flood(
        "ws-unread-answers",
        "messages whose answers nobody reads",
        _endless(_CHATTER, reads=False),
        connections=20,
        per_second=45.0,
        players=20,
        wishes={"max_players": 30},
        expect=("open", *_LIMITED),
    ),
    _flood(
        "ws-deflate-bombs",
        "messages that are 60 MB when inflated",
        _with_deflate(_BOMB),
        settings=_DEFLATE,
        opened=200,
        expect=("1009",),
    ),
    _flood(
        "ws-deflated-messages",
        "messages of 60 KB in a hundred bytes",
        _with_deflate(_SWOLLEN),
        settings=_DEFLATE,
        opened=200,
    ),
    _flood(
        "ws-silent",
        "connections that never log in",
        lambda fight: fight.pour(fight.anonymous, lambda _: iter(())),
        connections=200,
        settings={"auth_timeout_s": 1},
        expect=("4408",),
        transports=LEAN,
    ),
    _flood(
        "ws-long-logins",
        "logins with tokens that are none",
        _log_in_flood,
        connections=10,
        opened=2_000,
        expect=("4401", "503", *_LIMITED),
    ),
    _flood(
        "ws-wrong-tokens",
        "upgrades with forged tokens, one after the other",
        _wrong_token,
        connections=20,
        opened=5_000,
        expect=("401", "429", "503"),
        settings={"environment": "test"},
    ),
    _flood(
        "ws-come-and-go",
        "upgrades and goodbyes, one after the other",
        _comes_and_goes,
        connections=10,
        opened=3_000,
        players=20,
        wishes={"max_players": 40},
        expect=("1000", "429", "503"),
    ),
    _flood(
        "ws-behind-the-upgrade",
        "frames that follow the upgrade before it is answered",
        _behind_the_upgrade,
        connections=2,
        players=40,
        wishes={"max_players": 60},
        expect=("101", *_LIMITED),
    ),
    _flood(
        "ws-resumes",
        "a long game is asked for from its beginning, again and again",
        _resumes,
        connections=10,
        opened=2_000,
        players=21,
        wishes={"max_players": 40, "min_players": 40},
        seconds=4.0,
        expect=("101", "429"),
    ),
    _flood(
        "ws-replacements",
        "one player connects over the connection before",
        _replaces,
        opened=200,
        per_second=100.0,
        seconds=2.0,
        expect=("429",),
    ),
    _flood(
        "nginx-pings",
        "pings through nginx",
        _endless(frame(PING, b"") * 4_000),
        place=Place.NGINX,
        expect=_SLOWED,
        counts=_CONTROL,
        is_named=True,
        transports=LEAN,
        seconds=3.0,
    ),
)
