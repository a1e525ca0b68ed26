"""The round trip, measured by pings of the client's own."""

import time

from code_racer_client.message import JsonMessage, number


class RoundTrip:
    """Measures from a ``ping`` to its ``pong``; `last_s` is what was measured last."""

    def __init__(self) -> None:
        self.last_s: float | None = None
        self._sent_ms: float | None = None

    def ping(self) -> JsonMessage:
        """Return the ``ping`` to be sent now, which tells the server the round trip measured last."""
        self._sent_ms = time.perf_counter() * 1000
        rtt_ms = None if self.last_s is None else self.last_s * 1000
        return {"type": "ping", "data": {"timestamp": self._sent_ms, "rtt_ms": rtt_ms}}

    def pong(self, data: JsonMessage) -> float | None:
        """Return the round trip in seconds; None where another ping is answered, which is the application's own."""
        if self._sent_ms is None or number(data.get("timestamp")) != self._sent_ms:
            return None
        self.last_s = time.perf_counter() - self._sent_ms / 1000
        return self.last_s
