"""What is answered instead of what was asked for: problem details (RFC 9457), over HTTP and before an upgrade alike.

A request or an attempt to connect is refused by raising `RequestRefused`. What a game's rules forbid is `Rejected`,
what is no message `InvalidMessage`, who has no usable token `Unauthenticated`: each becomes an answer where it ends.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import Scope

from app.eventlog import LogUnavailable
from app.protocol import encode, problem_details
from app.realtime.identity import Unauthenticated, VerifierUnavailable
from app.refusals import REFUSALS, reason_of
from app.telemetry.observer import Observer
from app.vocabulary import HandshakeOutcome

MEDIA_TYPE: Final = "application/problem+json"
_NOTED: Final = "error_answer"
NOTHING_THERE: Final = "nothing is served at this path; / is the page, and /schema describes what else there is"
"""In place of the words of whoever looked last, which tell of files. What is gone, a game, the API tells itself."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """One answer; `detail` says what is wrong and what to do, and holds no secret.

    `outcome` is set where it answers an attempt to connect, or is of the same kind; `player_id`, which is logged and
    not told, where the refusal itself says who it was.
    """

    status: int
    detail: str
    outcome: HandshakeOutcome | None = None
    retry_after_ms: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    player_id: str | None = None

    def body(self) -> bytes:
        """Encode the document."""
        return encode(problem_details(HTTPStatus(self.status), self.detail, self.reason, self.retry_after_ms))

    @property
    def reason(self) -> str:
        """The closed word by which clients know what it is."""
        return self.outcome or reason_of(self.status)

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
        return Response(self.body(), status_code=self.status, media_type=MEDIA_TYPE, headers=self.all_headers())


FAULT: Final = ErrorAnswer(500, "a fault of the server; it has been logged")


class RequestRefused(Exception):  # noqa: N818 - an answer
    """Raised by a handler to answer with an error."""

    def __init__(self, answer: ErrorAnswer) -> None:
        super().__init__(answer.detail)
        self.answer = answer


def refusal(status: HTTPStatus, detail: str, retry_after_ms: int | None = None) -> RequestRefused:
    """Make the refusal of a request, to be raised."""
    return RequestRefused(ErrorAnswer(status, detail, retry_after_ms=retry_after_ms))


def refused(outcome: HandshakeOutcome, detail: str, retry_after_ms: int | None = None) -> RequestRefused:
    """Make the refusal of an attempt to connect, or of the same kind: the table has its status."""
    row = REFUSALS[outcome]
    wait_ms = row.retry_after_ms() or None if retry_after_ms is None else retry_after_ms
    return RequestRefused(ErrorAnswer(row.status, detail, outcome, wait_ms))


def no_such_path() -> RequestRefused:
    """Refuse what is asked for where no game is, by an upgrade or by the plain GET after one."""
    return refused(HandshakeOutcome.NO_SUCH_PATH, "there is no WebSocket here; games are at /ws/{gameId}")


def unauthorized(error: Unauthenticated) -> RequestRefused:
    """Refuse a missing or bad token."""
    refusing = refused(HandshakeOutcome.UNAUTHORIZED, f"Authentication required: {error}")
    return RequestRefused(replace(refusing.answer, player_id=error.player_id))


def cannot_verify(error: VerifierUnavailable) -> RequestRefused:
    """Refuse while tokens cannot be verified."""
    return refused(HandshakeOutcome.UNAVAILABLE, f"{error}; try again")


def unavailable(error: LogUnavailable) -> RequestRefused:
    """Refuse while the event log cannot be reached."""
    return refused(HandshakeOutcome.UNAVAILABLE, f"the event log is unavailable ({type(error).__name__}); try again")


def exception_handlers() -> dict[int | type[Exception], Any]:
    """Tell Litestar what every error is answered with, on each port: problem details."""
    return {RequestRefused: _answer_refusal, HTTPException: _answer_http_error, Exception: _answer_fault}


def fault_reporter(
    observer: Observer, answered: Collection[type[Exception]] = ()
) -> Callable[[Exception, Scope], Awaitable[None]]:
    """Make what logs each error that no handler answers for; those of a class that is `answered` have one."""
    no_faults: tuple[type[Exception], ...] = (RequestRefused, *answered)

    async def report(error: Exception, scope: Scope) -> None:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, no_faults):
            observer.fault(scope["type"], error)

    return report


def noted_error(state: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """Return the reason and the detail of the error that a request was answered with, from its scope's state."""
    noted: tuple[str, str | None] | None = state.get(_NOTED)
    return noted


def _answer_refusal(request: Request[Any, Any, Any], error: RequestRefused) -> Response[bytes]:
    answer = error.answer
    if answer.player_id is not None:
        request.scope["state"]["player_id"] = answer.player_id
    if answer.outcome is not HandshakeOutcome.ACCEPTED:
        request.scope["state"][_NOTED] = answer.reason, answer.detail
    return answer.response()


def _answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    if error.status_code == HTTPStatus.NOT_FOUND and "/ws/" in request.scope["path"]:
        return _answer_refusal(request, no_such_path())  # a client whose upgrade has failed asks why
    detail = NOTHING_THERE if error.status_code == HTTPStatus.NOT_FOUND else error.detail
    extra = error.extra
    if isinstance(extra, list):
        detail = "; ".join(_field_error(item) for item in extra) or detail
    headers = {key: value for key, value in (error.headers or {}).items() if key.lower() == "allow"}
    answer = ErrorAnswer(error.status_code, detail, headers=headers)
    request.scope["state"][_NOTED] = answer.reason, None  # the words are others', and may quote what was sent
    return answer.response()


def _field_error(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    return f"{item.get('key', 'body')}: {item.get('message', 'invalid')}"


def _answer_fault(request: Request[Any, Any, Any], _error: Exception) -> Response[bytes]:
    request.scope["state"][_NOTED] = FAULT.reason, FAULT.detail
    return FAULT.response()
