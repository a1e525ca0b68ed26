"""What a player meets on the way into a game, measured where the player is: sent in ``hello``, once a connection."""

import time
from typing import Any

from code_racer_client.protocol import MAX_HELLO_COUNT, MAX_HELLO_MS, MAX_OUTAGE_MS


class Arrival:
    """Measures from the call of `connect` to the first snapshot, and from a loss to the next one."""

    def __init__(self) -> None:
        self._since = self._tried = time.monotonic()
        self._open_s = 0.0
        self._failed_attempts = self._joins = 0
        self._is_in = False

    @property
    def is_return(self) -> bool:
        """Whether the player was in before."""
        return self._joins > 0

    def begin(self) -> None:
        """Note that the player wants to come: nothing from before counts."""
        self._since = time.monotonic()
        self._failed_attempts = self._joins = 0
        self._is_in = False

    def tried(self) -> None:
        """Note that an attempt begins."""
        self._tried = time.monotonic()

    def opened(self) -> None:
        """Note that the attempt came to a connection."""
        self._open_s = time.monotonic() - self._tried

    def ended(self) -> None:
        """Note that the connection is lost, or that the attempt came to nothing."""
        if self._is_in:
            self._since = time.monotonic()
            self._is_in = False
        else:
            self._failed_attempts += 1

    def joined(self) -> dict[str, Any]:
        """Note the snapshot, or what is sent instead of one; return the data of ``hello``."""
        waited_ms = (time.monotonic() - self._since) * 1000
        data: dict[str, Any] = {
            "reconnects": min(self._joins, MAX_HELLO_COUNT),
            "failed_attempts": min(self._failed_attempts, MAX_HELLO_COUNT),
            "open_ms": min(self._open_s * 1000, MAX_HELLO_MS),
        }
        if self._joins:
            data["outage_ms"] = min(waited_ms, MAX_OUTAGE_MS)
        else:
            data["join_ms"] = min(waited_ms, MAX_HELLO_MS)
        self._joins += 1
        self._failed_attempts = 0
        self._is_in = True
        return data
