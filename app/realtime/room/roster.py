"""The members of one room: found by player, replaced, put out, ended."""

from app.game import PlayerJoined, PlayerReconnected
from app.protocol import Close, CloseRow
from app.realtime.connection.session import Session
from app.telemetry.bulkhead import Bulkhead
from app.transport import Frame


class Roster:
    """Acts on `members`, the room's sessions by connection id, in the order in which they entered."""

    __slots__ = ("_bulkhead", "_members")

    def __init__(self, members: dict[str, Session], bulkhead: Bulkhead) -> None:
        self._members = members
        self._bulkhead = bulkhead

    def of(self, player_id: str) -> list[Session]:
        """Return a player's connections here: the one that has joined, and those that have yet to join."""
        return [session for session in self._members.values() if session.player_id == player_id]

    def joined(self, event: PlayerJoined | PlayerReconnected) -> None:
        """Take up the player's current connection, which the log names; whichever had joined before it is replaced."""
        for session in self.of(event.player_id):
            if session.connection_id == event.connection_id:
                session.has_joined = True
            elif session.has_joined:
                self.replace(session)

    def replace(self, session: Session) -> None:
        """Remove and close a member, as another connection of the same player has come after it."""
        del self._members[session.connection_id]
        session.close(Close.REPLACED)

    def close_player(self, player_id: str, row: CloseRow) -> None:
        """End the connections of one player."""
        for session in self.of(player_id):
            session.close(row)

    def close_all(self, row: CloseRow, message: str) -> None:
        """End the connections of all members."""
        for session in tuple(self._members.values()):
            with self._bulkhead:
                session.close(row, message)

    def send(self, player_id: str, type: str, frame: Frame) -> None:
        """Send one message to a player alone."""
        for session in self.of(player_id):
            session.outbox.send_frame(type, frame)
