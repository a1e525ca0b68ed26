"""The HTTP API: guests, games, problems."""

import datetime as dt
import random
from http import HTTPStatus
from http import HTTPStatus as S
from typing import Annotated, Any, Final
from urllib.parse import unquote
from uuid import UUID

from litestar import Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from msgspec.structs import asdict

from app.eventlog import LogUnavailable
from app.game import CodeSubmitted, GameState, Problem, Rejected, Rules, SubmissionJudged, snapshot
from app.judge import JudgeProblem
from app.realtime import Hub
from app.settings import LimitSettings, ServerSettings, Settings
from app.vocabulary import FinishRule, LimitScope
from app.web.access import ApiAccess
from app.web.auth.issuer import TokenIssuer
from app.web.auth.player import clean_name, guest_id, is_guest_id
from app.web.auth.tickets import TicketIssuer
from app.web.client_address import client_address
from app.web.error_answers import refusal, unavailable
from app.web.json_request import AnyRequest
from app.web.rates import ApiRates
from app.web.reading import DOCUMENT
from app.web.schema.openapi import refusals

GAMES_RETRY_MS: Final = 60_000
LEAST_EVENTS_PER_PLAYER: Final = 20
"""However few MAX_EVENTS_PER_GAME are, a full game can be played."""


class NewGame(Struct, frozen=True, forbid_unknown_fields=True):
    """Wishes for a new game, all optional."""

    problem: str | None = None
    min_players: Annotated[int, Meta(ge=1, le=100)] = 2
    max_players: Annotated[int, Meta(ge=1, le=1_000)] = 8
    time_limit_s: Annotated[int, Meta(ge=5, le=7200)] = 900
    finish: FinishRule = FinishRule.FIRST_ACCEPTED


class NewGuest(Struct, frozen=True, forbid_unknown_fields=True):
    """The name a guest wants to be shown by."""

    name: Annotated[str, Meta(min_length=1, max_length=200)] = "guest"


