"""Which connection plays in which room: entering, joining, and what is reported to the log at a connection's end."""

import contextlib
from collections.abc import Callable
from typing import Final

from app.aio.tasks import TaskOwner
from app.eventlog import LogUnavailable
from app.game import Disconnect, Phase, Rejected
from app.protocol import Close
from app.realtime.cluster.bans import Bans
from app.realtime.connection.session import Session
from app.realtime.identity import Identity
from app.realtime.room.registry import Rooms
from app.realtime.room.room import Room
from app.realtime.room.welcome import Welcome
from app.refusals import REFUSALS, REJECTIONS
from app.vocabulary import HandshakeOutcome, SpanName

_CLOSING_RANK: Final = {Phase.WAITING: 0, Phase.FINISHED: 0, Phase.COUNTDOWN: 1, Phase.RUNNING: 2}


class Membership:
    """Seats sessions in rooms; a room is used as long as one has a seat in it.

    `reports_ends` says whether the end of a connection is reported to the log.
    """

    def __init__(
        self,
        rooms: Rooms,
        welcome: Welcome,
        tasks: TaskOwner,
        reports_ends: Callable[[], bool],
        bans: Bans,
    ) -> None:
        self._rooms = rooms
        self._welcome = welcome
        self._tasks = tasks
        self._reports_ends = reports_ends
        self._bans = bans
        self._room_of: dict[Session, Room] = {}

    async def enter(self, session: Session, room: Room, identity: Identity, last_seq: int | None) -> None:
        """Seat a connection in a game, to its end, and have the log say that its player is here."""
        self._room_of[session] = room
        room.users += 1
        session.join(identity, room)
        ban = self._bans.find(identity.player_id)
        if ban is not None:  # since the handshake was let through
            session.start()
            session.close(Close.FORBIDDEN, ban.text)
            return
        room.enter(session, identity.name, last_seq, self._welcome)
        session.start()
        await self.join(room, session, identity.name)

    async def join(self, room: Room, session: Session, name: str) -> None:
        """Have the log say that a member's player is here; a connection that may not join is closed."""
        if room.known.phase is Phase.FINISHED:
            self._rooms.linger(room)
            return
        try:
            with self._rooms.traced(SpanName.JOIN, link=session.link):
                await room.join(session, name)
        except Rejected as rejected:
            refused = REJECTIONS[rejected.code]
            session.close(refused.close, rejected.message, refused.retry_after_ms())
        except LogUnavailable:
            unavailable = REFUSALS[HandshakeOutcome.UNAVAILABLE]
            session.close(unavailable.close, "the event log is unavailable", unavailable.retry_after_ms())

    def end(self, session: Session) -> None:
        """Take out a connection that is over: its seat is free, and that is reported to the log."""
        room = self._room_of.pop(session, None)
        if room is None:
            return
        room.exit(session)
        self._rooms.something_ended.set()
        self._tasks.spawn(self._disconnected(room, session), "disconnect")

    async def _disconnected(self, room: Room, session: Session) -> None:
        try:
            if self._reports_ends():
                with contextlib.suppress(LogUnavailable), self._rooms.traced(SpanName.DISCONNECT, link=session.link):
                    # the sweep finds who is gone unreported
                    await room.handle(Disconnect(session.player_id, session.connection_id, session.retry_after_ms))
        finally:
            self._rooms.release(room)

    def room_of(self, session: Session) -> Room | None:
        """Return the room a connection has a seat in, if it has one yet."""
        return self._room_of.get(session)

    def closing_ranks(self) -> dict[Session, int]:
        """Rank how much the end of each member would disturb: of a waiting game little, of a race most."""
        return {
            session: _CLOSING_RANK[room.known.phase]
            for room in self._rooms.loaded.values()
            for session in room.members.values()
        }
