"""The service with a planted fault: no deadline of a game is ever handled."""

import sys

from app.__main__ import main
from app.game import Command, Tick
from app.realtime.room import Room

_handle = Room.handle


async def _fail_on_time(self: Room, command: Command, *arguments: object) -> object:
    if isinstance(command, Tick):
        raise RuntimeError("planted")
    return await _handle(self, command, *arguments)  # type: ignore[arg-type] # whatever it takes


if __name__ == "__main__":
    Room.handle = _fail_on_time  # type: ignore[method-assign,assignment] # the fault
    sys.exit(main())
