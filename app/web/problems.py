"""Refusals as ``application/problem+json`` (RFC 9457), over HTTP and before an upgrade alike."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, WebSocketDisconnect
from litestar.types import Scope

from app.eventlog import LogUnavailable
from app.protocol import problem_document
from app.realtime.identity import TokenRefused, VerifierUnavailable
from app.realtime.refusals import REFUSALS
from app.telemetry.observer import Observer
from app.vocabulary import HandshakeOutcome, HttpRejection

MEDIA_TYPE: Final = "application/problem+json"
_NOTED: Final = "problem"
NOTHING_THERE: Final = "nothing is served at this path; / is the page, and /schema describes what else there is"
"""In place of the words of whoever looked last, which tell of files. What is gone, a game, the API tells itself."""


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
        """Make the document."""
        return problem_document(HTTPStatus(self.status), self.detail, self.reason, self.retry_after_ms)

    @property
    def reason(self) -> str:
        """The closed word by which clients know what it is."""
        return self.outcome or _REASONS.get(self.status, ProblemReason.OTHER)

    def all_headers(self) -> dict[str, str]:
        """List the headers that belong to the answer."""
        headers = dict(self.headers)
        if self.retry_after_ms is not None:
            headers["retry-after"] = str(max(1, -(-self.retry_after_ms // 1000)))
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        return headers

    def response(self) -> Response[bytes]:
        """Make the HTTP answer."""
        content = msgspec.json.encode(self.body())
        return Response(content, status_code=self.status, media_type=MEDIA_TYPE, headers=self.all_headers())


class ProblemError(Exception):
    """Raised by a handler to answer with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def refusal(status: HTTPStatus, detail: str, retry_after_ms: int | None = None) -> ProblemError:
    """Make the refusal of a request, to be raised."""
    return ProblemError(Problem(status, detail, retry_after_ms=retry_after_ms))


def refused(outcome: HandshakeOutcome, detail: str, retry_after_ms: int | None = None) -> ProblemError:
    """Make the refusal of an attempt to connect, or of the same kind: the table has its status."""
    row = REFUSALS[outcome]
    wait_ms = row.retry_after_ms() or None if retry_after_ms is None else retry_after_ms
    return ProblemError(Problem(row.status, detail, outcome, wait_ms))


def unauthorized(error: TokenRefused) -> ProblemError:
    """Refuse a missing or bad token."""
    return refused(HandshakeOutcome.UNAUTHORIZED, f"Authentication required: {error}")


def cannot_verify(error: VerifierUnavailable) -> ProblemError:
    """Refuse while tokens cannot be verified."""
    return refused(HandshakeOutcome.UNAVAILABLE, f"{error}; try again")


def unavailable(error: LogUnavailable) -> ProblemError:
    """Refuse while the event log cannot be reached."""
    return refused(HandshakeOutcome.UNAVAILABLE, f"the event log is unavailable ({type(error).__name__}); try again")


def exception_handlers() -> dict[int | type[Exception], Any]:
    """Tell Litestar what every error is answered with, on each port: a problem document."""
    return {ProblemError: _answer_problem, HTTPException: _answer_http_error, Exception: _answer_fault}


def fault_reporter(observer: Observer) -> Callable[[Exception, Scope], Awaitable[None]]:
    """Make what logs each error that no handler answers for: over a WebSocket, Litestar only closes with a bare 403."""

    async def report(error: Exception, scope: Scope) -> None:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, (ProblemError, WebSocketDisconnect)):
            observer.fault(scope["type"], error)

    return report


def noted_problem(state: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """Return the reason and the detail of the problem that a request was answered with, from its scope's state."""
    noted: tuple[str, str | None] | None = state.get(_NOTED)
    return noted


def _answer_problem(request: Request[Any, Any, Any], error: ProblemError) -> Response[bytes]:
    problem = error.problem
    if problem.outcome is not HandshakeOutcome.ACCEPTED:
        request.scope["state"][_NOTED] = problem.reason, problem.detail
    return problem.response()


def _answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    detail = NOTHING_THERE if error.status_code == HTTPStatus.NOT_FOUND else error.detail
    extra = error.extra
    if isinstance(extra, list):
        detail = "; ".join(_field_error(item) for item in extra) or detail
    headers = {key: value for key, value in (error.headers or {}).items() if key.lower() == "allow"}
    problem = Problem(error.status_code, detail, headers=headers)
    request.scope["state"][_NOTED] = problem.reason, None  # the words are others', and may quote what was sent
    return problem.response()


def _field_error(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    return f"{item.get('key', 'body')}: {item.get('message', 'invalid')}"


def _answer_fault(request: Request[Any, Any, Any], _error: Exception) -> Response[bytes]:
    problem = Problem(500, "a fault of the server; it has been logged")
    request.scope["state"][_NOTED] = problem.reason, problem.detail
    return problem.response()
