"""The service with planted faults: being ready raises what nobody expects, and so does coming in as eve."""

import sys

from app.__main__ import main
from app.realtime.identity import Identity
from app.realtime.room.room import Room
from app.realtime.room.seat import RoomSeat
from app.web.handshake.admission import Admission

SECRET_DETAIL = "a detail that must not leave the server"


async def _fail(self: RoomSeat, ready: bool, cause: str | None) -> int | None:  # noqa: ARG001 - the method's own
    raise RuntimeError(SECRET_DETAIL)


_require_joinable = Admission.require_joinable


def _refuse_eve(self: Admission, room: Room | None, identity: Identity, last_seq: int | None, client: str) -> Room:
    if identity.player_id == "eve":
        raise RuntimeError(SECRET_DETAIL)
    return _require_joinable(self, room, identity, last_seq, client)


if __name__ == "__main__":
    Admission.require_joinable = _refuse_eve  # type: ignore[method-assign] # the fault
    RoomSeat.ready = _fail  # type: ignore[method-assign] # the fault
    sys.exit(main())
