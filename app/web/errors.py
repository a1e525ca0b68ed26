"""Refusals as ``application/problem+json`` (RFC 9457), over HTTP and before an upgrade alike."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Response

from app.telemetry.observer import HandshakeOutcome

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem document; `detail` says what is wrong and what to do, and holds no secret.

    `outcome` is set where the problem answers an attempt to connect.
    """

    status: int
    detail: str
    outcome: HandshakeOutcome | None = None
    retry_after_ms: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The document."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.outcome is not None:
            document["reason"] = self.outcome.value
        if self.retry_after_ms is not None:
            document["retry_after_ms"] = self.retry_after_ms
        return document

    def all_headers(self) -> dict[str, str]:
        """The headers that belong to the answer."""
        headers = {"cache-control": "no-store", **self.headers}
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
