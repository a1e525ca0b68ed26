"""Connections and players, shown to operators."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from app.console.connections import ConnectionPage, ConnectionRow, ConnectionSearch, Listing
from app.console.console import Console
from app.console.players import PlayerStatus
from app.vocabulary import ConnectionSort, ConnectionState
from app.web.console.listing import Sought, answered, gone


@get("/connections")
async def list_connections(
    console: NamedDependency[Console],
    listing: NamedDependency[Listing],
    player: Sought = "",
    address: Sought = "",
    client: Sought = "",
    game: Sought = "",
    in_state: Annotated[ConnectionState | None, QueryParameter(name="state")] = None,
    sort: FromQuery[ConnectionSort] = ConnectionSort.HURT,
) -> ConnectionPage:
    """List connections: by a part of the player's id, by how address, client or game begin, by state."""
    search = ConnectionSearch(player, address, client, game, in_state)
    with answered():
        return await console.connections.page(search, sort, listing)


@get("/connections/{connection_id:str}")
async def show_connection(connection_id: FromPath[str], console: NamedDependency[Console]) -> ConnectionRow:
    """Show one connection."""
    found = console.connections.find(connection_id)
    if found is None:
        raise gone("connection")
    return console.connections.show(found)


@get("/players/{player_id:str}")
async def show_player(player_id: FromPath[str], console: NamedDependency[Console]) -> PlayerStatus:
    """Show what is known of a player here; of one who is not here that is nothing."""
    return console.players.show(player_id)


HANDLERS = (list_connections, show_connection, show_player)
