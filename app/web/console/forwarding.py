"""What is asked of another replica, or of all of them, by way of this one: `?replica=NAME`, `?replicas=all`.

What is asked of one game needs neither: of workers that have each their own, the one that has it is asked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Annotated, Final, Literal, Protocol, Self, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Response
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from app.aio.fetching import Fetched, FetchFailed, FetchRequest
from app.console.answers import ActionRefused, gone
from app.console.console import Console
from app.console.fleet import Fleet, OnBehalf, ReplicaCard
from app.eventlog import LogUnavailable
from app.vocabulary import ActionOutcome
from app.web.console.access import REASON_HEADER, RIGHT_HEADER, Operator, find_operator
from app.web.error_answers import refusal
from app.web.json_request import AnyRequest
from app.web.paths import sent_path

ONE: Final = "replica"
_ALL: Final = "replicas"
OWN_ALONE: Final = "is_own_alone"
_LONG: Final = "takes_long"
"""Of a handler: True, or the name of the parameter by which it does."""
_PASSED_ON: Final = ("content-type", REASON_HEADER)
Shown = TypeVar("Shown")


class Joined(Protocol):
    """What was done by one replica, to which what others did is added; `missing` names those that did not."""

    def with_others(self, others: Sequence[Self], missing: list[str]) -> Self:
        """Add it."""


Acted = TypeVar("Acted", bound=Joined)


Everywhere = Annotated[Literal["", "all"], QueryParameter(description="all: ask all replicas, not this one alone")]


class Others:
    """The other replicas, for a handler whose operator may have asked for all: the same is asked of each.

    One that is asked for another `is_alone`, and asks nobody; so is one that is named.
    """

    def __init__(
        self, request: AnyRequest, console: Console, operator: Operator, *, are_asked: bool, is_alone: bool
    ) -> None:
        self._request = request
        self._console = console
        self._operator = operator
        self._are_asked = are_asked
        self._is_alone = is_alone

    async def answers(self, kind: type[Shown], timeout_s: float | None = None) -> tuple[list[Shown], list[str]]:
        """Ask the others, if they are asked for: what they answered, and the names of those who did not.

        That there is no such thing (404) is an answer too, with nothing in it. Each is waited for `timeout_s`, or
        OPS_TIMEOUT_S.
        """
        return await self._answers(kind, timeout_s) if self._are_asked else ([], [])

    async def do_too(self, own: Coroutine[None, None, Acted], kind: type[Acted]) -> Acted:
        """Have all replicas do what `own` does here, whether or not they were asked for; what they did, together.

        Raises ActionRefused or LogUnavailable where nobody did: what is not to be had here may be done elsewhere.
        """
        if self._is_alone:
            return await own
        timeout_s = _timeout_s(self._request, self._console)
        here, (found, missing) = await asyncio.gather(_attempt(own), self._answers(kind, timeout_s))
        if not isinstance(here, ActionRefused | LogUnavailable):
            return here.with_others(found, missing)
        is_gone = isinstance(here, ActionRefused) and here.outcome is ActionOutcome.GONE
        if not found:
            raise gone(f"{here}; {', '.join(missing)} did not answer") if is_gone and missing else here
        why = here.text if isinstance(here, ActionRefused) else "its event log is unavailable"
        unable = [] if is_gone else [f"{self._console.fleet.own.replica} ({why})"]
        return found[0].with_others(found[1:], [*unable, *missing])

    async def _answers(self, kind: type[Shown], timeout_s: float | None) -> tuple[list[Shown], list[str]]:
        cards = await self._console.fleet.others()
        asked = await _asked(self._request)
        found = await asyncio.gather(*(self._ask(card, asked, kind, timeout_s) for card in cards))
        return [one for answered in found for one in answered or ()], [
            card.replica for card, one in zip(cards, found, strict=True) if one is None
        ]

    async def _ask(
        self, card: ReplicaCard, asked: FetchRequest, kind: type[Shown], timeout_s: float | None
    ) -> tuple[Shown, ...] | None:
        whom = OnBehalf(self._operator.name, self._operator.right)
        try:
            answer = await self._console.fleet.call(card, asked, whom, timeout_s)
            if answer.status == HTTPStatus.NOT_FOUND:
                return ()
            return (msgspec.json.decode(answer.body, type=kind),) if answer.status == HTTPStatus.OK else None
        except (FetchFailed, msgspec.MsgspecError):  # of another version, it may answer otherwise
            return None


async def find_others(
    request: AnyRequest,
    console: NamedDependency[Console],
    operator: NamedDependency[Operator],
    replicas: Everywhere = "",
) -> Others:
    """Give a handler the other replicas."""
    is_alone = ONE in request.query_params or RIGHT_HEADER in request.headers
    return Others(request, console, operator, are_asked=replicas == "all", is_alone=is_alone)


async def _attempt(own: Coroutine[None, None, Acted]) -> Acted | ActionRefused | LogUnavailable:
    try:
        return await own
    except (ActionRefused, LogUnavailable) as error:
        return error


def forwarding(console: Console) -> Callable[[AnyRequest], Awaitable[Response[bytes] | None]]:
    """Make what answers for another replica, which a request names or whose game it is about; else the handler does."""

    async def forward(request: AnyRequest) -> Response[bytes] | None:
        card = await _meant(request, console.fleet)
        if card is None or card.instance == console.fleet.own.instance:
            return None
        operator = find_operator(request)
        try:
            whom = OnBehalf(operator.name, operator.right)
            answer = await console.fleet.call(card, await _asked(request), whom, _timeout_s(request, console))
        except FetchFailed as error:
            raise refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"the replica cannot be asked: {error}") from None
        return _passed_back(answer)

    return forward


def _timeout_s(request: AnyRequest, console: Console) -> float | None:
    """Say how long another replica is waited for, where that is longer than OPS_TIMEOUT_S."""
    long = request.route_handler.opt.get(_LONG)
    return console.long_timeout_s if long is True or (long and long in request.query_params) else None


async def _meant(request: AnyRequest, fleet: Fleet) -> ReplicaCard | None:
    """Find the replica that a request is for; None: for whoever is asked. Raises RequestRefused."""
    if name := request.query_params.get(ONE, ""):
        if request.route_handler.opt.get(OWN_ALONE):
            raise refusal(HTTPStatus.BAD_REQUEST, "this is had from a replica itself alone: ask it at its address")
        if (card := await fleet.find(name)) is None:
            raise refusal(HTTPStatus.NOT_FOUND, "no replica of that name or instance lives; see /ops/api/replicas")
        return card
    game_id = await _game_of(request)
    if not game_id or RIGHT_HEADER in request.headers:
        return None
    if (card := await fleet.of_game(game_id)) is None:
        raise refusal(
            HTTPStatus.SERVICE_UNAVAILABLE, "the worker that has this game does not answer; it may be starting"
        )
    return card


class _Named(msgspec.Struct):
    game_id: UUID


async def _game_of(request: AnyRequest) -> str:
    """Return the id of the one game that a request is about: in its path, or its body where a handler `names_game`."""
    if request.route_handler.opt.get("names_game"):
        try:
            return str(msgspec.json.decode(await request.body(), type=_Named).game_id)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return ""  # the handler says what is wrong with it
    return str(request.path_params.get("game_id", ""))


def _passed_back(answer: Fetched) -> Response[bytes]:
    if answer.status == HTTPStatus.UNAUTHORIZED:
        text = "the replica does not know this one's OPS_TOKEN: all need the same, or be in development on one machine"
        raise refusal(HTTPStatus.SERVICE_UNAVAILABLE, text)
    return Response(answer.body, status_code=answer.status, media_type=answer.content_type or "application/json")


async def _asked(request: AnyRequest) -> FetchRequest:
    """Make of a request what another replica is asked: the same, without the name of whom."""
    query = [(name, value) for name, value in request.query_params.multi_items() if name not in {ONE, _ALL}]
    path = sent_path(request.scope)
    headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
    target = f"{path}?{urlencode(query)}" if query else path
    return FetchRequest(target, request.method, headers, await request.body())
