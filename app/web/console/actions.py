"""What operators do, over HTTP: each answer says what was done; what is gone is 404, what cannot be done now 409."""

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from app.console.actions import Acting, Outcome
from app.console.acts import Act
from app.console.answers import ActionRefused
from app.console.banned import BanPage, ban_page
from app.console.connections import Listing
from app.console.console import Console
from app.console.erasing import Erasure
from app.console.traced import TraceBegun
from app.eventlog import LogUnavailable
from app.realtime.cluster.bans import Ban
from app.vocabulary import ActionOutcome, LimitScope
from app.web.auth.player import MAX_PLAYER_ID
from app.web.console.access import ActionBody, Operator
from app.web.console.forwarding import Others
from app.web.console.listing import MAX_CONNECTION_ID, Limit, answered
from app.web.error_answers import refusal, unavailable

DAY_S: Final = 86_400
MAX_BAN_S: Final = 10 * 366 * DAY_S
"""Whoever is to stay out for longer is banned for good."""
_STATUS: Final = {ActionOutcome.GONE: HTTPStatus.NOT_FOUND}
ForSeconds = Annotated[float, Meta(ge=1, le=DAY_S)]
PlayerId = Annotated[str, Meta(min_length=1, max_length=MAX_PLAYER_ID)]


class Closing(ActionBody, frozen=True):
    """Whether the player is told to come back."""

    comes_back: bool = True


class Removal(ActionBody, frozen=True):
    """From which game."""

    game_id: UUID


class NewBan(ActionBody, frozen=True):
    """For how long: for good where that is not said."""

    for_s: Annotated[float, Meta(ge=1, le=MAX_BAN_S)] | None = None


class NewDrain(ActionBody, frozen=True):
    """For how long."""

    for_s: ForSeconds = 3600.0


class Shedding(ActionBody, frozen=True):
    """Which share of the connections is ended, at least one."""

    share: Annotated[float, Meta(gt=0, le=1)]


class NewLogLevel(ActionBody, frozen=True):
    """From which level on lines are written, and for how long."""

    level: Literal["debug", "info", "warning", "error", "critical"]
    for_s: ForSeconds = 600.0


class NewTrace(ActionBody, frozen=True):
    """Who or what is traced, one of the three, and for how long."""

    player: PlayerId | None = None
    game: UUID | None = None
    connection: Annotated[str, Meta(min_length=1, max_length=MAX_CONNECTION_ID)] | None = None
    for_s: Annotated[float, Meta(ge=1, le=600)] = 600.0


class NewLimitMode(ActionBody, frozen=True):
    """Whether the limit is only counted, and for how long."""

    dry_run: bool
    for_s: ForSeconds = 600.0


class ActList(Struct, frozen=True):
    """What operators did; `missing` are replicas that did not answer."""

    rows: list[Act]
    missing: list[str] = []


async def find_acting(operator: NamedDependency[Operator], reason: NamedDependency[str]) -> Acting:
    """Give a handler who acts, and why."""
    return Acting(operator.name, reason)


@get("/actions")
async def list_actions(
    console: NamedDependency[Console], others: NamedDependency[Others], limit: Limit = 50
) -> ActList:
    """List what operators did lately, the newest first: who did what, to whom or what, why, and what came of it."""
    found, missing = await others.answers(ActList)
    rows = [*console.lately.acts.last(limit, console.fleet.own.replica), *(row for one in found for row in one.rows)]
    return ActList(sorted(rows, key=lambda row: row.at, reverse=True)[:limit], missing)


@post("/connections/{connection_id:str}/close", status_code=HTTPStatus.OK)
async def close_connection(
    connection_id: FromPath[str],
    console: NamedDependency[Console],
    acting: NamedDependency[Acting],
    data: JSONBody[Closing | None] = None,
) -> Outcome:
    """Close one connection of this replica; its player comes back, unless told not to."""
    return console.actions.close_connection(acting, connection_id, comes_back=(data or Closing()).comes_back)


@post("/players/{player_id:str}/close", status_code=HTTPStatus.OK)
async def close_player(
    player_id: FromPath[str],
    console: NamedDependency[Console],
    acting: NamedDependency[Acting],
    data: JSONBody[Closing | None] = None,
) -> Outcome:
    """Close all connections of a player, on all replicas."""
    return console.actions.close_player(acting, player_id, comes_back=(data or Closing()).comes_back)


@post("/players/{player_id:str}/remove", status_code=HTTPStatus.OK, names_game=True)
async def remove_player(
    player_id: FromPath[str],
    console: NamedDependency[Console],
    acting: NamedDependency[Acting],
    data: JSONBody[Removal],
) -> Outcome:
    """Put a player out of a game for good, whichever worker has it."""
    return await console.actions.remove_player(acting, player_id, str(data.game_id))


@get("/bans")
async def list_bans(console: NamedDependency[Console], listing: NamedDependency[Listing]) -> BanPage:
    """List the players who are let in no more, on whichever replica; those who were banned last are first."""
    with answered():
        return await ban_page(console.actions.bans, listing)


