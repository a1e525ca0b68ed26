"""One HTTP request, bounded in time and in bytes; it follows no redirect, and no proxy of the environment."""

import asyncio
import base64
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httptools

_READ_BYTES: Final = 65_536
_LENGTHS: Final = (b"content-length", b"transfer-encoding")
_PORTS: Final = {"http": 80, "https": 443}


class FetchFailed(Exception):  # noqa: N818 - an answer
    """There was no whole answer. The message says why, and holds nothing of what was sent."""


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What is asked for; header values may hold secrets."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True)
class Fetched:
    """An answer."""

    status: int = 0
    content_type: str = ""
    body: bytes = b""


async def fetch(asked: FetchRequest, timeout_s: float, max_bytes: int) -> Fetched:
    """Ask, and read the answer whole. Raises FetchFailed."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _fetch(asked, max_bytes)
    except TimeoutError:
        raise FetchFailed(f"no answer within {timeout_s:g} s") from None
    except OSError as error:
        raise FetchFailed(_reason(error)) from None
    except httptools.HttpParserError:
        raise FetchFailed("what came is no HTTP") from None


def _reason(error: OSError) -> str:
    """Say what is wrong as the system says it: asyncio's words name addresses."""
    if error.errno is not None and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__


async def _fetch(asked: FetchRequest, max_bytes: int) -> Fetched:
    parts, request = urlsplit(asked.url), _head(asked) + asked.body
    port = parts.port or _PORTS[parts.scheme]
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=parts.scheme == "https" or None)
    try:
        writer.write(request)
        answer = _Arriving()
        parser: Any = httptools.HttpResponseParser(answer)
        taken = 0
        while not answer.is_whole and (data := await reader.read(_READ_BYTES)):
            taken += len(data)
            if taken > max_bytes:
                raise FetchFailed(f"more than {max_bytes} bytes came")
            parser.feed_data(data)
        if not answer.is_whole and (answer.has_length or not answer.is_begun):
            raise FetchFailed("the answer broke off")
        return Fetched(parser.get_status_code(), answer.content_type, b"".join(answer.parts))
    finally:
        writer.transport.abort()


def _head(asked: FetchRequest) -> bytes:
    parts = urlsplit(asked.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"{asked.method} {target} HTTP/1.1",
        f"host: {parts.netloc.rpartition('@')[2]}",
        "connection: close",
        f"content-length: {len(asked.body)}",
        *(f"{name}: {value}" for name, value in asked.headers.items()),
    ]
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        lines.append(f"authorization: Basic {base64.b64encode(user.encode()).decode()}")
    if " " in target or any(not line.isprintable() or not line.isascii() for line in lines):
        raise FetchFailed("what was asked for cannot be written in a request")
    return "\r\n".join((*lines, "", "")).encode()


class _Arriving:
    """What httptools calls with what it has read."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.content_type = ""
        self.has_length = self.is_begun = self.is_whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self.has_length |= name in _LENGTHS
        if name == b"content-type":
            self.content_type = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.is_begun = True

    def on_body(self, data: bytes) -> None:
        self.parts.append(data)

    def on_message_complete(self) -> None:
        self.is_whole = True
