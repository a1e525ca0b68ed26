"""Connections and players, shown to operators."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter

from app.console.connections import ConnectionPage, ConnectionRow, ConnectionSearch, Listing
from app.console.console import Console
from app.console.players import PlayerPage, PlayerStatus
from app.vocabulary import ConnectionSort, ConnectionState
from app.web.console.forwarding import Others
from app.web.console.listing import Sought, answered, gone, join


async def find_search(
    player: Sought = "",
    address: Sought = "",
    client: Sought = "",
    game: Sought = "",
    in_state: Annotated[ConnectionState | None, QueryParameter(name="state")] = None,
) -> ConnectionSearch:
    """Give a handler which connections are looked for."""
    return ConnectionSearch(player, address, client, game, in_state)


@get("/connections", dependencies={"search": Provide(find_search)})
async def list_connections(
    console: NamedDependency[Console],
    search: NamedDependency[ConnectionSearch],
    listing: NamedDependency[Listing],
    others: NamedDependency[Others],
    sort: FromQuery[ConnectionSort] = ConnectionSort.HURT,
) -> ConnectionPage:
    """List connections: by a part of the player's id or name, by how address, client or game begin, by state."""
    with answered():
        own = await console.connections.page(search, sort, listing)
    return await join(own, others, listing)


@get("/connections/{connection_id:str}")
async def show_connection(connection_id: FromPath[str], console: NamedDependency[Console]) -> ConnectionRow:
    """Show one connection."""
    found = console.connections.find(connection_id)
    if found is None:
        raise gone("connection")
    return console.connections.show(found)


@get("/players")
async def list_players(
    console: NamedDependency[Console],
    listing: NamedDependency[Listing],
    others: NamedDependency[Others],
    player: Sought = "",
) -> PlayerPage:
    """List players by a part of the id or name: the connected, those in loaded games, those who have gone lately."""
    with answered():
        own = await console.players.page(player, listing)
    found, missing = await others.answers(PlayerPage)
    return own.with_others(found, listing.limit, missing)


@get("/players/{player_id:str}")
async def show_player(
    player_id: FromPath[str], console: NamedDependency[Console], others: NamedDependency[Others]
) -> PlayerStatus:
    """Show what is known of a player; of one who is not here that is nothing."""
    answers, missing = await others.answers(PlayerStatus)
    return console.players.show(player_id).with_others(answers, missing)


HANDLERS = (list_connections, show_connection, list_players, show_player)
