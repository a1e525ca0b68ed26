"""The service with planted faults: being ready raises what nobody expects, and so does coming in as eve."""

import sys

from app.__main__ import main
from app.game import PlayerCommand, SetReady
from app.realtime.identity import Identity
from app.realtime.room.room import Room
from app.web.handshake.admission import Admission

SECRET_DETAIL = "a detail that must not leave the server"


_act = Room.act
_require_joinable = Admission.require_joinable


async def fail_ready(self: Room, command: PlayerCommand) -> int | None:
    """Raise where a player says to be ready."""
    if isinstance(command, SetReady):
        raise RuntimeError(SECRET_DETAIL)  # noqa: TRY004 - what nobody expects
    return await _act(self, command)


def _refuse_eve(self: Admission, room: Room | None, identity: Identity, last_seq: int | None, client: str) -> Room:
    if identity.player_id == "eve":
        raise RuntimeError(SECRET_DETAIL)
    return _require_joinable(self, room, identity, last_seq, client)


if __name__ == "__main__":
    Admission.require_joinable = _refuse_eve  # type: ignore[method-assign] # the fault
    Room.act = fail_ready  # type: ignore[method-assign] # the fault
    sys.exit(main())
