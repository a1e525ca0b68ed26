"""Refusals over HTTP as problem documents (RFC 9457)."""

from http import HTTPStatus
from typing import Any


def problem_document(status: HTTPStatus, detail: str, reason: str, retry_after_ms: int | None = None) -> dict[str, Any]:
    """Make a problem document (RFC 9457): `detail` says what is wrong and what to do, `reason` is a closed word."""
    document = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail, "reason": reason}
    return document if retry_after_ms is None else {**document, "retry_after_ms": retry_after_ms}
