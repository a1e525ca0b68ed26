"""Headers of every answer."""

from typing import Final

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

HEADERS: Final = {"x-content-type-options": "nosniff", "cache-control": "no-store", "vary": "Origin"}
"""Every answer's, where it says nothing else. It may be of one player, and for one origin."""


async def add_headers(message: Message, _: Scope) -> None:
    """Add the headers that an answer does not set itself."""
    if message["type"] in {"http.response.start", "websocket.http.response.start"}:
        headers = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
