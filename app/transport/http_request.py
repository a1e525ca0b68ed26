"""One request on its way in: where it ends, and that it stays within its bounds (`HttpSettings`). Nothing is read here.

Whoever reads asks where to stop (`end_of_piece`), counts what is about to be parsed (`count`), and says what the parser
found (`count_header`, `finish_head`, `count_body`). All but the first raise BadRequest.
"""

from http import HTTPStatus
from typing import Final

from app.settings import HttpSettings
from app.transport.http_answer import Headers
from app.transport.http_head import (
    BadRequest,
    Framing,
    check_host,
    check_version_and_method,
    framing,
    malformed,
    origin_form,
    too_large,
)

MAX_UPGRADE_LINE: Final = 8_160
"""What `websockets` takes, which one of the transports reads the head with."""
_EMPTY_LINE: Final = b"\r\n\r\n"
_HALF_EMPTY_LINES: Final = (b"\r\n\r", b"\r\n", b"\r")
_NO_BODY: Final = Framing(0, is_chunked=False)


class BoundedRequest:
    """Counts the bytes and headers of one request."""

    __slots__ = ("_body_bytes", "_bytes", "_framing", "_headers", "_settings", "is_in_head")

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._bytes = 0
        self._body_bytes = 0
        self._headers = 0
        self._framing = _NO_BODY
        self.is_in_head = True

    def end_of_piece(self, data: bytes, at: int) -> int:
        """Return where to stop: no later than at the request's end, whether the parser finds one there or not.

        A head and a chunked body end with an empty line; half of one waits for the rest of it.
        """
        if not self.is_in_head and not self._framing.is_chunked:
            return min(len(data), at + self._framing.length - self._body_bytes)
        found = data.find(_EMPTY_LINE, at)
        if found >= 0:
            return found + len(_EMPTY_LINE)
        half = next((half for half in _HALF_EMPTY_LINES if data.endswith(half, at)), b"")
        return len(data) - len(half)

    def count(self, size: int) -> None:
        """Count bytes that are about to be parsed."""
        settings = self._settings
        self._bytes += size
        if self.is_in_head and self._bytes > settings.max_header_bytes:
            text = f"the request's head is longer than {settings.max_header_bytes} bytes"
            raise too_large(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
        if self._bytes > settings.max_request_bytes:
            most = settings.max_chunk_overhead_bytes
            text = f"the chunks' sizes, extensions and trailers are longer than {most} bytes"
            raise too_large(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)

    def count_header(self) -> None:
        """Count a header of the head."""
        self._headers += 1
        if self._headers > self._settings.max_headers:
            text = f"the request has more than {self._settings.max_headers} headers"
            raise too_large(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)

    def finish_head(self, version: str, method: bytes, target: bytes, headers: Headers) -> tuple[bytes, bytes | None]:
        """Check a whole head; return its target in origin form, and the authority if the target had one."""
        self.is_in_head = False
        check_version_and_method(version, method)
        check_host(version, headers)
        self._framing = framing(version, headers)
        target, authority = origin_form(target)
        if self._framing.length > self._settings.max_body_bytes:
            raise self._body_too_large()
        return target, authority

    def check_upgrade(self, version: str, target: bytes, headers: Headers, *, to_websocket: bool) -> None:
        """Check what must hold of a request for an upgrade besides."""
        if self._framing.has_body:  # the parser takes it for what follows the upgrade
            raise malformed("a request for an upgrade has no body")
        if not to_websocket:
            return
        if version != "1.1":
            raise malformed("a WebSocket needs HTTP/1.1; behind nginx: proxy_http_version 1.1")
        if self._bytes <= MAX_UPGRADE_LINE:  # so is each of its lines
            return
        longest = max(len(target), *(len(name) + len(value) for name, value in headers))
        if longest > MAX_UPGRADE_LINE:
            text = f"a line of the head is longer than {MAX_UPGRADE_LINE} bytes"
            raise too_large(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)

    def count_body(self, size: int) -> None:
        """Count a part of the body, without what chunks add to it."""
        self._body_bytes += size
        if self._body_bytes > self._settings.max_body_bytes:
            raise self._body_too_large()

    def _body_too_large(self) -> BadRequest:
        text = f"the request's body is longer than {self._settings.max_body_bytes} bytes"
        return too_large(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
