"""Bodies of requests: what is no JSON, no UTF-8, or nested without end, is the client's mistake."""

from http import HTTPStatus
from typing import Any

from litestar import Request

from app.web.errors import refusal


class JsonRequest(Request[Any, Any, Any]):
    """Litestar's, which takes what msgspec raises beside its own errors for a fault of the server."""

    async def json(self) -> Any:  # noqa: ANN401 - see `Request.json`
        """See `Request.json`. Raises ProblemError."""
        try:
            return await super().json()
        except RecursionError:
            raise refusal(HTTPStatus.BAD_REQUEST, "the body is nested too deeply") from None
        except UnicodeDecodeError:
            raise refusal(HTTPStatus.BAD_REQUEST, "the body is no UTF-8") from None
