"""The attacking side: bounded sockets, in a process of their own. Loopback only.

`Fight.pour` is most of it: many connections that send pieces at a rate. `Talker` is a player that keeps to the protocol
of the wire and to nothing else.
"""

import json
import re
import selectors
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from typing import Any, Final

from tests.attack.model import Aim, Attack
from tools.harness.wire import CLOSE, PING, PONG, TEXT, frame, upgrade

HOST: Final = "127.0.0.1"
CONNECT_TIMEOUT_S: Final = 10.0
_READ: Final = 262_144
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3})")
_CODE: Final = re.compile(rb'"code":"(\w+)"')
_SMALL: Final = 4_096
Act = Callable[["Fight"], Iterator[None] | None]
"""What an attack does; where it is a generator, what it does before its first `yield` is preparation."""
Pieces = Callable[[int], Iterable[bytes]]
"""What connection number N sends, piece by piece."""


def message(type: str, data: object = None, **more: object) -> bytes:
    """A frame with a message."""
    return frame(TEXT, json.dumps({"type": type, "data": {} if data is None else data, **more}).encode())


def always(piece: bytes) -> Pieces:
    """The same piece again and again."""
    return lambda _: repeat(piece)


@dataclass(slots=True)
class Tally:
    """What was sent, and what was seen."""

    seen: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    pieces: int = 0
    opened: int = 0


