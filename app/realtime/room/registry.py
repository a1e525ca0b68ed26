"""The rooms of this replica: loaded while they are used; whose deadline has come, or whose verdict, moves on.

A game whose room is not loaded is still looked after: its deadline is known, and loads it. A room that nobody uses any
more is kept while lost players may come back to it (`KeptRooms`).
"""

import asyncio
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Final

from app.aio.tasks import TaskOwner
from app.eventlog import START, EventLog, LogUnavailable
from app.game import (
    Command,
    Create,
    EndGame,
    GameEvent,
    GameState,
    Phase,
    Problem,
    RecordVerdict,
    Remove,
    Rules,
    Tick,
    deadline,
    decide,
    fold,
)
from app.protocol import Close
from app.realtime.cluster.log_health import LogHealth
from app.realtime.room.judging import Judging
from app.realtime.room.kept import KeptRooms, is_awaited
from app.realtime.room.known_games import KnownGames
from app.realtime.room.pace import Pace
from app.realtime.room.room import Room, RoomContext
from app.settings import GameSettings
from app.telemetry.bulkhead import Bulkhead
from app.telemetry.observer import Observer
from app.telemetry.tracer import Link, Maybe, Value
from app.vocabulary import LogTrouble, SpanName
from app.workers.share import ALONE

TICK_RETRY_MS: Final = 1_000
FAULT_RETRY_MS: Final = 30_000
"""A game that something of its own keeps from moving on is tried again, but is not all that is in the log."""


