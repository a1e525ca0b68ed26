"""In-process delivery of commits, for backends that live in one process."""

from collections.abc import Callable

from app.eventlog.coordination import Subscription
from app.eventlog.port import Commit
from app.telemetry.bulkhead import Bulkhead, ReportFault

Deliver = Callable[[Commit], None]


class _Handle:
    __slots__ = ("_deliver", "_game_id", "_owner")

    def __init__(self, owner: "LocalFanout", game_id: str, deliver: Deliver) -> None:
        self._owner, self._game_id, self._deliver = owner, game_id, deliver

    def close(self) -> None:
        self._owner.remove(self._game_id, self._deliver)


class LocalFanout:
    """Holds who wants the commits of which game; a game that nobody wants leaves no key behind.

    A subscriber that raises is reported, and the others get theirs.
    """

    def __init__(self, report: ReportFault) -> None:
        self._bulkhead = Bulkhead(report, "subscriber")
        self._deliveries: dict[str, list[Deliver]] = {}

    def add(self, game_id: str, deliver: Deliver) -> Subscription:
        """Deliver the commits of `game_id` from now on."""
        self._deliveries.setdefault(game_id, []).append(deliver)
        return _Handle(self, game_id, deliver)

    def remove(self, game_id: str, deliver: Deliver) -> None:
        """Stop delivering; who is not subscribed is ignored."""
        deliveries = self._deliveries.get(game_id, [])
        if deliver in deliveries:
            deliveries.remove(deliver)
        if not deliveries:
            self._deliveries.pop(game_id, None)

    def publish(self, game_id: str, commit: Commit) -> None:
        """Deliver a commit to everybody subscribed now."""
        for deliver in tuple(self._deliveries.get(game_id, ())):
            with self._bulkhead:
                deliver(commit)
