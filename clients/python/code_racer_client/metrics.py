"""What a client counts of its connections."""

from collections.abc import Callable
from typing import Any

from code_racer_client.calling_out import CallFailed, call


class WebSocketMetrics:
    """Counts of one client or of several that share it.

    `rtt_s` is the last measured round trip in seconds; `certificate_end_s` when the certificate met last ends, in epoch
    seconds: None without TLS.
    """

    def __init__(self) -> None:
        self.connection_count = 0
        self.message_count = 0
        self.error_count = 0
        self.reconnect_count = 0
        self.resume_count = 0
        self.rtt_s: float | None = None
        self.certificate_end_s: float | None = None

    def record_connection(self, certificate_end_s: float | None) -> None:
        """Count a connection that came up."""
        self.connection_count += 1
        self.certificate_end_s = certificate_end_s

    def record_message(self) -> None:
        """Count a message that came in."""
        self.message_count += 1

    def record_error(self) -> None:
        """Count an ``error`` that came in, or a connection that was refused or lost."""
        self.error_count += 1

    def record_reconnect(self) -> None:
        """Count a connection that is about to be made again."""
        self.reconnect_count += 1

    def record_resume(self) -> None:
        """Count a reconnect after which the server sent what was missed instead of a snapshot."""
        self.resume_count += 1

    def record_rtt(self, rtt_s: float) -> None:
        """Record a measured round trip."""
        self.rtt_s = rtt_s

    def get_metrics(self) -> dict[str, Any]:
        """Return all figures, by name."""
        return dict(vars(self))


class Counting:
    """Counts with metrics that may be the application's own: what they raise is told, and stops nothing."""

    def __init__(self, metrics: WebSocketMetrics, fault: Callable[[BaseException, str], None]) -> None:
        self._metrics = metrics
        self._fault = fault

    def __call__(self, method: Callable[..., None], *figures: float | None) -> None:
        """Call the method of this name, which may be overridden, or missing."""
        try:
            call(lambda: getattr(self._metrics, method.__name__)(*figures))
        except CallFailed as failed:
            self._fault(failed.error, "metrics")