def _rfc3339(epoch_ms: float | None) -> str | None:
    if epoch_ms is None:
        return None
    moment = dt.datetime.fromtimestamp(epoch_ms / 1000, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _public(state: GameState) -> dict[str, Any]:
    """Show the snapshot of a game over HTTP: times as RFC 3339."""
    document = asdict(snapshot(state))
    times = {key: _rfc3339(document[key]) for key in ("created_at", "starts_at", "ends_at")}
    return {**document, **times}


@post(
    "/guests",
    status_code=HTTPStatus.CREATED,
    security=[{}, {"bearer": []}],
    responses=refusals(S.BAD_REQUEST, S.UNAUTHORIZED, S.FORBIDDEN, S.NOT_FOUND, S.REQUEST_ENTITY_TOO_LARGE),
)
async def create_guest(
    request: AnyRequest,
    settings: NamedDependency[Settings],
    access: NamedDependency[ApiAccess],
    issuer: NamedDependency[TokenIssuer],
    data: JSONBody[NewGuest | None] = None,
) -> dict[str, Any]:
    """Make a token for somebody without an account, or a fresh one for the guest whose token comes with the request.

    Switched by GUESTS. New guests are limited per address; a fresh token makes nobody new, and counts as the player's
    other requests do: a class whose tokens all end in one minute gets them all. The name stays.
    """
    if not settings.guests_enabled:
        raise refusal(HTTPStatus.NOT_FOUND, "guests are not admitted here; see GUESTS")
    access.origins.require(request)
    if "authorization" in request.headers:
        player_id, name = await _known_guest(request, access, settings.guest_renewal_grace_s)
    else:
        access.rates.guest(client_address(request))
        player_id, name = guest_id(), clean_name((data or NewGuest()).name)
    token, expires_at = issuer.issue(player_id, name, settings.guest_token_ttl_s)
    return {"token": token, "player_id": player_id, "name": name, "expires_at": _rfc3339(expires_at * 1000)}


async def _known_guest(request: AnyRequest, access: ApiAccess, grace_s: float) -> tuple[str, str]:
    """Return id and name of the guest who asks; the tokens of others end when whoever made them said.

    A guest's token is good for a fresh one a while after its end: whoever was without a network then, or asleep, comes
    back as the same player, and nothing else could tell who that was.
    """
    identity = await access.authenticate(request, grace_s=grace_s)
    if not is_guest_id(identity.player_id):
        raise refusal(HTTPStatus.FORBIDDEN, "only guests get a fresh token here; ask whoever made yours")
    return identity.player_id, identity.name


@post(
    "/tickets",
    status_code=HTTPStatus.CREATED,
    responses=refusals(S.UNAUTHORIZED, S.NOT_FOUND, S.SERVICE_UNAVAILABLE),
)
async def create_ticket(
    request: AnyRequest,
    settings: NamedDependency[Settings],
    access: NamedDependency[ApiAccess],
    tickets: NamedDependency[TicketIssuer],
    hub: NamedDependency[Hub],
) -> dict[str, Any]:
    """Make a ticket to connect with once, within seconds: what a browser puts into the URL instead of its token."""
    if not tickets.keys:
        raise refusal(HTTPStatus.NOT_FOUND, "tickets are not made here; see TICKET_SECRET")
    identity = await access.authenticate(request)
    ticket, expires_at = tickets.issue(identity)
    hub.observer.ticket()
    return {"ticket": ticket, "expires_at": _rfc3339(expires_at * 1000), "expires_in_s": settings.ticket_ttl_s}


@post(
    "/games",
    status_code=HTTPStatus.CREATED,
    responses=refusals(S.BAD_REQUEST, S.UNAUTHORIZED, S.REQUEST_ENTITY_TOO_LARGE, S.SERVICE_UNAVAILABLE),
)
async def create_game(
    request: AnyRequest,
    settings: NamedDependency[Settings],
    access: NamedDependency[ApiAccess],
    hub: NamedDependency[Hub],
    data: JSONBody[NewGame | None] = None,
) -> dict[str, Any]:
    """Make a game; whoever connects to its `ws_url` joins it."""
    identity = await access.authenticate(request)
    access.availability.require()
    wish = data or NewGame()
    try:
        await hub.know_games()
    except LogUnavailable as error:
        raise unavailable(error) from None
    _require_allowed(wish, identity.player_id, settings, hub)
    problem = hub.problems.get(wish.problem) if wish.problem is not None else _any_problem(hub)
    if problem is None:
        raise refusal(HTTPStatus.BAD_REQUEST, "no such problem; see GET /api/problems")
    access.rates.game(client_address(request), identity.player_id)
    try:
        state = await hub.rooms.create(identity.player_id, problem.public, _rules(wish, settings))
    except LogUnavailable as error:
        raise unavailable(error) from None
    return {**_public(state), "ws_url": _ws_url(request, settings, state.game_id)}


def _any_problem(hub: Hub) -> JudgeProblem:
    return random.choice(tuple(hub.problems.values()))  # noqa: S311 - a game, not a secret


def _require_allowed(wish: NewGame, player_id: str, settings: LimitSettings, hub: Hub) -> None:
    if wish.max_players < wish.min_players:
        raise refusal(HTTPStatus.BAD_REQUEST, _too_few(wish))
    most = settings.max_players_per_game
    if wish.max_players > most and hub.policy.refuses(LimitScope.PLAYERS_PER_GAME, 0, player_id=player_id):
        raise refusal(HTTPStatus.BAD_REQUEST, f"max_players can be at most {most} (MAX_PLAYERS_PER_GAME)")
    if hub.games.counts.hosted_by(player_id) < settings.max_games_per_player:
        return
    if hub.policy.refuses(LimitScope.GAMES_PER_PLAYER, GAMES_RETRY_MS, player_id=player_id):
        raise refusal(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"you have {settings.max_games_per_player} open games (MAX_GAMES_PER_PLAYER); finish one first",
            retry_after_ms=GAMES_RETRY_MS,
        )


def _too_few(wish: NewGame) -> str:
    return (
        f"min_players ({wish.min_players}) must not be more than max_players ({wish.max_players}; without one it is 8)"
    )


def _rules(wish: NewGame, settings: Settings) -> Rules:
    return Rules(
        min_players=wish.min_players,
        max_players=wish.max_players,
        time_limit_ms=wish.time_limit_s * 1000,
        finish=wish.finish,
        countdown_ms=round(settings.countdown_s * 1000),
        grace_ms=round(settings.reconnect_grace_s * 1000),
        waiting_ttl_ms=round(settings.waiting_game_ttl_s * 1000),
        judge_grace_ms=round(settings.judge_grace_s * 1000),
        free_verdicts=settings.free_verdicts_per_game,
        max_events=max(settings.max_events_per_game, LEAST_EVENTS_PER_PLAYER * wish.max_players),
        max_code_bytes=settings.max_code_bytes_per_player,
        max_comers=max(settings.max_comers_per_game, wish.max_players),
    )


def _ws_url(request: AnyRequest, settings: ServerSettings, game_id: str) -> str:
    base = settings.public_url or f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
    return f"{base.replace('http', 'ws', 1)}/ws/{game_id}"


@get("/games/{game_id:uuid}", responses=refusals(S.UNAUTHORIZED, S.NOT_FOUND, S.SERVICE_UNAVAILABLE))
async def show_game(
    request: AnyRequest, game_id: FromPath[UUID], access: NamedDependency[ApiAccess], hub: NamedDependency[Hub]
) -> dict[str, Any]:
    """Show the public state of a game."""
    await access.authenticate(request)
    try:
        state = await hub.rooms.state(str(game_id))
    except LogUnavailable as error:
        raise unavailable(error) from None
    if state is None:
        raise refusal(HTTPStatus.NOT_FOUND, "no such game; it may have ended and been removed")
    return _public(state)


@get(
    "/games/{game_id:uuid}/submissions/{attempt:int}",
    responses=refusals(S.UNAUTHORIZED, S.NOT_FOUND, S.SERVICE_UNAVAILABLE),
)
async def show_submission(
    request: AnyRequest,
    game_id: FromPath[UUID],
    attempt: FromPath[int],
    access: NamedDependency[ApiAccess],
    hub: NamedDependency[Hub],
) -> dict[str, Any]:
    """Show one of the asking player's own submissions: code, verdict, visible tests."""
    player_id = (await access.authenticate(request)).player_id
    try:
        events = await hub.rooms.events(str(game_id))
    except LogUnavailable as error:
        raise unavailable(error) from None
    submitted = judged = None
    for event in events:
        if isinstance(event, CodeSubmitted) and (event.player_id, event.attempt) == (player_id, attempt):
            submitted = event
        elif isinstance(event, SubmissionJudged) and (event.player_id, event.attempt) == (player_id, attempt):
            judged = event
    if submitted is None:
        raise refusal(HTTPStatus.NOT_FOUND, "you have no such submission in this game")
    return _submission(submitted, judged)


def _submission(submitted: CodeSubmitted, judged: SubmissionJudged | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "attempt": submitted.attempt,
        "language": submitted.language,
        "code": submitted.code,
        "submitted_at": _rfc3339(submitted.at),
        "verdict": None,
    }
    if judged is not None:
        document |= {
            "verdict": judged.verdict,
            "detail": judged.detail,
            "tests_passed": judged.tests_passed,
            "tests_total": judged.tests_total,
            "duration_ms": judged.duration_ms,
            "judged_at": _rfc3339(judged.at),
            "tests": judged.tests,
        }
    return document


@delete(
    "/games/{game_id:uuid}/players/{player_id:str}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=refusals(S.UNAUTHORIZED, S.FORBIDDEN, S.NOT_FOUND, S.CONFLICT, S.SERVICE_UNAVAILABLE),
)
async def remove_player(
    request: AnyRequest,
    game_id: FromPath[UUID],
    player_id: FromPath[str],
    access: NamedDependency[ApiAccess],
    hub: NamedDependency[Hub],
) -> None:
    """Put a player out of a game for good: for its host and for operators. A `/` in the id is sent as `%2F`."""
    asking = await access.authenticate(request)
    try:
        state = await hub.rooms.state(str(game_id))
        if state is None:
            raise refusal(HTTPStatus.NOT_FOUND, "no such game; it may have ended and been removed")
        if asking.player_id != state.host_id and not asking.is_operator:
            raise refusal(HTTPStatus.FORBIDDEN, "only the game's host and operators remove players")
        await hub.rooms.remove(str(game_id), unquote(player_id))  # as it was sent: see app.web.paths
    except Rejected as rejected:
        raise refusal(HTTPStatus.CONFLICT, f"this player cannot be removed: {rejected.message}") from None
    except LogUnavailable as error:
        raise unavailable(error) from None


@get("/problems", security=[{}], responses=refusals())
async def list_problems(hub: NamedDependency[Hub]) -> Response[list[dict[str, Any]]]:
    """List all problems, without their tests."""
    return Response([_problem_card(problem.public) for problem in hub.problems.values()], headers=DOCUMENT)


def _problem_card(problem: Problem) -> dict[str, Any]:
    return {"id": problem.id, "title": problem.title, "difficulty": problem.difficulty}


def api_router(rates: ApiRates) -> Router:
    """Make the router of the API; every request counts, whatever comes of it."""

    async def count(request: AnyRequest) -> None:
        rates.request(client_address(request))

    handlers = [create_guest, create_ticket, create_game, show_game, show_submission, remove_player, list_problems]
    return Router(path="/api", route_handlers=handlers, before_request=count)