class Rooms:
    """All loaded rooms, by game id; `something_ended` is set whenever a race or a connection ends.

    Those it makes are of its `share`, that of the only process unless a worker is given another.
    """

    def __init__(
        self,
        log: EventLog,
        health: LogHealth,
        games: KnownGames,
        judging: Judging,
        pace: Pace,
        tasks: TaskOwner,
        settings: GameSettings,
    ) -> None:
        self.share = ALONE
        self.loaded: dict[str, Room] = {}
        self.something_ended = asyncio.Event()
        self.pace = pace
        self._log = log
        self._health = health
        self.games = games
        self._judging = judging
        self._finished_linger_s = settings.finished_linger_s
        self._tasks = tasks
        self._observer: Observer = pace.policy.observer
        self._context = RoomContext(
            log,
            log.coordination,
            health,
            pace.policy,
            pace,
            games.now,
            pace.limits,
            Bulkhead(self._observer.fault, "room"),
            self._observer.fault,
            self._changed,
            judging.enqueue,
            self._fell_behind,
        )
        self._kept = KeptRooms()
        self._loading: dict[str, asyncio.Task[Room | None]] = {}
        self._catching_up: set[str] = set()

    def most_events(self) -> Iterator[int]:
        """Yield how many events the largest game has of those looked at so far; the last is of all that are loaded."""
        return accumulate((room.known.seq for room in tuple(self.loaded.values())), max, initial=0)

    def start(self) -> None:
        """Judge, and keep deadlines, from now on."""
        self._judging.start(self._tasks, self._record)
        self._tasks.spawn(self.games.deadlines.run(self._fire), "timers")

    # ---------------------------------------------------------------- games

    async def create(self, host_id: str, problem: Problem, rules: Rules) -> GameState:
        """Make a game. Raises LogUnavailable."""
        game_id = self.share.new_game_id()
        command = Create(game_id, host_id, problem, rules)
        events = decide(None, command, self.games.now())
        with self.traced(SpanName.CREATE, {"game.id": game_id, "player.id": host_id}), self._health.appending():
            await self._log.append(game_id, START, events)
        state = fold(events)
        if state is None:
            raise LookupError(game_id)  # a fold over game_created is a game
        self.games.remember(state)
        return state

    async def state(self, game_id: str) -> GameState | None:
        """Return the state of a game, None where there is none. Raises LogUnavailable."""
        async with self.use(game_id) as room:
            return room.known if room else None

    async def events(self, game_id: str) -> list[GameEvent]:
        """Read all events of a game, hidden parts included. Raises LogUnavailable."""
        return [event for commit in await self._log.read(game_id) for event in commit.events]

    async def remove(self, game_id: str, player_id: str) -> None:
        """Put a player out of a game. Raises Rejected, LogUnavailable."""
        with self.traced(SpanName.REMOVE, {"game.id": game_id, "player.id": player_id}):
            await self._handle(game_id, Remove(player_id))

    async def end(self, game_id: str) -> bool:
        """End a game; False where there is none. Raises Rejected, LogUnavailable."""
        with self.traced(SpanName.END, {"game.id": game_id}):
            async with self.use(game_id) as room:
                if room is None:
                    return False
                await room.handle(EndGame())
                return True

    def ending_within(self, seconds: float) -> list[str]:
        """Return the races with members here that end soon: their time runs out, or they are decided."""
        until = self.games.now() + seconds * 1000
        return [room.game_id for room in self.loaded.values() if room.members and _ends_by(room.known, until)]

    # ---------------------------------------------------------------- loaded while they are used

    def use(self, game_id: str) -> "_Using":
        """Give the room of a game, loaded and kept for the block; None where there is no such game.

        Raises LogUnavailable.
        """
        return _Using(self, game_id)

    async def take(self, game_id: str) -> Room | None:
        """Load a game, if there is one, and count in one that uses its room, to be released. Raises LogUnavailable."""
        room = await self._load(game_id)
        while room is not None and self.loaded.get(game_id) is not room:
            room = await self._load(game_id)  # released between being loaded and being handed to us
        if room is not None:
            room.users += 1
        return room

    async def _load(self, game_id: str) -> Room | None:
        room = self.loaded.get(game_id)
        if room is not None:
            return room
        room = self._kept.take(game_id)
        if room is not None:
            self.loaded[game_id] = room
            return room
        loading = self._loading.get(game_id)
        if loading is None:
            loading = asyncio.get_running_loop().create_task(self._read_room(game_id))
            self._loading[game_id] = loading
        return await asyncio.shield(loading)

    async def _read_room(self, game_id: str) -> Room | None:
        room = Room(game_id, self._context)
        try:
            if not await room.load():
                return None
        finally:
            del self._loading[game_id]  # at once: whoever found it done and its room released would ask it for ever
        self.loaded[game_id] = room
        return room

    def release(self, room: Room) -> None:
        """Count out one that used a room (`Room.users`); where nobody does, it is let go or kept."""
        room.users -= 1
        if room.is_idle and self.loaded.get(room.game_id) is room:
            del self.loaded[room.game_id]
            if not self._log.shared and is_awaited(room.known):
                room.rest()
                self._kept.keep(room)
                return
            room.close()
            if room.known.phase is Phase.FINISHED or self._log.shared:  # else it goes on here, and only here
                self.games.counts.forget(room.game_id)

    # ---------------------------------------------------------------- what rooms report

    def _changed(self, room: Room, before: Phase | None) -> None:
        self.games.remember(room.known)
        if room.known.phase is Phase.FINISHED and before not in {None, Phase.FINISHED}:
            self.something_ended.set()
            self.linger(room)

    def _fell_behind(self, room: Room) -> None:
        self._health.note_gap()
        if room.game_id not in self._catching_up:
            self._catching_up.add(room.game_id)
            self._tasks.spawn(self._catch_up(room), "catch up")

    async def _catch_up(self, room: Room) -> None:
        try:
            await self.catch_up(room)
        except LogUnavailable as error:
            self._health.note_failure("catch up", error)  # the sweep tries again
        finally:
            self._catching_up.discard(room.game_id)

    async def catch_up(self, room: Room) -> None:
        """Have a room read on; where this release cannot read, its players are sent to find a replica that can.

        Raises LogUnavailable.
        """
        try:
            await room.catch_up()
        except LogUnavailable as error:
            if error.trouble is LogTrouble.UNREADABLE and self.loaded.pop(room.game_id, None) is not None:
                room.close_all(Close.INTERNAL, "another replica may be able to read the game")
                room.close()  # who comes to it now is refused
            raise

    def linger(self, room: Room) -> None:
        """Let go of a game that is over: its connections end after a while."""
        asyncio.get_running_loop().call_later(self._finished_linger_s, self._end_lingering, room)

    def _end_lingering(self, room: Room) -> None:
        room.close_all(Close.NORMAL, "the game is over")

    # ---------------------------------------------------------------- time and verdicts

    def _fire(self, game_id: str) -> None:
        self._tasks.spawn(self._tick(game_id), "deadline")

    async def _tick(self, game_id: str) -> None:
        try:
            with self.traced(SpanName.TICK, {"game.id": game_id}):
                due = await self._handle(game_id, Tick())
        except LogUnavailable:
            self.games.deadlines.retry(game_id, self.games.now() + TICK_RETRY_MS)
            raise
        except Exception:  # no sweep looks at a game that is not loaded: forgotten here, it would never end
            self.games.deadlines.retry(game_id, self.games.now() + FAULT_RETRY_MS)
            raise
        if due is None or due > self.games.now():  # else it should have moved on: it stays overdue
            self.games.deadlines.set(game_id, due)

    def traced(self, name: SpanName, attributes: Mapping[str, Value] | None = None, link: Link | None = None) -> Maybe:
        """Run a block that no message caused in a trace of its own, which points at `link`."""
        return self._observer.tracer.root(name, link, attributes)

    async def _record(self, game_id: str, verdict: RecordVerdict) -> None:
        await self._handle(game_id, verdict)

    async def _handle(self, game_id: str, command: Command) -> int | None:
        """Handle a command; the game's deadline after it."""
        async with self.use(game_id) as room:
            if room is None:
                return None
            await room.handle(command)
            return deadline(room.known)


class _Using:
    """A block in which a room is used; as a generator it would cost each handshake and each command twice as much."""

    __slots__ = ("_game_id", "_room", "_rooms")

    def __init__(self, rooms: Rooms, game_id: str) -> None:
        self._rooms = rooms
        self._game_id = game_id
        self._room: Room | None = None

    async def __aenter__(self) -> Room | None:
        self._room = await self._rooms.take(self._game_id)
        return self._room

    async def __aexit__(self, *_: object) -> None:
        if self._room is not None:
            self._rooms.release(self._room)


def _ends_by(state: GameState, until: float) -> bool:
    """Tell whether a race ends by `until` (epoch ms), without anybody doing anything more."""
    if state.phase is not Phase.RUNNING or state.ends_at is None:
        return False
    return state.decided_at is not None or state.ends_at <= until
