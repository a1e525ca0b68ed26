"""Values of the command line: each is read in one way, and what is none is told with how it is written."""

import argparse
import contextlib
import math
import re
from typing import Final
from urllib.parse import urlsplit

from app.process import usable_cores
from app.settings import MAX_WORKERS, WorkerSettings, number_of_workers
from app.workers import Inherited

MAX_TTL_S: Final = 3_650 * 86_400
_TTL: Final = re.compile(r"(\d+)([smhd]?)")
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def inherited(text: str) -> Inherited:
    """Read what a supervisor gives a worker. Raises ArgumentTypeError."""
    try:
        return Inherited.decode(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"only `serve --workers` starts one: {error}") from None


def workers(text: str) -> str:
    """Verify a number of processes, or auto. Raises ArgumentTypeError."""
    try:
        number_of_workers(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def wanted_workers(given: str | None, settings: WorkerSettings) -> tuple[str, int]:
    """Return who says how many workers there are to be, and how many: what was `given`, else WORKERS, else the next."""
    asked = {"--workers": given, "WORKERS": settings.workers, "WEB_CONCURRENCY": settings.web_concurrency}
    name, text = next(((name, text) for name, text in asked.items() if text), ("WORKERS", "1"))
    count = number_of_workers(text)
    return name, min(usable_cores(), MAX_WORKERS) if count is None else count


def ttl(text: str) -> int:
    """Read a time like 90s, 30m, 2h or 7d, in seconds. Raises ArgumentTypeError."""
    match = _TTL.fullmatch(text)
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 0 < seconds <= MAX_TTL_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no time up to ten years; write it like 90s, 30m, 2h or 7d")
    return seconds


def url(text: str) -> str:
    """Read the URL of a service. Raises ArgumentTypeError."""
    with contextlib.suppress(ValueError):  # a port, or a host, that is none
        parts = urlsplit(text)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return text
    raise argparse.ArgumentTypeError(f"{text!r} is no URL of a service; write it like https://race.example.org")


def plain_url(text: str) -> str:
    """Read the URL of a replica, without TLS. Raises ArgumentTypeError."""
    if not url(text).startswith("http://"):
        raise argparse.ArgumentTypeError(
            f"{text!r}: no certificate is valid for the address of a replica; write it like http://code-racer-each:8080"
        )
    return text


def positive(text: str) -> float:
    """Read a number of seconds. Raises ArgumentTypeError."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds; write one that is more than 0")
