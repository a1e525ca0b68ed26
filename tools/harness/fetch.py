"""HTTP of tests and drills: httpx's functions, of which each would read the machine's certificates anew (23 ms)."""

import functools
import ssl
from typing import Any

import httpx


@functools.cache
def trust() -> ssl.SSLContext:
    """Return what verifies servers, read once: for a client of one's own, `httpx.Client(verify=trust())`."""
    return ssl.create_default_context()


def request(method: str, url: str, **options: Any) -> httpx.Response:
    """Send one request, on a connection of its own. Raises httpx.HTTPError."""
    return httpx.request(method, url, **{"verify": trust(), **options})  # noqa: TID251 - this is what others are to use


get = functools.partial(request, "GET")
head = functools.partial(request, "HEAD")
options = functools.partial(request, "OPTIONS")
post = functools.partial(request, "POST")
delete = functools.partial(request, "DELETE")
