"""WebSocket by hand: handshakes and frames that no client library would send."""

import base64
import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

MASK = b"\x01\x02\x03\x04"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
"""Opcodes (RFC 6455 section 5.2)."""


def upgrade(path: str, *headers: str) -> bytes:
    """An upgrade request (RFC 6455 section 4.1)."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *headers,
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """One frame (RFC 6455 section 5.2)."""
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    length = len(payload)
    mask_bit = 0x80 if masked else 0
    if length < 126:
        head = struct.pack("!BB", first, mask_bit | length)
    elif length < 65536:
        head = struct.pack("!BBH", first, mask_bit | 126, length)
    else:
        head = struct.pack("!BBQ", first, mask_bit | 127, length)
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))


def close_frame(code: int | None, reason: bytes = b"") -> bytes:
    """A close frame, with or without a code."""
    return frame(8, b"" if code is None else struct.pack("!H", code) + reason)


def frames(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Opcode and payload of each frame a server sends, after its answer to the upgrade."""
    while stream.readline() not in {b"\r\n", b""}:
        pass
    while head := stream.read(2):
        length = head[1]
        if length >= 126:
            length = int.from_bytes(stream.read(2 if length == 126 else 8), "big")
        yield head[0] & 0x0F, stream.read(length)
