"""Headers of every answer."""

from collections.abc import Iterable
from typing import Final

from litestar.types import Message, Scope

HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
}
"""Every answer's, where it says nothing else: it may be of one player, and whoever opens it as a page runs nothing.

Another origin's page may load what the list of origins allows it to read (CORS), and nothing by a mere reference.
"""
_ENCODED: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_VARY: Final = (b"vary", b"Origin, Accept-Encoding")
"""One for all: Litestar's own for origins would take the place of what a handler says."""


async def add_headers(message: Message, _: Scope) -> None:
    """Add the headers that an answer does not set itself."""
    if message["type"] == "http.response.start":
        message["headers"] = with_usual(message["headers"])


def with_usual(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer, and those of every answer that it does not set itself."""
    said = [(name, value) for name, value in headers if name != b"vary"]
    names = {name for name, _ in said}
    return [*said, _VARY, *(one for one in _ENCODED if one[0] not in names)]
