"""The opening handshake (RFC 6455 section 4.2) as an ASGI connection: it is over, and forgotten, when answered."""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import unquote

from app.protocol import Close, encode, problem_details
from app.refusals import REFUSALS
from app.telemetry.observer import Observer
from app.transport.deflate import Deflate
from app.transport.http_answer import ERROR_HEADERS, Headers, http_answer
from app.transport.port import EXTENSION, Transport
from app.vocabulary import HandshakeOutcome

AsgiMessage = MutableMapping[str, Any]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES: Final = 16
_NEEDED: Final = (b"connection", b"upgrade", b"sec-websocket-key", b"sec-websocket-version")
_FAULT: Final = "a fault of the server; it has been logged"
_SHARED: Final = ("http_version", "server", "client", "root_path", "headers", "state")


@dataclass(frozen=True, slots=True)
class UpgradeRefusal:
    """An answer other than 101."""

    status: HTTPStatus
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def bad_handshake(error: "BadHandshake", scope: MutableMapping[str, Any], observer: Observer) -> UpgradeRefusal:
    """Say what is wrong with a request for an upgrade, and record it."""
    text = f"this is no WebSocket handshake: {error}"
    refused = _refusal(observer, scope, HandshakeOutcome.BAD_REQUEST, text)
    return replace(refused, headers=(*refused.headers, (b"sec-websocket-version", b"13")))


def _refusal(
    observer: Observer, scope: MutableMapping[str, Any], outcome: HandshakeOutcome, detail: str
) -> UpgradeRefusal:
    status = REFUSALS[outcome].status
    observer.handshake_refused(outcome, status, detail, scope["client"][0] if scope.get("client") else "unknown")
    return UpgradeRefusal(status, encode(problem_details(status, detail, outcome)), ERROR_HEADERS)


