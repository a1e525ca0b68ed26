"""What is known of all games, loaded or not: when each is due to move on, and how many this replica leads."""

from collections.abc import Callable
from typing import Final

from app.game import GameState, deadline
from app.realtime.cluster.replicas import Replicas
from app.realtime.room.counts import GameCounts
from app.realtime.room.deadlines import Deadlines
from app.telemetry.bulkhead import ReportFault

BACKUP_MS: Final = 500
"""So much later than the replica that leads a game do the others act for it: usually there is nothing left to do."""


class KnownGames:
    """Keeps the deadlines and the counts; `now` is the games' clock in epoch milliseconds."""

    def __init__(self, replicas: Replicas, now: Callable[[], int], report: ReportFault) -> None:
        self.now = now
        self.counts = GameCounts()
        self.deadlines = Deadlines(now, report)
        self._replicas = replicas

    def remember(self, state: GameState) -> None:
        """Keep what has changed. The game is counted, and its time kept first, by the replica that leads it."""
        due = deadline(state)
        leads = self._replicas.leads(state)
        self.deadlines.set(state.game_id, due if leads or due is None else due + BACKUP_MS)
        if leads or due is None:
            self.counts.note(state)
        if not leads:
            self.counts.forget(state.game_id)
