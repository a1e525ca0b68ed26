"""The service with one planted fault: being ready raises what nobody expects."""

import sys

from app.__main__ import main
from app.realtime.room import RoomSeat

SECRET_DETAIL = "a detail that must not leave the server"


async def _fail(self: RoomSeat, ready: bool, cause: str | None) -> int | None:  # noqa: ARG001 - the method's own
    raise RuntimeError(SECRET_DETAIL)


if __name__ == "__main__":
    RoomSeat.ready = _fail  # type: ignore[method-assign] # the fault
    sys.exit(main())
