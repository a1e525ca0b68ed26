"""The games of this replica, for those who operate it: those that are loaded in a list, any by its id."""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from app.console.connections import ConnectionRow, ConnectionsView, Listing
from app.console.event_rates import EventRates
from app.console.slices import in_slices
from app.console.walking import Chosen, Page, RowPlace, choose, cursor_of, placed
from app.console.whom import Whom
from app.game import CodeSubmitted, GameEvent, GameState, Player
from app.realtime import Hub, Room
from app.vocabulary import GameSort, LeaveReason, Phase

_HIDDEN: Final = ("code", "tests", "detail", "cause", "traceparent", "problem", "rules", "players", "seq", "at")
"""What an operator sees nothing of, or otherwise: whatever is, or may quote, what a player has written."""

GAMES_AT_ONCE: Final = 50
"""Whose players are looked at before others have their turn of the event loop."""


class GameRow(Struct, frozen=True, kw_only=True):
    """One game; moments in seconds since the epoch. `members` are its connections on this replica.

    `spectators` are those of them whose player is not in the game; `judging` counts submissions without a verdict.
    """

    cursor: str
    replica: str
    game_id: str
    phase: Phase
    problem: str
    host_id: str
    members: int
    spectators: int
    players: int
    events: int
    events_per_minute: float
    overdue_s: float
    judging: int
    created_at: float
    starts_at: float | None
    ends_at: float | None


class GamePage(Page, frozen=True, kw_only=True):
    """A page of games."""

    rows: list[GameRow]


class GamePlayer(Struct, frozen=True, kw_only=True):
    """One player of a game as its log has them; `out` is why they are in it no more."""

    player_id: str
    name: str
    connection_id: str | None
    out: LeaveReason | None
    ready: bool
    attempts: int
    tests_passed: int
    accepted: bool
    judging: bool
    events: int


class GameStatus(Struct, frozen=True):
    """A game with its players, and its connections; `missing` are replicas that did not answer."""

    game: GameRow
    players: list[GamePlayer]
    connections: list[ConnectionRow]
    missing: list[str] = []

    def with_others(self, others: Sequence["GameStatus"], missing: list[str]) -> "GameStatus":
        """Add the connections that other replicas have; the rest is of the log, the same wherever it is read."""
        every = [self, *others]
        members, spectators = (sum(getattr(one.game, name) for one in every) for name in ("members", "spectators"))
        game = replace(self.game, members=members, spectators=spectators)
        return replace(self, game=game, connections=[row for one in every for row in one.connections], missing=missing)


class GameEventRow(Struct, frozen=True, kw_only=True):
    """One event of a game's log: who, what, when; `data` has the rest, of submitted code only length and hash."""

    seq: int
    at: float
    type: str
    player_id: str | None
    trace_id: str | None
    data: dict[str, Any]


class GameEventPage(Struct, frozen=True):
    """Events of a game, the oldest first; `next` is the `after` of the next page."""

    rows: list[GameEventRow]
    total: int
    next: int | None


