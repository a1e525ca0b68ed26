"""Frames of RFC 6455 as bytes: made for clients, and read from them. No input or output happens here.

`FrameReader` keeps nothing between messages but a few references. The tests hold it to `websockets`' parser, byte by
byte.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct
from websockets.frames import apply_mask  # type: ignore[attr-defined] # in C where that was built, else in Python

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
"""Opcodes (section 5.2)."""

_DATA: Final = frozenset({TEXT, BINARY})
_CONTROL: Final = frozenset({CLOSE, PING, PONG})
_FIN: Final = 0x80
_RESERVED: Final = 0x70
_DEFLATED: Final = 0x40
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_TWO_BYTES: Final = 126
_MAX_TWO_BYTES: Final = 0xFFFF
_MAX_CONTROL: Final = 125
_LEAST: Final = 2
_MASK: Final = 4

NO_CODE: Final = 1005
PROTOCOL_ERROR: Final = 1002
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009
_KNOWN_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
_PRIVATE_CODES: Final = range(3000, 5000)


class Violation(Exception):  # noqa: N818 - names what it is, as the RFC does
    """The peer broke the protocol; `code` is what the connection is closed with (section 7.4.1)."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Frame(Struct, gc=False):
    """A frame to be sent to any number of clients: `wire` are its bytes, `size` those of its payload.

    `deflated` are its bytes for those who take compressed ones, once anybody did (`Deflate.wire`).
    """

    wire: bytes
    size: int
    deflated: bytes = b""

    @property
    def payload(self) -> bytes:
        """The message."""
        return self.wire[len(self.wire) - self.size :]


TEXT_HEADS: Final = tuple(bytes((_FIN | TEXT, size)) for size in range(_TWO_BYTES))
"""What a whole text message of so many bytes, at most 125, is preceded by."""


def text_frame(payload: bytes) -> Frame:
    """Return the frame of a whole text message."""
    size = len(payload)
    head = TEXT_HEADS[size] if size < _TWO_BYTES else _head(_FIN | TEXT, size)
    return Frame(head + payload, size)


def deflated_frame(payload: bytes) -> bytes:
    """Return the bytes of a whole text message that has been compressed (RFC 7692 section 6)."""
    return _head(_FIN | _DEFLATED | TEXT, len(payload)) + payload


def frame_bytes(opcode: int, payload: bytes) -> bytes:
    """Return the bytes of one final frame of any kind."""
    return _head(_FIN | opcode, len(payload)) + payload


def close_bytes(code: int, reason: str) -> bytes:
    """Return the bytes of a close frame; without a code (1005) it is empty, as that code is never sent."""
    return frame_bytes(CLOSE, b"" if code == NO_CODE else code.to_bytes(2, "big") + reason.encode())


def _head(first: int, size: int) -> bytes:
    if size < _TWO_BYTES:
        return bytes((first, size))
    if size <= _MAX_TWO_BYTES:
        return bytes((first, _TWO_BYTES)) + size.to_bytes(2, "big")
    return bytes((first, _TWO_BYTES + 1)) + size.to_bytes(8, "big")


def close_code(payload: bytes) -> int:
    """Return the code of a close frame, 1005 where it has none (sections 5.5.1 and 7.4). Raises Violation."""
    if not payload:
        return NO_CODE
    if len(payload) == 1:
        raise Violation(PROTOCOL_ERROR)
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise Violation(INVALID_DATA) from None
    code = int.from_bytes(payload[:2], "big")
    if code not in _KNOWN_CODES and code not in _PRIVATE_CODES:
        raise Violation(PROTOCOL_ERROR)
    return code


class Received(Struct, frozen=True, gc=False):
    """A whole message, a control frame, or (CONTINUATION) a part of a message that is not whole yet."""

    opcode: int
    payload: bytes


class FrameReader:
    """Messages and control frames out of a client's bytes.

    Messages over `max_size` payload bytes are refused as soon as a header says so, before they are held. With
    `inflate` (the message that was compressed, and `max_size`) they may be compressed (RFC 7692).
    """

    __slots__ = ("_at", "_held", "_inflate", "_kind", "_max_size", "_message")

    def __init__(self, max_size: int, inflate: Callable[[bytes, int], bytes] | None = None) -> None:
        self._max_size = max_size
        self._inflate = inflate
        self._held: bytearray | None = None
        self._at = 0
        self._message: bytearray | None = None
        self._kind = 0

    @property
    def is_between(self) -> bool:
        """Whether nothing is held: the next byte begins a message or a control frame."""
        return self._held is None and self._message is None

    @property
    def is_within(self) -> bool:
        """Whether bytes of a frame are held that `next` has not given."""
        return self._held is not None

    def feed(self, data: bytes) -> None:
        """Take what came in; `next` gives what it completes."""
        if self._held is None:
            self._held = bytearray(data)
        else:
            del self._held[: self._at]
            self._at = 0
            self._held += data

    def next(self) -> Received | None:
        """Return the next message, part or control frame; None until more has come. Raises Violation."""
        frame = self._next_frame()
        if frame is None:
            return None
        first, payload = frame
        opcode = first & _OPCODE
        return Received(opcode, payload) if opcode in _CONTROL else self._join(first, payload)

    def _next_frame(self) -> tuple[int, bytes] | None:
        """Return the first byte and the unmasked payload of the next frame."""
        held, at = self._held, self._at
        if held is None or len(held) < at + _LEAST:
            return None
        first, second = held[at], held[at + 1]
        self._check_first_bytes(first, second)
        size, begin = second & _LENGTH, at + _LEAST
        if size >= _TWO_BYTES:
            begin += 2 if size == _TWO_BYTES else 8
            if len(held) < begin:
                return None
            size = int.from_bytes(held[at + _LEAST : begin], "big")
        if first & _OPCODE not in _CONTROL:
            self._check_size(size)
        begin += _MASK
        end = begin + size
        if len(held) < end:
            return None
        payload = apply_mask(held[begin:end], held[begin - _MASK : begin])
        if end == len(held):
            self._held, self._at = None, 0
        else:
            self._at = end
        return first, payload

    def _check_first_bytes(self, first: int, second: int) -> None:
        """Check what the first two bytes say (section 5.2)."""
        opcode = first & _OPCODE
        is_control = opcode in _CONTROL
        if is_control:
            is_wrong = not first & _FIN or second & _LENGTH > _MAX_CONTROL
        elif opcode in _DATA:
            is_wrong = self._message is not None
        else:
            is_wrong = opcode != CONTINUATION or self._message is None
        reserved = first & _RESERVED
        if self._inflate is not None and opcode in _DATA:
            reserved &= ~_DEFLATED
        if is_wrong or reserved or not second & _MASKED:
            raise Violation(PROTOCOL_ERROR)

    def _check_size(self, size: int) -> None:
        if len(self._message or b"") + size > self._max_size:
            raise Violation(TOO_BIG)

    def _join(self, first: int, payload: bytes) -> Received:
        """Add a part of a message (section 5.4); the message where it was the last one."""
        is_final = bool(first & _FIN)
        if self._message is None:
            if is_final:
                return self._whole(first, payload)
            self._message, self._kind = bytearray(payload), first
            return Received(CONTINUATION, payload)
        self._message += payload
        if not is_final:
            return Received(CONTINUATION, payload)
        whole, self._message = bytes(self._message), None
        return self._whole(self._kind, whole)

    def _whole(self, first: int, payload: bytes) -> Received:
        if first & _DEFLATED and self._inflate is not None:
            payload = self._inflate(payload, self._max_size)
        return Received(first & _OPCODE, payload)
