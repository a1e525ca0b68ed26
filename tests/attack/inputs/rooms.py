"""Rooms and rules: what one member makes the others hear, and what a game lets be done to it."""

import selectors
import socket
import time
from collections.abc import Iterator
from itertools import count, cycle, repeat
from typing import Final

from tests.attack.fight import CONNECT_TIMEOUT_S, HOST, Act, Fight, Pieces, message
from tests.attack.model import Attack

_MEMBERS: Final = 60
_ROOM: Final = {"min_players": 100, "max_players": 100}


def _progress(_: int) -> Iterator[bytes]:
    for number in count():
        yield message("batch", [{"type": "progress", "data": {"percent": (number + one) % 100}} for one in range(50)])


def _single_progress(_: int) -> Iterator[bytes]:
    for number in count():
        yield message("progress", {"percent": number % 100, "lines": number % 1_000})


def _toggles(_: int) -> Iterator[bytes]:
    return cycle((message("ready", {"status": "ready"}), message("ready", {"status": "not_ready"})))


def _toggle_batches(_: int) -> Iterator[bytes]:
    pair = [{"type": "ready", "data": {"status": "ready"}}, {"type": "ready", "data": {"status": "not_ready"}}]
    return repeat(message("batch", pair * 25))


def _every_type(number: int) -> Iterator[bytes]:
    return cycle(
        (
            message("ready", {"status": "ready"}, id=f"{number}-r"),
            message("progress", {"percent": 1}, id=f"{number}-p"),
            message("ping", {"timestamp": 1}, id=f"{number}-t"),
            message("submit_code", {"code": "def solve(): return 1"}, id=f"{number}-s"),
            message("ready", {"status": "not_ready"}),
            message("hello", {"reconnects": 1, "failed_attempts": 1, "join_ms": 1}),
            message("batch", [{"type": "progress", "data": {"lines": 3}}] * 5),
        )
    )


def _members(pieces: Pieces, *, races: bool) -> Act:
    """Many members of one room, who listen and each send theirs; the race runs, or is waited for."""

    def act(fight: Fight) -> Iterator[None]:
        if races:
            _start(fight)
        yield
        fight.pour(fight.opening, pieces, hears=False)

    return act


def _start(fight: Fight) -> None:
    """All come in and are ready; then the race runs."""
    members = [fight.talker(token=fight.token(number)) for number in range(fight.attack.players)]
    for one in members:
        one.say("ready", {"status": "ready"})
    for one in members:
        if one.wait("game_started", 20.0) is None and not fight.aim.is_sink:
            fight.tally.seen["no race"] += 1
        one.close()


def _come_and_leave(fight: Fight) -> None:
    """Members of a full room of listeners come, leave for good, and others come."""
    listeners = [fight.talker(token=fight.token(number)) for number in range(40)]
    for number in fight.paced():
        if fight.tally.opened >= fight.attack.most_opened:
            break
        one = fight.talker(token=fight.token(40 + number % (fight.attack.players - 40)))
        one.say("leave")
        one.sock.close()
        for player in listeners[number % 8 :: 8]:
            player.drain()
    fight.tally.seen["done"] += 1


def _guests_for_ever(fight: Fight) -> None:
    """Guests come into a waiting game and leave it, on and on: its log grows."""
    fight.pour(fight.opening, lambda _: iter((message("leave"),)), again=True)


def _at_once(fight: Fight) -> None:
    """One player opens several connections to a game at the same moment: exactly one must live."""
    for number in range(fight.attack.games):
        alive = _alive_of(fight, fight.game(number), 2 + number % 4)
        fight.tally.seen["one lives" if alive == 1 or fight.aim.is_sink else f"{alive} live"] += 1