class GamesView:
    """Shows games; `rates` tells how busy each is."""

    def __init__(self, hub: Hub, connections: ConnectionsView, replica: str) -> None:
        self._hub = hub
        self._connections = connections
        self._replica = replica
        self.rates = EventRates(hub.rooms.loaded, hub.now)
        self._figures: Mapping[GameSort, Callable[[Room], tuple[float, ...]]] = {
            GameSort.HURT: self._hurt,
            GameSort.AGE: lambda room: (-room.known.created_at,),
            GameSort.MEMBERS: lambda room: (len(room.members),),
            GameSort.EVENTS: lambda room: (room.known.seq,),
            GameSort.EVENTS_PER_MINUTE: lambda room: (self._rate(room),),
            GameSort.OVERDUE: lambda room: (self._overdue_s(room),),
            GameSort.JUDGING: lambda room: (len(room.known.pending),),
        }

    async def page(self, phase: Phase | None, player: str, sort: GameSort, listing: Listing) -> GamePage:
        """List the games that are loaded here: in a phase, with a player of such an id or name. Raises BadCursor."""
        figures, order, whom = self._figures[sort], listing.order, Whom.of(player)

        def place(room: Room) -> RowPlace | None:
            state = room.known
            if phase is not None and state.phase is not phase:
                return None
            if whom.text and not any(whom.fits(one.id, one.name) for one in state.players.values()):
                return None
            return placed(figures(room), room.game_id, order)

        chosen: Chosen[Room] = await choose(self._rooms, place, listing.after, listing.limit)
        rows = [self._row(room.known, room, where) for where, room in chosen.rows]
        return GamePage(rows=rows, total=chosen.total, matched=chosen.matched, next=chosen.next)

    @property
    def _rooms(self) -> tuple[Room, ...]:
        return tuple(room for room in self._hub.rooms.loaded.values() if room.state is not None)

    def in_slices(self) -> AsyncIterator[list[Room]]:
        """Hand out the games that are loaded, some at a time, with their players."""
        return in_slices(self._rooms, GAMES_AT_ONCE)

    def name_of(self, game_id: str, player_id: str) -> str | None:
        """Return the name of a player in a game that is loaded; None where that is not known."""
        room = self._hub.rooms.loaded.get(game_id)
        player = room.state.players.get(player_id) if room is not None and room.state is not None else None
        return player.name if player is not None else None

    async def show(self, game_id: str) -> GameStatus | None:
        """Show a game, loaded or not. Raises LogUnavailable."""
        async with self._hub.rooms.use(game_id) as room:
            if room is None:
                return None
            state = room.known
            row = self._row(state, room, self._hurting(room))
            players = [_player(one, judging=one.id in state.pending) for one in state.players.values()]
            return GameStatus(row, players, [self._connections.show(one) for one in room.members.values()])

    def of_player(self, player_id: str) -> list[GameRow]:
        """Show the loaded games that a player is or was in."""
        found = [room for room in self._hub.rooms.loaded.values() if room.state and player_id in room.state.players]
        return [self._row(room.known, room, self._hurting(room)) for room in found]

    async def events(self, game_id: str, after: int, limit: int) -> GameEventPage | None:
        """Show the events of a game behind the `after`th; None where there is none. Raises LogUnavailable."""
        events = await self._hub.rooms.events(game_id)
        if not events:
            return None
        chosen = [event for event in events if event.seq > after][:limit]
        last = chosen[-1].seq if chosen else after
        return GameEventPage([_event(event) for event in chosen], len(events), last if last < events[-1].seq else None)

    def _overdue_s(self, room: Room) -> float:
        return self._hub.games.deadlines.overdue_of(room.game_id)

    def _hurting(self, room: Room) -> RowPlace:
        return placed(self._hurt(room), room.game_id, Listing().order)

    def _hurt(self, room: Room) -> tuple[float, ...]:
        return self._overdue_s(room), len(room.known.pending), self._rate(room)

    def _rate(self, room: Room) -> float:
        return self.rates.per_minute(room.known)

    def _row(self, state: GameState, room: Room, place: RowPlace) -> GameRow:
        return GameRow(
            cursor=cursor_of(place),
            replica=self._replica,
            game_id=state.game_id,
            phase=state.phase,
            problem=state.problem.id,
            host_id=state.host_id,
            members=len(room.members),
            spectators=sum(not one.has_joined for one in room.members.values()),
            players=len(state.active_players),
            events=state.seq,
            events_per_minute=self._rate(room),
            overdue_s=self._overdue_s(room),
            judging=len(state.pending),
            created_at=state.created_at / 1000,
            starts_at=_seconds(state.starts_at),
            ends_at=_seconds(state.ends_at),
        )


def _seconds(at: int | None) -> float | None:
    return None if at is None else at / 1000


def _player(player: Player, *, judging: bool) -> GamePlayer:
    return GamePlayer(
        player_id=player.id,
        name=player.name,
        connection_id=player.connection_id,
        out=player.out,
        ready=player.ready,
        attempts=player.attempts,
        tests_passed=player.best_passed,
        accepted=player.accepted_seq is not None,
        judging=judging,
        events=player.events,
    )


def _event(event: GameEvent) -> GameEventRow:
    fields = asdict(event)
    data = {name: value for name, value in fields.items() if name not in _HIDDEN and name != "player_id"}
    if isinstance(event, CodeSubmitted):
        code = event.code.encode()
        data |= {"code_bytes": len(code), "code_sha256": hashlib.sha256(code).hexdigest()[:16]}
    problem = fields.get("problem")
    if problem is not None:
        data["problem"] = problem.id
    trace = event.traceparent.split("-") if event.traceparent else ()
    return GameEventRow(
        seq=event.seq,
        at=event.at / 1000,
        type=str(event.__struct_config__.tag),
        player_id=fields.get("player_id"),
        trace_id=trace[1] if len(trace) > 1 else None,
        data=data,
    )
