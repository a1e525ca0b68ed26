"""The service with two planted faults: a player's leaving is told 0.3 s late, and being ready raises."""

import sys
import time

from app.__main__ import main
from app.eventlog.fanout import LocalFanout
from app.eventlog.port import Commit
from app.game import PlayerLeft
from app.realtime.room import RoomSeat

LATE_S = 0.3
_publish = LocalFanout.publish


def _publish_late(self: LocalFanout, game_id: str, commit: Commit) -> None:
    if isinstance(commit.events[-1], PlayerLeft):
        time.sleep(LATE_S)  # the whole loop stands still, as in a garbage collection
    _publish(self, game_id, commit)


async def _fail(self: RoomSeat, ready: bool, cause: str | None) -> int | None:  # noqa: ARG001 - the method's own
    raise RuntimeError("planted")


if __name__ == "__main__":
    LocalFanout.publish = _publish_late  # type: ignore[method-assign] # the fault
    RoomSeat.ready = _fail  # type: ignore[method-assign] # the fault
    sys.exit(main())
