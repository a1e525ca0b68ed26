"""The sweep: what a fault, a restart or a replica that died has left undone is taken up, again and again.

Every open game is somebody's: whoever has players in it looks after it by its own clock. Those that nobody has fall to
the replica that their id says (`Replicas.shares`); the log's compare-and-append lets what is done twice happen once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from app.eventlog import EventLog, LogUnavailable
from app.game import CodeSubmitted, Disconnect, GameState, Phase, Tick, deadline
from app.realtime.cluster.log_health import LogHealth
from app.realtime.cluster.replicas import Replicas
from app.realtime.connection.session import Session
from app.realtime.room.registry import Rooms
from app.realtime.room.room import Room
from app.settings import EventLogSettings
from app.telemetry.observer import Observer

EXPIRING: Final = "expiring"
LIST_EVERY_S: Final = 60.0
"""All open games are listed so often, besides when a replica has gone: there may be thousands."""
TAKEN_UP_AT_ONCE: Final = 64
"""More would keep the event loop longer from those who join meanwhile, and save little."""


JoinRoom = Callable[[Room, Session, str], Awaitable[None]]
"""Have the log say that a member, whom it calls lost, is here all the same."""


class Sweeper:
    """Looks after all games; `log_bytes` and `log_limit_bytes` are as last looked at.

    `has_taken_up` is set once all games have been taken up that were under way when this replica started.
    """

    def __init__(
        self,
        rooms: Rooms,
        join: JoinRoom,
        log: EventLog,
        health: LogHealth,
        replicas: Replicas,
        settings: EventLogSettings,
        observer: Observer,
    ) -> None:
        self._rooms = rooms
        self._join = join
        self._log = log
        self._health = health
        self._replicas = replicas
        self._settings = settings
        self._report = observer.fault
        self._now = rooms.games.now
        self._list_at = 0.0
        self._found: dict[str, None] = {}
        self.has_taken_up = asyncio.Event()
        self.log_bytes = self.log_limit_bytes = 0

    @property
    def to_take_up(self) -> int:
        """Count the open games that are still to be taken up."""
        return len(self._found)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except LogUnavailable as error:
                self._health.note_failure("sweep", error)
            except Exception as error:  # noqa: BLE001 - the next sweep tries again
                self._report("sweep", error)
            await asyncio.sleep(self._settings.sweep_interval_s)

    async def sweep(self) -> None:
        """Sweep once. Raises LogUnavailable."""
        await self.catch_up()
        await self.adopt()
        for room in tuple(self._rooms.loaded.values()):
            if self._rooms.loaded.get(room.game_id) is room:
                await self._look_after(room.game_id, self._look_at(room))
            await asyncio.sleep(0)  # the turn of others: 9,000 players looked at in one go held them up for 11 ms
        self.log_bytes, self.log_limit_bytes = await self._log.usage()
        if not self._log.shared:
            await self._replicas.refresh()  # there is no other to learn of, but the machine's clock may have been set
        if self._replicas.shares(EXPIRING):
            retained = self._now() - round(self._settings.finished_game_retention_s * 1000)
            await self._log.expire(retained)
            now = round(time.time() * 1000)  # claims end by the machine's clock, as tickets do
            await self._log.coordination.expire(now)

    async def catch_up(self) -> None:
        """Read the commits that were missed. Raises LogUnavailable."""
        if not self._log.shared:
            return
        for game_id in await self._log.behind({game_id: room.cursor for game_id, room in self._rooms.loaded.items()}):
            room = self._rooms.loaded.get(game_id)
            if room is not None:
                self._health.note_gap()
                await self._look_after(game_id, self._rooms.catch_up(room))

    async def find(self) -> None:
        """Note the open games that fall to this replica and that it does not know, or, where one has gone, all.

        Raises LogUnavailable.
        """
        anew = self._replicas.take_change()
        if not anew and (not self._log.shared or time.monotonic() < self._list_at):
            return  # an embedded log's games are all known here, once they have been taken up
        try:
            self._list_at = time.monotonic() + LIST_EVERY_S
            found = await self._log.open_games()
        except LogUnavailable:
            self._replicas.give_back_change()
            raise
        for game_id in found:
            known = game_id in self._rooms.loaded or (game_id in self._rooms.games.deadlines and not anew)
            if not known and self._replicas.shares(game_id):
                self._found[game_id] = None

    async def adopt(self) -> None:
        """Take up what was found, many games at once: the log writes down together what comes together.

        Raises LogUnavailable; those that are left have their turn the next time.
        """
        await self.find()
        try:
            async with asyncio.TaskGroup() as takers:
                for _ in range(min(TAKEN_UP_AT_ONCE, len(self._found))):
                    takers.create_task(self._take_up_found(), name="take up")
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self.has_taken_up.set()

    async def _take_up_found(self) -> None:
        while self._found:
            game_id = next(iter(self._found))
            del self._found[game_id]
            try:
                await self._look_after(game_id, self._take_up(game_id))
            except BaseException:  # a cancelled sweep too: the game is still to be taken up, by the next one
                self._found[game_id] = None
                raise

    async def _look_after(self, game_id: str, work: Awaitable[None]) -> None:
        """Report what goes wrong with one game, like a log that cannot be read: the others have their turn.

        Raises LogUnavailable where the log is away, and so for all of them.
        """
        try:
            await work
        except Exception as error:
            if isinstance(error, LogUnavailable) and error.is_away:
                raise
            self._report("game", error, game_id)

    async def _take_up(self, game_id: str) -> None:
        async with self._rooms.use(game_id) as room:
            if room is not None:
                await self._reconcile(room)

    async def _look_at(self, room: Room) -> None:
        for submitted in room.known.pending.values():
            if self._is_due(submitted):
                room.request_verdict(submitted)
        await self._reconcile(room)

    def _is_due(self, submitted: CodeSubmitted) -> bool:
        """Return whether a submission should be judged by now: on a shared log, another replica may be at it."""
        return not self._log.shared or submitted.at + self._settings.sweep_interval_s * 1000 <= self._now()

    async def _reconcile(self, room: Room) -> None:
        """Have what is due happen, and the log and the connections agree on who is connected and who is lost.

        Those who are lost are lost in one commit: a replica that has gone may have had many players of many games.
        """
        if room.known.phase is Phase.FINISHED:
            return
        lost = tuple(
            Disconnect(player.id, one)
            for player in room.known.active_players
            if (one := player.connection_id) is not None and one not in room.members and self._is_over(one)
        )
        due = deadline(room.known)
        if lost or (due is not None and due <= self._now()):
            await room.handle(Tick(lost))
        for session in tuple(room.members.values()):
            name = _lost_name(room.known, session)
            if name is not None:
                await self._join(room, session, name)

    def _is_over(self, connection_id: str) -> bool:
        return self._replicas.is_own(connection_id) or self._replicas.is_gone(connection_id)


def _lost_name(state: GameState, session: Session) -> str | None:
    """Return the name of a session's player if the log says they are lost; not while they come in or leave."""
    player = state.players.get(session.player_id)
    if player is None or player.removed or session.ended is not None or not session.inbox.is_at_rest:
        return None
    return player.name if player.connection_id is None else None
