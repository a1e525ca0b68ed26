"""Whether the service takes new connections and games now."""

from dataclasses import dataclass

from app.eventlog import LogUnavailable
from app.realtime import Hub
from app.vocabulary import HandshakeOutcome
from app.web.problems import refused, unavailable


@dataclass(frozen=True, slots=True)
class Availability:
    """Asks the hub; `restart_hint_ms` is told while the service is going down."""

    hub: Hub
    restart_hint_ms: int

    def require(self) -> None:
        """Refuse while the service takes nothing new. Raises ProblemError."""
        if not self.hub.accepting:
            text = "the service is restarting; come back in a moment"
            raise refused(HandshakeOutcome.DRAINING, text, self.restart_hint_ms)
        if not self.hub.log_health.reachable:
            raise unavailable(LogUnavailable())
        if self.hub.load.causes:
            raise refused(HandshakeOutcome.OVERLOADED, "the service is overloaded; come back in a moment")
