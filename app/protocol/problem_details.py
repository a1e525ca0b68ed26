"""Why an HTTP request is refused, as problem details (RFC 9457): one document for both transports and all handlers."""

from http import HTTPStatus

from msgspec import Struct


class ProblemDetails(Struct, frozen=True, omit_defaults=True):
    """RFC 9457: why a request was refused, and what to do."""

    type: str
    title: str
    status: int
    detail: str
    reason: str
    retry_after_ms: int | None = None


def problem_details(status: HTTPStatus, detail: str, reason: str, retry_after_ms: int | None = None) -> ProblemDetails:
    """Make a document: `detail` says what is wrong and what to do, and holds no secret; `reason` is a closed word."""
    return ProblemDetails("about:blank", status.phrase, int(status), detail, reason, retry_after_ms)
