"""Bodies of requests: what is no JSON, or nested without end, is the client's mistake."""

from http import HTTPStatus
from typing import Any

from litestar import Request

from app.web.errors import refusal


class JsonRequest(Request[Any, Any, Any]):
    """Litestar's, which takes msgspec's RecursionError for a fault of the server."""

    async def json(self) -> Any:  # noqa: ANN401 - see `Request.json`
        """See `Request.json`. Raises ProblemError."""
        try:
            return await super().json()
        except RecursionError:
            raise refusal(HTTPStatus.BAD_REQUEST, "the body is nested too deeply") from None
