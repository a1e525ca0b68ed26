"""Games and their logs, shown to operators."""

from typing import Annotated
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from app.console.connections import Listing
from app.console.console import Console
from app.console.games import GameEventPage, GamePage, GameStatus
from app.vocabulary import GameSort, Phase
from app.web.console.forwarding import Others
from app.web.console.listing import Limit, Sought, answered, gone, join


@get("/games")
async def list_games(
    console: NamedDependency[Console],
    listing: NamedDependency[Listing],
    others: NamedDependency[Others],
    phase: FromQuery[Phase | None] = None,
    player: Sought = "",
    sort: FromQuery[GameSort] = GameSort.HURT,
) -> GamePage:
    """List the games that are loaded, by phase and by a part of the id or name of a player who is or was in them."""
    with answered():
        own = await console.games.page(phase, player, sort, listing)
    return await join(own, others, listing)


@get("/games/{game_id:uuid}")
async def show_game(
    game_id: FromPath[UUID], console: NamedDependency[Console], others: NamedDependency[Others]
) -> GameStatus:
    """Show a game, its players, and its connections."""
    with answered():
        own = await console.games.show(str(game_id))
    found, missing = await others.answers(GameStatus)
    if own is not None:
        return own.with_others(found, missing)
    if not found:
        raise gone("game")
    return found[0].with_others(found[1:], missing)


@get("/games/{game_id:uuid}/events")
async def list_events(
    game_id: FromPath[UUID],
    console: NamedDependency[Console],
    after: Annotated[int, QueryParameter(ge=0, le=2**53, description="seq of the last event seen")] = 0,
    limit: Limit = 200,
) -> GameEventPage:
    """List the events of a game, the oldest first; of submitted code length and hash are shown."""
    with answered():
        found = await console.games.events(str(game_id), after, limit)
    if found is None:
        raise gone("game")
    return found


HANDLERS = (list_games, show_game, list_events)
