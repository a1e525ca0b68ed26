"""Bodies of requests: what is no JSON, no UTF-8, or nested without end, is the client's mistake."""

from http import HTTPStatus
from typing import Any

from litestar import Request
from litestar.datastructures import State

from app.web.error_answers import refusal

AnyRequest = Request[Any, Any, State]


class JsonRequest(Request[Any, Any, Any]):
    """A request of Litestar's, which alone would take what msgspec raises beside its own errors for our fault."""

    async def json(self) -> Any:  # noqa: ANN401 - a body is anything
        """Decode the body. Raises RequestRefused."""
        try:
            return await super().json()
        except RecursionError:
            raise refusal(HTTPStatus.BAD_REQUEST, "the body is nested too deeply") from None
        except UnicodeDecodeError:
            raise refusal(HTTPStatus.BAD_REQUEST, "the body is no UTF-8") from None