def accept_key(method: str, headers: Headers) -> bytes:
    """Return the value of Sec-WebSocket-Accept. Raises BadHandshake."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _NEEDED:  # several of a name are one list (RFC 9110 section 5.3): no key, no version
            found[name] = found[name] + b"," + value if name in found else value
    connection, upgrade, key, version = [found.get(name, b"") for name in _NEEDED]
    if method != "GET":
        raise BadHandshake("an upgrade is a GET")
    if not (_lists(connection, b"upgrade") and _lists(upgrade, b"websocket")):
        raise BadHandshake("it needs Connection: Upgrade and Upgrade: websocket")
    if not _is_key(key):
        raise BadHandshake("it needs one Sec-WebSocket-Key of 16 bytes in base64")
    if version != b"13":
        raise BadHandshake("it needs one Sec-WebSocket-Version: 13")
    return base64.b64encode(hashlib.sha1(key.strip() + _GUID, usedforsecurity=False).digest())


class BadHandshake(Exception):  # noqa: N818 - names what it is
    """The request is no opening handshake of RFC 6455; the message says what is missing."""


def _lists(value: bytes, token: bytes) -> bool:
    return token in [one.strip() for one in value.lower().split(b",")]


def _is_key(value: bytes) -> bool:
    try:
        return len(binascii.a2b_base64(value.strip(), strict_mode=True)) == _KEY_BYTES
    except binascii.Error:
        return False


def accepted_extensions(headers: Headers, deflate: Deflate | None) -> bytes | None:
    """Return the value of Sec-WebSocket-Extensions to answer with, None for no such header. Raises BadHandshake."""
    if deflate is None:
        return None
    try:
        return deflate.negotiate(value for name, value in headers if name == b"sec-websocket-extensions")
    except ValueError as error:
        raise BadHandshake(f"Sec-WebSocket-Extensions: {error}") from None


def websocket_scope(http: MutableMapping[str, Any], url: bytes, transport: Transport) -> AsgiMessage:
    """Return the ASGI scope of an upgrade, from what the HTTP protocol has parsed."""
    raw_path, _, query = url.partition(b"?")
    root = http["root_path"]
    offered = [value for name, value in http["headers"] if name == b"sec-websocket-protocol"]
    return {
        **{name: http[name] for name in _SHARED},
        "type": "websocket",
        "asgi": {**http["asgi"], "spec_version": "2.4"},
        "scheme": "wss" if http["scheme"] == "https" else "ws",
        "path": root + unquote(raw_path.decode("latin-1")),
        "raw_path": root.encode() + raw_path,
        "query_string": query,
        "subprotocols": [one.strip() for value in offered for one in value.decode("latin-1").split(",")],
        "extensions": {"websocket.http.response": {}, EXTENSION: transport},
    }


class Opening(Protocol):
    """The connection whose handshake this is."""

    @property
    def is_lost(self) -> bool:
        """Whether the peer has gone."""

    def opened(self, answer: bytes) -> None:
        """Answer 101: frames follow."""

    def refused(self, answer: bytes) -> None:
        """Answer otherwise, and end."""

    def finished(self) -> None:
        """Live on if somebody has attached, now that the application has returned."""


class Upgrade:
    """One handshake: what the application receives and sends until it is answered."""

    __slots__ = (
        "_app",
        "_connection",
        "_default_headers",
        "_extensions",
        "_has_sent_connect",
        "_key",
        "_observer",
        "_response",
        "_wake",
        "scope",
    )

    def __init__(
        self,
        connection: Opening,
        scope: AsgiMessage,
        key: bytes,
        app: Callable[..., Any],
        default_headers: Headers,
        observer: Observer,
        extensions: bytes | None = None,
    ) -> None:
        self.scope = scope
        self._extensions = extensions
        self._connection = connection
        self._key = key
        self._app = app
        self._default_headers = default_headers
        self._observer = observer
        self._response: tuple[int, list[tuple[bytes, bytes]], bytes] | None = None
        self._has_sent_connect = False
        self._wake: asyncio.Event | None = None

    async def run(self) -> None:
        """Have the application answer; a fault of its own is answered with 500."""
        try:
            await self._app(self.scope, self.receive, self.send)
        except Exception as fault:  # noqa: BLE001 - the application's outermost frame: the fault is logged, the peer told
            if not self._connection.is_lost:  # that a peer has gone is no fault of ours, and wakes nobody
                self._observer.fault("websocket handshake", fault)
        if self._key and not self._connection.is_lost:
            refused = _refusal(self._observer, self.scope, HandshakeOutcome.INTERNAL_ERROR, _FAULT)
            self._answer(refused.status, list(refused.headers), refused.body)
        self._connection.finished()

    def lost(self) -> None:
        """Wake the application, as the peer has gone."""
        if self._wake is not None:
            self._wake.set()

    async def receive(self) -> AsgiMessage:
        """Return ``websocket.connect``, then, should anybody ask, ``websocket.disconnect`` once the peer has gone."""
        if not self._has_sent_connect:
            self._has_sent_connect = True
            return {"type": "websocket.connect"}
        if not self._connection.is_lost:
            self._wake = self._wake or asyncio.Event()
            await self._wake.wait()
        return {"type": "websocket.disconnect", "code": Close.LOST.code}

    async def send(self, message: AsgiMessage) -> None:
        """Take what the application answers, an event of ASGI's WebSocket and its extension for refusals.

        Raises:
            OSError: the peer has gone.
            RuntimeError: not a message that may follow.
        """
        if self._connection.is_lost:
            raise OSError("the client has gone")
        type = message["type"]
        if not self._key:
            raise RuntimeError(f"{type} after the handshake; frames go over the transport")
        if type == "websocket.accept":
            self._accept(message)
        elif type == "websocket.http.response.start":
            self._response = (message["status"], list(message.get("headers", ())), b"")
        elif type == "websocket.http.response.body" and self._response is not None:
            status, headers, body = self._response
            self._response = status, headers, body + message.get("body", b"")
            if not message.get("more_body"):
                self._answer(*self._response)
        else:
            raise RuntimeError(f"{type} is no answer to a handshake")

    def _accept(self, message: AsgiMessage) -> None:
        lines = [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"]
        lines.append(b"Sec-WebSocket-Accept: " + self._key + b"\r\n")
        if self._extensions is not None:
            lines.append(b"Sec-WebSocket-Extensions: " + self._extensions + b"\r\n")
        if message.get("subprotocol"):
            lines.append(b"Sec-WebSocket-Protocol: " + message["subprotocol"].encode("latin-1") + b"\r\n")
        lines.extend(name + b": " + value + b"\r\n" for name, value in message.get("headers") or ())
        self._key = b""
        self._connection.opened(b"".join((*lines, b"\r\n")))

    def _answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._key = b""
        self._connection.refused(http_answer(status, [*self._default_headers, *headers], body))
