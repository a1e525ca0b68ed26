"""The service with a planted fault: being ready blocks the event loop until somebody writes to the FIFO ``gate``."""

import sys
from pathlib import Path

from app.__main__ import main
from app.game import PlayerCommand, SetReady
from app.realtime.room.room import Room

_act = Room.act


async def stand_still(self: Room, command: PlayerCommand) -> int | None:
    """Block where a player says to be ready."""
    if isinstance(command, SetReady):
        Path("gate").read_bytes()  # noqa: ASYNC240 - that it blocks is the fault
    return await _act(self, command)


if __name__ == "__main__":
    Room.act = stand_still  # type: ignore[method-assign] # the fault
    sys.exit(main())