@put("/bans/{player_id:str}")
async def ban(
    player_id: FromPath[str],
    console: NamedDependency[Console],
    acting: NamedDependency[Acting],
    data: JSONBody[NewBan | None] = None,
) -> Ban:
    """Let a player (`sub`) in no more, for a time or for good, and close what is open of theirs, on all replicas."""
    return await console.actions.ban(acting, player_id, (data or NewBan()).for_s)


@delete("/bans/{player_id:str}", status_code=HTTPStatus.OK)
async def unban(player_id: FromPath[str], console: NamedDependency[Console], acting: NamedDependency[Acting]) -> Ban:
    """Let a player in again."""
    return await console.actions.unban(acting, player_id)


@post("/players/{player_id:str}/erase", status_code=HTTPStatus.OK, takes_long=True)
async def erase(
    player_id: FromPath[str],
    console: NamedDependency[Console],
    acting: NamedDependency[Acting],
    others: NamedDependency[Others],
) -> Erasure:
    """Erase a player's name and code in the games that are kept; the answer says what stays, and why.

    Workers with games of their own each do so in theirs, unless one is named (`?replica=NAME`).
    """
    own = console.actions.erase(acting, player_id)
    return await others.do_too(own, Erasure) if console.actions.is_of_a_part else await own


@post("/games/{game_id:uuid}/end", status_code=HTTPStatus.OK)
async def end_game(
    game_id: FromPath[UUID], console: NamedDependency[Console], acting: NamedDependency[Acting]
) -> Outcome:
    """End a game, whichever worker has it; its ranking is as things stand."""
    return await console.actions.end_game(acting, str(game_id))


@post("/drain", status_code=HTTPStatus.OK)
async def drain(
    console: NamedDependency[Console], acting: NamedDependency[Acting], data: JSONBody[NewDrain | None] = None
) -> Outcome:
    """Have all connections of this replica go elsewhere, and take none, for a time; the process stays."""
    return console.actions.drain(acting, (data or NewDrain()).for_s)


@delete("/drain", status_code=HTTPStatus.OK)
async def undrain(console: NamedDependency[Console], acting: NamedDependency[Acting]) -> Outcome:
    """Take connections again."""
    return console.actions.undrain(acting)


@post("/shed", status_code=HTTPStatus.OK)
async def shed(console: NamedDependency[Console], acting: NamedDependency[Acting], data: JSONBody[Shedding]) -> Outcome:
    """End a share of this replica's connections, the newest: they come back after a while."""
    return console.actions.shed(acting, data.share)


@put("/log-level")
async def set_log_level(
    console: NamedDependency[Console], acting: NamedDependency[Acting], data: JSONBody[NewLogLevel]
) -> Outcome:
    """Write this replica's log from another level on, for a time; LOG_LEVEL again by itself."""
    return console.actions.set_log_level(acting, data.level, data.for_s)


@put("/trace")
async def trace(
    console: NamedDependency[Console],
    acting: NamedDependency[Acting],
    others: NamedDependency[Others],
    data: JSONBody[NewTrace],
) -> TraceBegun:
    """Trace all that one player, game or connection does, for ten minutes at the most.

    A player or a game is traced on all replicas, unless one is named (`?replica=NAME`), also where nothing is known of
    the player yet; a game that nobody knows is 404. A connection is traced by the replica that has it; 404 elsewhere.
    """
    named = {"player.id": data.player, "game.id": data.game, "connection.id": data.connection}
    given = [(attribute, str(value)) for attribute, value in named.items() if value is not None]
    if len(given) != 1:
        raise refusal(HTTPStatus.BAD_REQUEST, "name one of player, game and connection")
    own = console.actions.trace(acting, *given[0], data.for_s)
    return await own if data.connection is not None else await others.do_too(own, TraceBegun)


@put("/limits/{limit_scope:str}")
async def set_limit_mode(
    limit_scope: FromPath[str],
    console: NamedDependency[Console],
    acting: NamedDependency[Acting],
    data: JSONBody[NewLimitMode],
) -> Outcome:
    """Have a limit of this replica only counted for a time, or enforced; as LIMITS_DRY_RUN says again by itself."""
    try:
        scope = LimitScope(limit_scope)
    except ValueError:
        raise refusal(HTTPStatus.NOT_FOUND, f"no such limit; there are {', '.join(LimitScope)}") from None
    return console.actions.set_dry_run(acting, scope, data.for_s, dry_run=data.dry_run)


def answer_refused(_request: Request[Any, Any, Any], error: ActionRefused) -> Response[bytes]:
    """Answer an action that was not done."""
    return refusal(_STATUS.get(error.outcome, HTTPStatus.CONFLICT), error.text).answer.response()


def answer_unavailable(_request: Request[Any, Any, Any], error: LogUnavailable) -> Response[bytes]:
    """Answer an action that the event log is in the way of."""
    return unavailable(error).answer.response()


EXCEPTION_HANDLERS: Final[dict[type[Exception], Any]] = {
    ActionRefused: answer_refused,
    LogUnavailable: answer_unavailable,
}
HANDLERS: Final = (
    list_actions,
    close_connection,
    close_player,
    remove_player,
    list_bans,
    ban,
    unban,
    erase,
    end_game,
    drain,
    undrain,
    shed,
    set_log_level,
    trace,
    set_limit_mode,
)
