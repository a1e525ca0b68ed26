"""The service with two planted faults: a player's leaving is told 0.3 s late, and being ready raises."""

import sys

from app.__main__ import main
from app.eventlog.fanout import LocalFanout
from app.realtime.room.seat import RoomSeat
from tools.harness.late import publish_late


async def _fail(self: RoomSeat, ready: bool, cause: str | None) -> int | None:  # noqa: ARG001 - the method's own
    raise RuntimeError("planted")


if __name__ == "__main__":
    LocalFanout.publish = publish_late  # type: ignore[method-assign] # the fault
    RoomSeat.ready = _fail  # type: ignore[method-assign] # the fault
    sys.exit(main())
