"""A player's seat in a room: what a connection asks for, as commands of the game."""

from app.game import Command, GameEvent, LeaveGame, Phase, SetReady, Submit
from app.realtime.room.pace import Pace
from app.realtime.room.room import Room


class RoomSeat:
    """Turns what one player's connection asks for into commands, at the pace that the game allows."""

    __slots__ = ("_pace", "_player_id", "room")

    def __init__(self, room: Room, player_id: str, pace: Pace) -> None:
        self.room = room
        self._player_id = player_id
        self._pace = pace

    async def ready(self, ready: bool, cause: str | None) -> int | None:
        """Say to be ready or not; the seq of the event it caused, if any. Raises TooFast, Rejected, LogUnavailable."""
        return await self._handle(SetReady(self._player_id, ready, cause), cause)

    async def submit(self, code: str, language: str, cause: str | None) -> int | None:
        """Hand in code; the seq of the event it caused. Raises as `ready`."""
        return await self._handle(Submit(self._player_id, code, language, cause), cause)

    async def leave(self, cause: str | None) -> int | None:
        """Go for good; the seq of the event it caused. Raises as `ready`."""
        return await self._handle(LeaveGame(self._player_id, cause), cause)

    def progress(self, percent: float | None, lines: int | None) -> None:
        """Show the others how far the player is, while the race runs."""
        if self.room.known.phase is Phase.RUNNING:
            self.room.broadcast_progress(self._player_id, percent, lines)

    async def _handle(self, command: Command, cause: str | None) -> int | None:
        room = self.room
        self._pace.take_command(room.game_id, self._player_id, len(room.members))
        return self._seq(await room.handle(command), cause)

    def _seq(self, events: list[GameEvent], cause: str | None) -> int | None:
        """Find the seq of the event that `cause` led to, now or, where the message is a repeat, back then."""
        if cause is None:
            return None
        for event in events:
            if event.cause == cause:
                return event.seq
        player = self.room.known.players.get(self._player_id)
        return player.seen.get(cause) if player else None
