"""A message as this client passes it on: the decoded JSON object."""

from typing import Any, Final

import msgspec

JsonMessage = dict[str, Any]

MAX_ADVICE_MS: Final = 600_000
"""Nobody of ours asks for a longer wait."""
MALFORMED: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What decoding raises for whatever was sent: the last for what is nested without end."""


def decode(frame: str | bytes) -> JsonMessage | None:
    """Decode a frame; None where it holds no message."""
    try:
        message = msgspec.json.decode(frame)
    except MALFORMED:
        return None
    return message if isinstance(message, dict) and isinstance(message.get("type"), str) else None


def encode(message: JsonMessage) -> str:
    """Return a message as it is sent. Raises TypeError where its data are nothing that JSON has."""
    return msgspec.json.encode(message).decode()


def retry_after_s(data: JsonMessage) -> float | None:
    """Return how long the server asks to wait, in seconds; None where it does not ask, or not in a way to be read."""
    wait_ms = number(data.get("retry_after_ms"))
    return None if wait_ms is None or not 0 < wait_ms <= MAX_ADVICE_MS else wait_ms / 1000


def number(value: object) -> float | None:
    """Return a number of JSON that a float can be; None for anything else."""
    try:
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    except OverflowError:
        return None


def whole(value: object) -> int | None:
    """Return a whole number of JSON; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
