"""What must hold of the head of a request (RFC 9112), beyond what the parser checks; pure."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httptools

from app.transport.http_answer import Headers
from app.vocabulary import HttpRejection

VERSIONS: Final = frozenset(("1.0", "1.1"))
_HOST: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(:[0-9]{0,5})?")
"""uri-host [ ":" port ] (RFC 9110 section 7.2); never empty, as an http URI must name a host."""
_AUTHORITY: Final = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)


class BadRequest(Exception):  # noqa: N818 - names what it is
    """A request that is refused before it reaches the application; `detail` shows nothing of it."""

    def __init__(self, reason: HttpRejection, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.status = status
        self.detail = detail


def malformed(detail: str) -> BadRequest:
    """Return the refusal of what is not as RFC 9112 asks for."""
    return BadRequest(HttpRejection.MALFORMED, HTTPStatus.BAD_REQUEST, detail)


def too_large(status: HTTPStatus, detail: str) -> BadRequest:
    """Return the refusal of more bytes, or more of something, than is taken."""
    return BadRequest(HttpRejection.TOO_LARGE, status, detail)


def not_supported(status: HTTPStatus, detail: str) -> BadRequest:
    """Return the refusal of what is well formed, but nothing that this server does."""
    return BadRequest(HttpRejection.NOT_SUPPORTED, status, detail)


@dataclass(frozen=True, slots=True)
class Framing:
    """How the end of a body is found: by its `length` in bytes, or by its last chunk."""

    length: int
    is_chunked: bool

    @property
    def has_body(self) -> bool:
        """Whether anything follows the head."""
        return self.is_chunked or self.length > 0


def check_version_and_method(version: str, method: bytes) -> None:
    """Raise BadRequest where no handler could serve the request."""
    if version not in VERSIONS:
        raise not_supported(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "this server speaks HTTP/1.1 and HTTP/1.0")
    if method == b"CONNECT":
        raise not_supported(HTTPStatus.NOT_IMPLEMENTED, "this is no proxy")


def check_host(version: str, headers: Headers) -> None:
    """Raise BadRequest unless there is one valid Host (RFC 9112 section 3.2); HTTP/1.0 may do without."""
    hosts = [value for name, value in headers if name == b"host"]
    if not hosts and version != "1.0":
        raise malformed("the request has no Host header")
    if len(hosts) > 1:
        raise malformed("the request has more than one Host header")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise malformed("the Host header is no host with an optional port")


def framing(version: str, headers: Headers) -> Framing:
    """Return how the body is delimited (RFC 9112 section 6), where the parser has refused what is contradictory.

    Raises:
        BadRequest: in a way that is not served here.
    """
    length, is_chunked = 0, False
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            if version == "1.0":
                raise malformed("HTTP/1.0 has no Transfer-Encoding")
            if value.strip().lower() != b"chunked":
                raise not_supported(HTTPStatus.NOT_IMPLEMENTED, "the only Transfer-Encoding served here is chunked")
            is_chunked = True
    return Framing(length, is_chunked)


def origin_form(target: bytes) -> tuple[bytes, bytes | None]:
    """Return the path and query of a request target, and its authority where it is in absolute form (section 3.2.2).

    Raises:
        BadRequest: it is no target of a request to an origin server.
    """
    if target == b"*":
        return target, None
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        raise malformed("the request target is no path and no http URL") from None
    authority = None
    if url.schema is not None:
        found = _AUTHORITY.match(target)
        authority = found[1] if found else b""
        if not _HOST.fullmatch(authority):
            raise malformed("the request target is no http URL of a host")
    path = url.path or b"/"
    return (path if url.query is None else path + b"?" + url.query), authority
