"""What is read is answered as browsers and caches expect it, in one place: a handler need know of GET alone."""

import gzip
import hashlib
from http import HTTPStatus
from typing import Final

from litestar import HttpMethod
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from app.web.negotiation import is_known, takes_gzip

DOCUMENT: Final = {"cache-control": "no-cache"}
"""By these headers a handler says that its answer is the same for all: it may be kept, and is asked for again."""
_HEAD_ELSEWHERE: Final = ("/metrics", "/ops/api/")
"""Reading these has effects: a scrape is counted, and a stream has no end."""
_DOCUMENT: Final = [(name.encode(), value.encode()) for name, value in DOCUMENT.items()]
_LENGTH: Final = b"content-length"


class ReadAsExpected:
    """The application `app`: HEAD is GET without the body, and a document has a tag and is packed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; whoever sends the answer, and measures it, finds the method in the scope that it was asked with."""
        if scope["type"] != ScopeType.HTTP or scope["path"].startswith(_HEAD_ELSEWHERE):
            await self._app(scope, receive, send)
            return
        as_get = scope if scope["method"] != HttpMethod.HEAD else {**scope, "method": HttpMethod.GET}
        try:
            await self._app(as_get, receive, _OnItsWayOut(scope, send).send)
        finally:
            scope.update(as_get | {"method": scope["method"]})  # whose it was is known only now


class _OnItsWayOut:
    """The answer to a request on its way out."""

    def __init__(self, scope: HTTPScope, send: Send) -> None:
        self._asked = Headers.from_scope(scope)
        self._is_head = scope["method"] == HttpMethod.HEAD
        self._is_read = scope["method"] in {HttpMethod.HEAD, HttpMethod.GET}
        self._send = send
        self._held: Message | None = None

    async def send(self, message: Message) -> None:
        """Send a message on; the beginning of a document's answer waits for its body, by which it is tagged."""
        if message["type"] == "http.response.start":
            message["headers"] = [_with_head(*header) for header in message["headers"]]
            if self._is_read and message["status"] == HTTPStatus.OK and _is_document(message):
                self._held = message
                return
        elif message["type"] == "http.response.body":
            if self._held is not None:
                message["body"] = self._negotiate(self._held, message["body"])
                await self._send(self._held)
                self._held = None
            if self._is_head:
                message["body"] = b""
        await self._send(message)

    def _negotiate(self, start: Message, body: bytes) -> bytes:
        """Put into the beginning of an answer what its body is by; return the body as it is sent."""
        tag = tag_of(body)
        headers = [*start["headers"], (b"etag", tag.encode())]  # type: ignore[typeddict-item] # it is one
        if is_known(tag, self._asked.get("if-none-match", "")):
            start["status"] = HTTPStatus.NOT_MODIFIED  # type: ignore[typeddict-unknown-key]
            body = b""
            headers = [header for header in headers if header[0] not in {_LENGTH, b"content-type"}]
        elif takes_gzip(self._asked.get("accept-encoding", "")):
            body = gzip.compress(body, mtime=0)
            headers = [header for header in headers if header[0] != _LENGTH]
            headers += [(b"content-encoding", b"gzip"), (_LENGTH, str(len(body)).encode())]
        start["headers"] = headers  # type: ignore[typeddict-unknown-key]
        return body


def tag_of(content: bytes) -> str:
    """Make the tag of a content: a weak one, as it stands for the packed bytes too."""
    return f'W/"{hashlib.sha256(content).hexdigest()[:20]}"'


def _is_document(start: Message) -> bool:
    names = {name for name, _ in start["headers"]}  # type: ignore[typeddict-item] # it is the beginning of an answer
    return b"etag" not in names and all(one in start["headers"] for one in _DOCUMENT)  # type: ignore[typeddict-item]


def _with_head(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Name HEAD wherever GET is allowed."""
    if name == b"allow" and b"GET" in value:
        value += b", HEAD"
    return name, value
