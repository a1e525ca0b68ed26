"""One player, for those who operate the service: where they are, on this replica."""

from collections.abc import Iterable

from msgspec import Struct

from app.console.connections import ConnectionRow, ConnectionsView
from app.console.ends import EndRow, Ends
from app.console.games import GameRow, GamesView
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


class PlayersView:
    """Shows players; nobody is unknown, whoever is not here has nothing."""

    def __init__(self, connections: ConnectionsView, games: GamesView, ends: Ends, bans: Bans) -> None:
        self._bans = bans
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
