"""Health: whether this replica has started, and whether it is ready for new connections.

What hits all replicas at once (the event log, an overload, missing signing keys) is shown, and makes a replica unready
only where READY_GATES names it: if every replica left the load balancer, nobody would be served at all.
"""

import time
from collections.abc import Callable, Collection

from app.realtime import Hub
from app.vocabulary import ReadinessCheck


class Health:
    """Decides readiness from what the hub knows and from how many signing keys there are.

    `gates` are the states that decide too; with the gate of the event log, readiness fails `grace_s` after its loss.
    """

    def __init__(self, hub: Hub, count_keys: Callable[[], int], gates: Collection[str], grace_s: float) -> None:
        self.has_begun = False
        """Whether the application's start-up has finished; who starts it sets this."""
        self.is_listening = True
        """Whether the game's port takes connections; who serves probes on another port sets this."""
        self._hub = hub
        self._count_keys = count_keys
        self._gates = frozenset(gates)
        self._grace_s = grace_s

    @property
    def is_started(self) -> bool:
        """Whether start-up has finished and connections are taken."""
        return self.has_begun and self.is_listening

    @property
    def is_ready(self) -> bool:
        """Whether all checks pass."""
        return all(self.checks.values())

    @property
    def event_log_connected(self) -> bool:
        """Whether the event log takes appends: it took the last one."""
        return self.has_begun and self._hub.log_health.reachable

    @property
    def states(self) -> dict[str, bool]:
        """What can hit all replicas at once, and whether each is well."""
        return {
            ReadinessCheck.EVENT_LOG: self.event_log_connected,
            ReadinessCheck.OVERLOAD: not self._hub.load.causes,
            ReadinessCheck.SIGNING_KEYS: self._count_keys() > 0,
        }

    @property
    def checks(self) -> dict[str, bool]:
        """The checks of readiness, by name, and whether each passes."""
        own = {
            "started": self.is_started,
            "event_log_reached": self._hub.log_health.is_reached,
            "not_draining": not self._hub.draining,
        }
        return own | {name: passed for name, passed in self._gated.items() if name in self._gates}

    @property
    def _gated(self) -> dict[str, bool]:
        lost_s = time.monotonic() - self._hub.log_health.lost_at
        return self.states | {ReadinessCheck.EVENT_LOG: self.event_log_connected or lost_s <= self._grace_s}
