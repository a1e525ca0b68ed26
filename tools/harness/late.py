"""The service with a planted fault: a player's leaving is told 0.3 s late."""

import sys
import time

from app.__main__ import main
from app.eventlog.embedded import EmbeddedLog
from app.eventlog.port import Commit
from app.game import PlayerLeft

LATE_S = 0.3
_publish = EmbeddedLog.publish


def publish_late(self: EmbeddedLog, game_id: str, commit: Commit) -> None:
    """Tell of a leaving late."""
    if isinstance(commit.events[-1], PlayerLeft):
        time.sleep(LATE_S)  # the whole loop stands still, as in a garbage collection
    _publish(self, game_id, commit)


if __name__ == "__main__":
    EmbeddedLog.publish = publish_late  # type: ignore[method-assign] # the fault
    sys.exit(main())
