"""Players, for those who operate the service: who it is that has a name, and where one is, on this replica."""

from collections.abc import AsyncIterator, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from app.console.connections import ConnectionRow, ConnectionsView, Listing
from app.console.ends import EndRow, Ends
from app.console.games import GameRow, GamesView
from app.console.slices import in_slices
from app.console.walking import Chosen, Page, RowPlace, choose, cursor_of, merged, placed
from app.console.whom import Whom
from app.realtime.cluster.bans import Ban, Bans


class PlayerStatus(Struct, frozen=True, kw_only=True):
    """What this replica knows of a player: connections, games that are loaded here, how the last ended, a ban."""

    player_id: str
    connections: list[ConnectionRow]
    games: list[GameRow]
    ends: list[EndRow] = []
    ban: Ban | None = None
    missing: list[str] = []

    def with_others(self, others: Iterable["PlayerStatus"], missing: list[str]) -> "PlayerStatus":
        """Add what other replicas know; `missing` are those that did not answer."""
        every = [self, *others]
        return PlayerStatus(
            player_id=self.player_id,
            connections=[row for one in every for row in one.connections],
            games=[row for one in every for row in one.games],
            ends=sorted((row for one in every for row in one.ends), key=lambda row: row.at, reverse=True),
            ban=self.ban,
            missing=missing,
        )


class PlayerRow(Struct, frozen=True, kw_only=True):
    """One player whose id or name is looked for; `game_id` is where they were seen last."""

    cursor: str
    replica: str
    player_id: str
    name: str | None
    connections: int
    game_id: str | None


class PlayerPage(Page, frozen=True, kw_only=True):
    """A page of players; who is not on it yet, and is known to several replicas, is `matched` by each."""

    rows: list[PlayerRow]

    def with_others(self, others: Sequence["PlayerPage"], limit: int, missing: list[str]) -> "PlayerPage":
        """Add what other replicas know, a row for each player; `missing` are those that did not answer."""
        every = [self, *others]
        known: dict[str, PlayerRow] = {}
        for row in (row for page in every for row in page.rows):
            known[row.cursor] = _one(known[row.cursor], row) if row.cursor in known else row
        twice = sum(len(page.rows) for page in every) - len(known)
        first, *rest = [replace(page, rows=[]) for page in every]
        page = merged([replace(first, rows=list(known.values())), *rest], limit)
        return replace(page, total=page.total - twice, matched=page.matched - twice, missing=missing)


def _one(first: PlayerRow, second: PlayerRow) -> PlayerRow:
    """Make one row of what two replicas know of a player: it is of the one that has the connection."""
    best = second if second.connections > first.connections else first
    return replace(best, name=first.name or second.name, connections=first.connections + second.connections)


Seen = tuple[str, str | None, str | None, bool]
"""Somebody's id and name, in which game, and whether this is a connection."""


class PlayersView:
    """Shows players; nobody is unknown, whoever is not here has nothing."""

    def __init__(
        self, connections: ConnectionsView, games: GamesView, ends: Ends, bans: Bans, replica: str = ""
    ) -> None:
        self._bans = bans
        self._replica = replica
        self._connections = connections
        self._games = games
        self._ends = ends

    def show(self, player_id: str) -> PlayerStatus:
        """Show one."""
        return PlayerStatus(
            player_id=player_id,
            connections=[self._connections.show(one) for one in self._connections.of_player(player_id)],
            games=self._games.of_player(player_id),
            ends=self._ends.of_player(player_id),
            ban=self._bans.find(player_id),
        )

    async def page(self, text: str, listing: Listing) -> PlayerPage:
        """List whose id or name has this part, who has it all first: the connected, those in loaded games, the gone.

        Raises BadCursor.
        """
        whom = Whom.of(text)
        found, total = await self._found(whom)

        def place(row: PlayerRow) -> RowPlace:
            return placed((float(whom.names(row.player_id, row.name)),), row.player_id, listing.order)

        chosen: Chosen[PlayerRow] = await choose(found, place, listing.after, listing.limit)
        rows = [replace(row, cursor=cursor_of(where)) for where, row in chosen.rows]
        return PlayerPage(rows=rows, total=total, matched=chosen.matched, next=chosen.next)

    async def _found(self, whom: Whom) -> tuple[list[PlayerRow], int]:
        """Look through all who are known here, as long as there are; return whom it fits, and how many there are."""
        found: dict[str, PlayerRow] = {}
        every: set[str] = set()
        async for part in self._seen():
            for player_id, name, game_id, is_connected in part:
                every.add(player_id)
                had = found.get(player_id)
                if had is not None or whom.fits(player_id, name):
                    found[player_id] = PlayerRow(
                        cursor="",
                        replica=self._replica,
                        player_id=player_id,
                        name=name or (had.name if had else None),
                        connections=(had.connections if had else 0) + is_connected,
                        game_id=game_id,
                    )
        return list(found.values()), len(every)

    async def _seen(self) -> AsyncIterator[list[Seen]]:
        """Hand out who was seen where, some at a time: those who have gone first, the connected last."""
        async for ends in in_slices(self._ends.last_of_each):
            yield [(end.player_id or "", name, end.game_id, False) for name, end in ends]
        async for rooms in self._games.in_slices():
            yield [(one.id, one.name, room.game_id, False) for room in rooms for one in room.known.players.values()]
        async for sessions in self._connections.in_slices():
            yield [(one.player_id, self._connections.name_of(one), one.opened.game_id, True) for one in sessions]
