"""Whether the service takes new connections and games now."""

from dataclasses import dataclass

from app.eventlog import LogUnavailable
from app.realtime import Hub
from app.vocabulary import HandshakeOutcome
from app.web.error_answers import refused, unavailable


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether the hub takes new connections."""

    hub: Hub

    def require(self) -> None:
        """Refuse while the service takes nothing new. Raises RequestRefused."""
        if not self.hub.accepting:
            text = "this replica is going away; another one, or this one when it is back, takes you"
            raise refused(HandshakeOutcome.DRAINING, text, self.hub.back_in_ms())
        if not self.hub.log_health.reachable:
            raise unavailable(LogUnavailable())
        if self.hub.load.causes:
            raise refused(HandshakeOutcome.OVERLOADED, "the service is overloaded; come back in a moment")
