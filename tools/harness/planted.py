"""The service with faults planted into what is of eve: telling her that somebody is ready raises; so does her end."""

import sys
from typing import Any

from app.__main__ import main
from app.realtime.connection.outbox import Outbox
from app.realtime.connection.session import Session
from app.transport import Frame

NAME = "eve"
_put_now, _end, _join = Outbox.put_now, Outbox.end, Session.join
_of_eve: set[Outbox] = set()


def _join_late(self: Session, identity: Any, room: Any) -> None:
    if identity.name == NAME:
        _of_eve.add(self.outbox)
    _join(self, identity, room)


def _put(self: Outbox, frame: Frame) -> bool:
    if self in _of_eve and b'"player_ready"' in frame.wire:
        raise RuntimeError("Cannot call write() after write_eof()")
    return _put_now(self, frame)


def _end_badly(self: Outbox) -> None:
    _end(self)
    if self in _of_eve:
        raise RuntimeError("a fault at the end")


if __name__ == "__main__":
    Session.join = _join_late  # type: ignore[method-assign] # the fault
    Outbox.put_now = _put  # type: ignore[method-assign] # the fault
    Outbox.end = _end_badly  # type: ignore[method-assign] # the fault
    sys.exit(main())
