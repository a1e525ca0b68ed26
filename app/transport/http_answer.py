"""Whole HTTP/1.1 responses as bytes: the last that is said on a connection."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.protocol import encode, problem_details

Headers = Iterable[tuple[bytes, bytes]]

ERROR_HEADERS: Final = (
    (b"content-type", b"application/problem+json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


def http_answer(status: int, headers: Headers, body: bytes) -> bytes:
    """Return a response that ends the connection."""
    lines = [name + b": " + value + b"\r\n" for name, value in headers]
    length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    return b"".join((STATUS_LINE[status], *lines, length, body))


def error_answer(
    status: HTTPStatus,
    detail: str,
    reason: str,
    headers: Headers,
    retry_after_ms: int | None = None,
) -> bytes:
    """Return a response of application/problem+json (RFC 9457) that ends the connection."""
    all_headers = [*headers, *ERROR_HEADERS]
    if retry_after_ms is not None:
        all_headers.append((b"retry-after", b"%d" % max(1, -(-retry_after_ms // 1000))))
    return http_answer(status, all_headers, encode(problem_details(status, detail, reason, retry_after_ms)))
