"""What Prometheus is told to scrape, by its HTTP service discovery: asked alike of one process and of several."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

_HOST: Final = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d+)?$")


def listed(asked: str, ports: Iterable[int]) -> bytes:
    """List targets on these ports of the host that was `asked`. Raises ValueError: `asked` is no host."""
    named = _HOST.match(asked)
    if named is None:
        raise ValueError("Host is no host")
    return _encoded([f"{named[1]}:{port}" for port in ports])


def listed_itself(asked: str) -> bytes:
    """List what was `asked` as the only target. Raises ValueError: it is no host."""
    if _HOST.match(asked) is None:
        raise ValueError("Host is no host")
    return _encoded([asked])


NOBODY: Final = b"[]"
"""There is nothing to scrape."""


def _encoded(targets: list[str]) -> bytes:
    return msgspec.json.encode([{"targets": targets, "labels": {}}])
