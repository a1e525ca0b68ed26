"""The service with a planted fault: the end of a countdown is never handled."""

import sys
from typing import Any

from app.__main__ import main
from app.game import Command, Phase, Tick
from app.realtime.room.room import Room

_handle = Room.handle


async def _fail_on_time(self: Room, command: Command, *arguments: Any) -> object:
    if isinstance(command, Tick) and self.known.phase is Phase.COUNTDOWN:
        raise RuntimeError("planted")
    return await _handle(self, command, *arguments)


if __name__ == "__main__":
    Room.handle = _fail_on_time  # type: ignore[method-assign,assignment] # the fault
    sys.exit(main())
