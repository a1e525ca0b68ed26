"""A message as this client passes it on: the decoded JSON object."""

from typing import Any

JsonMessage = dict[str, Any]


def retry_after_s(data: JsonMessage) -> float | None:
    """Return how long the server asks to wait, in seconds; None where it does not ask."""
    wait_ms = data.get("retry_after_ms")
    return None if wait_ms is None else float(wait_ms) / 1000
