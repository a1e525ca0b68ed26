"""The service with a planted fault: being ready blocks the event loop until somebody writes to the FIFO ``gate``."""

import sys
from pathlib import Path

from app.__main__ import main
from app.realtime.room.seat import RoomSeat


async def stand_still(self: RoomSeat, ready: bool, cause: str | None) -> int | None:  # noqa: ARG001 - the method's own
    Path("gate").read_bytes()  # noqa: ASYNC240 - that it blocks is the fault
    return None


if __name__ == "__main__":
    RoomSeat.ready = stand_still  # type: ignore[method-assign] # the fault
    sys.exit(main())
