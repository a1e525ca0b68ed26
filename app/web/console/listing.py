"""What the handlers of the console share: parameters within their bounds, and answers about what is gone."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Final

from litestar.params import FromQuery, QueryParameter
from msgspec.structs import replace

from app.console.connections import Listing
from app.console.walking import MAX_CURSOR, AnyPage, BadCursor, merged
from app.eventlog import LogUnavailable
from app.vocabulary import SortOrder
from app.web.auth.player import PLAYER_IDS, is_player_id
from app.web.console.forwarding import ONE, Others
from app.web.error_answers import RequestRefused, refusal, unavailable
from app.web.json_request import AnyRequest

MOST_ROWS: Final = 200
MAX_CONNECTION_ID: Final = 64
MAX_REPLICA: Final = 128
Sought = Annotated[str, QueryParameter(max_length=200)]
"""Text that is looked for."""
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_ROWS, description="rows of the page")]


async def find_listing(
    order: FromQuery[SortOrder] = SortOrder.DESCENDING,
    limit: Limit = 50,
    after: Annotated[str, QueryParameter(max_length=MAX_CURSOR, description="`next` of the page before")] = "",
) -> Listing:
    """Give a handler which rows of its list are wanted."""
    return Listing(order, limit, after)


async def join(own: AnyPage, others: Others, listing: Listing) -> AnyPage:
    """Make one page of this replica's and of the others', where those are asked for."""
    pages, missing = await others.answers(type(own))
    return replace(merged([own, *pages], listing.limit), missing=missing)


def require_ids(request: AnyRequest) -> None:
    """Refuse what can be nobody's id or name: it would be logged, and kept, at its length. Raises RequestRefused."""
    given = request.scope["path_params"]
    if not is_player_id(given.get("player_id", "-")):
        raise refusal(HTTPStatus.BAD_REQUEST, f"a player id has {PLAYER_IDS}")
    if len(given.get("connection_id", "")) > MAX_CONNECTION_ID:
        raise refusal(HTTPStatus.BAD_REQUEST, f"a connection id has at most {MAX_CONNECTION_ID} characters")
    if len(request.query_params.get(ONE, "")) > MAX_REPLICA:
        raise refusal(HTTPStatus.BAD_REQUEST, f"a replica's name has at most {MAX_REPLICA} characters")


@contextmanager
def answered() -> Iterator[None]:
    """Answer for what goes wrong in the block. Raises RequestRefused."""
    try:
        yield
    except BadCursor as error:
        raise refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
    except LogUnavailable as error:
        raise unavailable(error) from None


def gone(what: str) -> RequestRefused:
    """Make the answer where there is no such thing, or no more."""
    return refusal(HTTPStatus.NOT_FOUND, f"there is no such {what} here; it may have ended, or be of another replica")