class Answers:
    """What a peer was told: statuses, then close codes and the codes of errors."""

    def __init__(self, seen: Counter[str]) -> None:
        self._seen = seen
        self._is_socket = False
        self._rest = b""
        self.has_head = False
        self.heads = 0
        self.is_closed = False

    def feed(self, data: bytes) -> None:
        """Bytes that came."""
        data = self._rest + data
        self._rest = b""
        if self._is_socket:
            self._frames(data)
            return
        for status in _STATUS.findall(data):
            self._seen[status.decode()] += 1
            self.heads += 1
        at = data.find(b"\r\n\r\n")
        self.has_head = self.has_head or at >= 0
        if b"HTTP/1.1 101" in data and at >= 0:
            self._is_socket = True
            self._frames(data[at + 4 :])
        elif at < 0:
            self._rest = b"" if _STATUS.search(data) else data[-_SMALL:]

    def _frames(self, data: bytes) -> None:
        at = 0
        while (one := _frame(data, at)) is not None:
            opcode, begin, at = one
            self._note(opcode, data[begin:at])
        self._rest = data[at:]

    def _note(self, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            self.is_closed = True
            self._seen[str(int.from_bytes(payload[:2], "big")) if payload else "1005"] += 1
        elif opcode == TEXT and b'"error"' in payload and (code := _CODE.search(payload)):
            self._seen[code[1].decode()] += 1
        elif opcode == PONG:
            self._seen["pong"] += 1


def _frame(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Opcode, begin and end of the payload of the frame at `at`, if it is whole."""
    if len(data) - at < 2:
        return None
    length, begin = data[at + 1] & 127, at + 2
    if length >= 126:
        size = 2 if length == 126 else 8
        length, begin = int.from_bytes(data[begin : begin + size], "big"), begin + size
    if len(data) < begin + length:
        return None
    return data[at] & 0x0F, begin, begin + length


class Peer:
    """One connection of a `pour`; nothing it does blocks."""

    def __init__(self, fight: "Fight", port: int, opening: bytes, pieces: Iterator[bytes], **how: Any) -> None:
        self._fight = fight
        self._tally = fight.tally
        self._pieces = pieces
        self._hears: bool = how["hears"]
        self._is_replaced: bool = how["again"]
        self._reads, self._waits, self._turns = how["reads"], how["waits"], how["turns"]
        self._sent = 0
        self._every_s = 1 / fight.attack.per_second if fight.attack.per_second else 0.0
        self._due = time.monotonic()
        self._pending = memoryview(opening)
        self.answers = Answers(fight.tally.seen)
        self.is_over = False
        self.watched = 0
        self.sock = socket.socket()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._reads:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        self.sock.setblocking(False)
        self.sock.connect_ex((HOST, port))

    def end(self) -> None:
        """Send no more."""
        self._pending = memoryview(b"")
        self._due = float("inf")

    @property
    def wants(self) -> int:
        """The events it waits for."""
        if self.is_over:
            return 0
        mask = selectors.EVENT_READ if self._reads or self._must_wait else 0
        if self._pending or self._may_send:
            mask |= selectors.EVENT_WRITE
        return mask

    @property
    def _must_wait(self) -> bool:
        return self._waits and not self.answers.has_head

    @property
    def _may_send(self) -> bool:
        if self._must_wait or (self._turns and self.answers.heads < self._sent):
            return False
        return self._due <= time.monotonic()

    def on_writable(self) -> None:
        """Send what is pending, or the next piece."""
        if not self._pending and self._may_send:
            piece = next(self._pieces, None)
            if piece is None:
                self._due = float("inf")
                return
            self._pending = memoryview(piece)
            self._due = max(self._due + self._every_s, time.monotonic() - 0.1) if self._every_s else self._due
            self._sent += 1
            self._tally.pieces += 1
        try:
            sent = self.sock.send(self._pending[: max(0, self._fight.left)])
        except BlockingIOError:
            return
        except OSError as error:
            self._end("refused" if isinstance(error, ConnectionRefusedError) else "reset")
            return
        self._tally.sent += sent
        self._pending = self._pending[sent:]

    def on_readable(self) -> None:
        """Take what came."""
        try:
            data = self.sock.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            self._end("reset")
            return
        if not data:
            self._end("eof")
            return
        if self._hears or not self.answers.has_head:
            self.answers.feed(data)
        if self._is_replaced and self.answers.is_closed:
            self.is_over = True  # the next one comes the sooner

    def _end(self, how: str) -> None:
        self._tally.seen[how] += 1
        self.is_over = True


class Fight:
    """One attack under way: its bounds, and what it has seen."""

    def __init__(self, attack: Attack, aim: Aim) -> None:
        self.attack = attack
        self.aim = aim
        self.tally = Tally()
        self.held: list[socket.socket] = []
        self.begin()

    def begin(self) -> None:
        """Its time runs from now on."""
        self.ends = time.monotonic() + self.attack.seconds

    # ---------------------------------------------------------------- bounds

    @property
    def left(self) -> int:
        """Bytes it may still send."""
        return self.attack.most_bytes - self.tally.sent

    @property
    def is_on(self) -> bool:
        """Neither its time nor its bytes are used up."""
        return time.monotonic() < self.ends and self.left > 0

    def until_over(self) -> None:
        """Wait for the end of its time, doing nothing."""
        time.sleep(max(0.0, self.ends - time.monotonic()))  # the attack lasts so long

    def paced(self, number: int = 0) -> Iterator[int]:
        """Count while it is on, at its rate."""
        due, count = time.monotonic(), number
        while self.is_on:
            yield count
            count += 1
            due += 1 / self.attack.per_second if self.attack.per_second else 0.0
            time.sleep(max(0.0, min(due, self.ends) - time.monotonic()))  # a stated rate: nothing is waited for

    # ---------------------------------------------------------------- where

    @property
    def port(self) -> int:
        """Where the bytes go."""
        return self.aim.port

    def game(self, number: int = 0) -> str:
        """A game of its own."""
        return self.aim.games[number % len(self.aim.games)]

    def token(self, number: int = 0) -> str:
        """A player's token."""
        return self.aim.tokens[number % len(self.aim.tokens)]

    def opening(self, number: int = 0, *headers: str, query: str = "") -> bytes:
        """An upgrade request of player `number`."""
        return upgrade(f"/ws/{self.game()}{query}", f"Authorization: Bearer {self.token(number)}", *headers)

    def anonymous(self, _number: int = 0) -> bytes:
        """An upgrade request whose token is to come in the first message."""
        return upgrade(f"/ws/{self.game()}", "Sec-WebSocket-Protocol: code-racer.v1")

    # ---------------------------------------------------------------- weapons

    def pour(
        self,
        opening: Callable[[int], bytes],
        pieces: Pieces,
        *,
        reads: bool = True,
        waits: bool = True,
        turns: bool = False,
        hears: bool = True,
        again: bool = False,
    ) -> None:
        """Open the connections; each sends `opening`, then its pieces: after the answer's head if it `waits`.

        One that takes `turns` sends a piece when the one before has been answered; one that does not hear reads and
        forgets all behind the head. With `again` one that ended is replaced, up to `opened`.
        """
        selector = selectors.DefaultSelector()
        begin = partial(
            self._peer, selector, opening, pieces, reads=reads, waits=waits, turns=turns, hears=hears, again=again
        )
        peers = [begin() for _ in range(self.attack.connections)]
        while self.is_on and peers:
            _serve(selector)
            for peer in [one for one in peers if one.is_over]:
                _forget(selector, peer)
                peer.sock.close()
                peers.remove(peer)
                if again and self.tally.opened < self.attack.most_opened:
                    peers.append(begin())
            _watch(selector, peers)
        self._listen(selector, peers if reads else [])
        self.tally.seen["open"] += sum(not peer.is_over for peer in peers)
        self.held += [peer.sock for peer in peers]

    def _listen(self, selector: selectors.BaseSelector, peers: list[Peer]) -> None:
        """Its time is not over, its bytes are: hear what becomes of the connections."""
        while any(not peer.is_over for peer in peers) and time.monotonic() < self.ends:
            for peer in peers:
                peer.end()
            _watch(selector, peers)
            _serve(selector)

    def _peer(self, selector: selectors.BaseSelector, opening: Any, pieces: Pieces, **how: bool) -> Peer:
        number = self.tally.opened
        self.tally.opened += 1
        peer = Peer(self, self.port, opening(number), iter(pieces(number)), **how)
        _watch(selector, [peer])
        return peer

    def talker(self, game: str = "", token: str = "", query: str = "", **options: Any) -> "Talker":
        """A player that has come in (or has not: see its `status`)."""
        one = Talker(self.port, game or self.game(), token or self.token(), query, tally=self.tally, **options)
        one.is_deaf = self.aim.is_sink
        self.held.append(one.sock)
        return one

    def ask(self, method: str, path: str, body: bytes = b"", *headers: str) -> tuple[int, bytes]:
        """One request on a connection of its own: the status and the body of its answer; (0, b"") where none came."""
        self.tally.opened += 1
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(body)}"]
        if body:
            lines.append("Content-Type: application/json")
        return self.raw("\r\n".join([*lines, *headers, "", ""]).encode() + body)

    def raw(self, request: bytes) -> tuple[int, bytes]:
        """The same with the request as it is given."""
        try:
            with socket.create_connection((HOST, self.port), CONNECT_TIMEOUT_S) as sock:
                self.tally.sent += len(request)
                self.tally.pieces += 1
                sock.sendall(request)
                data = b""
                while more := sock.recv(_READ):
                    data += more
                    if self.aim.is_sink:
                        break
        except OSError:
            self.tally.seen["reset"] += 1
            return 0, b""
        found = _STATUS.match(data)
        status = int(found[1]) if found else 0
        self.tally.seen[str(status)] += 1
        return status, data.partition(b"\r\n\r\n")[2]


def _serve(selector: selectors.BaseSelector) -> None:
    """Let those go on that can."""
    for key, mask in selector.select(0.005):
        peer: Peer = key.data
        if mask & selectors.EVENT_READ:
            peer.on_readable()
        if mask & selectors.EVENT_WRITE and not peer.is_over:
            peer.on_writable()


def _forget(selector: selectors.BaseSelector, peer: Peer) -> None:
    if peer.watched:
        selector.unregister(peer.sock)
        peer.watched = 0


def _watch(selector: selectors.BaseSelector, peers: list[Peer]) -> None:
    """Wait for what each peer wants now."""
    for peer in peers:
        wanted = peer.wants
        if wanted == peer.watched:
            continue
        if not wanted:
            selector.unregister(peer.sock)
        elif not peer.watched:
            selector.register(peer.sock, wanted, peer)
        else:
            selector.modify(peer.sock, wanted, peer)
        peer.watched = wanted


class Talker:
    """A player on a blocking socket, who sends whole messages; a sink tells it nothing: there it waits for nothing."""

    def __init__(
        self,
        port: int,
        game: str,
        token: str,
        query: str = "",
        *,
        tally: Tally | None = None,
        small: bool = False,
        source: str = HOST,
    ) -> None:
        self._tally = tally or Tally()
        self._tally.opened += 1
        self._buffer = b""
        self.is_deaf = False
        self.status = 0
        self.code: int | None = None
        self.heard: list[dict[str, Any]] = []
        self.sock = socket.socket()
        if small:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        self.sock.settimeout(CONNECT_TIMEOUT_S)
        self.sock.bind((source, 0))
        self.sock.connect((HOST, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send(upgrade(f"/ws/{game}{query}", f"Authorization: Bearer {token}"))
        self._read_head()

    def _read_head(self) -> None:
        try:
            while b"\r\n\r\n" not in self._buffer and (data := self.sock.recv(_READ)):
                self._buffer += data
        except OSError:
            pass
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        found = _STATUS.match(head)
        self.status = int(found[1]) if found else 0
        self._tally.seen[str(self.status)] += 1

    def send(self, data: bytes) -> bool:
        """Send bytes; whether they were taken."""
        try:
            self.sock.sendall(data)
        except OSError:
            return False
        self._tally.sent += len(data)
        self._tally.pieces += 1
        return True

    def say(self, type: str, data: object = None, **more: object) -> bool:
        """Send a message."""
        return self.send(message(type, data, **more))

    def wait(self, type: str, timeout_s: float = 10.0, **data: object) -> dict[str, Any] | None:
        """The next such message, or None."""
        ends = time.monotonic() + timeout_s
        while (one := self.next(ends - time.monotonic())) is not None:
            if one["type"] == type and all(one["data"].get(key) == value for key, value in data.items()):
                return one
        return None

    def next(self, timeout_s: float) -> dict[str, Any] | None:
        """The next message, or None."""
        ends = time.monotonic() + timeout_s
        while not self.is_deaf and self.code is None:
            one = _frame(self._buffer, 0)
            if one is not None:
                opcode, begin, end = one
                payload, self._buffer = self._buffer[begin:end], self._buffer[end:]
                if opcode == TEXT:
                    self.heard.append(json.loads(payload))
                    return self.heard[-1]
                self._control(opcode, payload)
            elif not self._fill(ends - time.monotonic()):
                return None
        return None

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            self.code = struct.unpack("!H", payload[:2])[0] if payload else 1005
            self._tally.seen[str(self.code)] += 1
            self.send(frame(CLOSE, payload[:2]))
        elif opcode == PING:
            self.send(frame(PONG, payload))

    def _fill(self, timeout_s: float) -> bool:
        if timeout_s <= 0:
            return False
        self.sock.settimeout(timeout_s)
        try:
            data = self.sock.recv(_READ)
        except OSError:
            return False
        finally:
            self.sock.settimeout(CONNECT_TIMEOUT_S)
        self._buffer += data
        return bool(data)

    def drain(self) -> None:
        """Take all that is there, without waiting."""
        while self.next(0.001) is not None:
            pass

    def close(self) -> None:
        """Be gone, without a word."""
        self.sock.close()
