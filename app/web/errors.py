"""Refusals as ``application/problem+json`` (RFC 9457), over HTTP and before an upgrade alike."""

from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Response

from app.protocol import problem
from app.vocabulary import HandshakeOutcome, HttpRejection

MEDIA_TYPE = "application/problem+json"


class ProblemReason(StrEnum):
    """The reasons of problems beside those of `HandshakeOutcome` and `HttpRejection`."""

    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    OTHER = "other"


_REASONS: Final[dict[int, StrEnum]] = {
    HTTPStatus.BAD_REQUEST: HandshakeOutcome.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED: HandshakeOutcome.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN: HandshakeOutcome.FORBIDDEN,
    HTTPStatus.NOT_FOUND: ProblemReason.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: ProblemReason.METHOD_NOT_ALLOWED,
    HTTPStatus.CONFLICT: ProblemReason.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: HttpRejection.TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ProblemReason.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.TOO_MANY_REQUESTS: HandshakeOutcome.RATE_LIMITED,
    HTTPStatus.INTERNAL_SERVER_ERROR: HandshakeOutcome.INTERNAL_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE: HandshakeOutcome.UNAVAILABLE,
}
"""The reason of a problem that has no outcome of its own."""
REASONS: Final = tuple(sorted({*HandshakeOutcome, *HttpRejection, *ProblemReason}))
"""All there are."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem document; `detail` says what is wrong and what to do, and holds no secret.

    `outcome` is set where the problem answers an attempt to connect, or is of the same kind.
    """

    status: int
    detail: str
    outcome: HandshakeOutcome | None = None
    retry_after_ms: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The document."""
        return problem(HTTPStatus(self.status), self.detail, self.reason, self.retry_after_ms)

    @property
    def reason(self) -> str:
        """The closed word by which clients know what it is."""
        return self.outcome or _REASONS.get(self.status, ProblemReason.OTHER)

    def all_headers(self) -> dict[str, str]:
        """The headers that belong to the answer."""
        headers = dict(self.headers)
        if self.retry_after_ms is not None:
            headers["retry-after"] = str(max(1, -(-self.retry_after_ms // 1000)))
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        return headers

    def response(self) -> Response[bytes]:
        """The HTTP answer."""
        content = msgspec.json.encode(self.body())
        return Response(content, status_code=self.status, media_type=MEDIA_TYPE, headers=self.all_headers())


class ProblemError(Exception):
    """Raised by a handler to answer with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def refusal(
    status: HTTPStatus, detail: str, outcome: HandshakeOutcome | None = None, retry_after_ms: int | None = None
) -> ProblemError:
    """A refusal to raise."""
    return ProblemError(Problem(status, detail, outcome, retry_after_ms))