def _alive_of(fight: Fight, game: str, many: int) -> int:
    """How many of so many connections live after a while."""
    sockets = [socket.create_connection((HOST, fight.port), CONNECT_TIMEOUT_S) for _ in range(many)]
    request = fight.opening().replace(fight.game().encode(), game.encode())
    for one in sockets:
        one.sendall(request)
    fight.tally.opened += many
    fight.tally.pieces += many
    fight.tally.sent += many * len(request)
    heard = dict.fromkeys(sockets, b"")
    selector = selectors.DefaultSelector()
    for one in sockets:
        one.setblocking(False)
        selector.register(one, selectors.EVENT_READ, one)
    ends = time.monotonic() + (0.1 if fight.aim.is_sink else 0.8)
    while (left := ends - time.monotonic()) > 0 and selector.get_map():
        for key, _ in selector.select(left):
            data = _received(key.data)
            heard[key.data] += data
            if not data:
                selector.unregister(key.data)
    alive = sum(b" 101 " in data and b"\x88" not in data for data in heard.values())
    for one in sockets:
        one.close()
    return alive


def _received(one: socket.socket) -> bytes:
    try:
        return one.recv(65_536)
    except OSError:
        return b""


def _third_of_two(fight: Fight) -> None:
    """A player who left a full waiting game wants to come back into the race that others have begun."""
    first, second = (fight.talker(token=fight.token(number)) for number in range(2))
    first.say("leave")
    first.wait("never", 0.5)
    third = fight.talker(token=fight.token(2))
    for one in (second, third):
        one.say("ready", {"status": "ready"})
    second.wait("game_started", 5.0)
    back = fight.talker(token=fight.token(0))
    fight.tally.seen["came in as the third" if back.status == 101 else f"refused with {back.status}"] += 1


def _room(
    id: str, what: str, pieces: Pieces, per_second: float, *, races: bool = False, is_named: bool = False
) -> Attack:
    """A room of 60 whose members all send."""
    return Attack(
        id=id,
        what=f"60 members of a room: each {what}",
        item=4,
        act=_members(pieces, races=races),
        per_second=per_second,
        expect=("open", "eof"),
        never=("500", "no race"),
        is_named=is_named,
        connections=_MEMBERS,
        opened=2 * _MEMBERS,
        players=_MEMBERS,
        wishes=_ROOM | ({"min_players": _MEMBERS, "finish": "all_done"} if races else {}),
        seconds=4.0,
    )


ATTACKS: Final = (
    _room("room-progress-batches", "a batch of 50 progress a second", _progress, 1.0, races=True, is_named=True),
    _room("room-progress", "40 progress a second", _single_progress, 40.0, races=True),
    _room("room-ready-toggles", "40 times a second ready or not", _toggles, 40.0),
    _room("room-ready-batches", "a batch of 50 times ready or not a second", _toggle_batches, 1.0),
    _room("room-every-type", "40 messages of every type a second", _every_type, 40.0, races=True),
    Attack(
        id="room-come-and-leave",
        what="members come and leave for good, before 40 that listen",
        item=4,
        act=_come_and_leave,
        connections=41,
        opened=400,
        players=100,
        per_second=100.0,
        wishes=_ROOM,
        seconds=3.0,
        expect=("done",),
    ),
    Attack(
        id="rules-guests-for-ever",
        what="guests come into a waiting game and leave it, on and on",
        item=5,
        act=_guests_for_ever,
        connections=10,
        opened=2_000,
        players=1_000,
        wishes=_ROOM,
        seconds=4.0,
        expect=("1000", "429"),
    ),
    Attack(
        id="rules-same-player-at-once",
        what="one player opens 2 to 5 connections to a game at the same moment: exactly one must live",
        item=5,
        act=_at_once,
        connections=5,
        opened=28,
        games=8,
        seconds=8.0,
        transports=("lean", "uvicorn"),
        expect=("one lives",),
        never=("500", "0 live", "2 live", "3 live", "4 live", "5 live"),
        is_named=True,
    ),
    Attack(
        id="rules-third-of-two",
        what="who left a full waiting game wants back into the race that others have begun",
        item=5,
        act=_third_of_two,
        connections=4,
        players=3,
        wishes={"max_players": 2},
        seconds=1.0,
        expect=("refused with 409",),
        never=("500", "came in as the third"),
        is_named=True,
    ),
)
