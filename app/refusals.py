"""Refusals: the one table of how what is refused is answered, over HTTP, before an upgrade and after it.

An outcome labels the metrics and leads to the HTTP status, and to the close row where the refusal is found out only
after the upgrade. What the rules of a game reject leads to an outcome, and so does the status of an answer over HTTP
that has none of its own.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from app.protocol import Close, CloseRow
from app.rate_limits import BUSY_RETRY_S, spread_ms
from app.vocabulary import ErrorCode, ErrorReason, HandshakeOutcome, HttpRejection, Rejection

Reason = HandshakeOutcome | HttpRejection | ErrorReason
"""The closed word by which clients know what an answer is."""
REASONS: Final = tuple(sorted({*HandshakeOutcome, *HttpRejection, *ErrorReason}))
"""All there are."""
GAME_RETRY_S: Final = (60.0, 60.0)
"""A game that has had its events takes players again once others have gone, or ends by its time limit."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row: the outcome, the answer to an upgrade, and how a connection is closed.

    `retry_s` is sent where no other time is known, to each client one from between its two; 0 where coming again is of
    no use. What is always found out before the upgrade has no close row of its own: it would be a fault to find it out
    later.
    """

    outcome: HandshakeOutcome
    status: HTTPStatus
    close: CloseRow = Close.INTERNAL
    retry_s: tuple[float, float] = (0.0, 0.0)

    @property
    def is_final(self) -> bool:
        """Whether coming again is of no use to whoever is refused so."""
        return self.status < HTTPStatus.INTERNAL_SERVER_ERROR and not any(self.retry_s)

    def retry_after_ms(self) -> int:
        """Choose when this client may come again."""
        return spread_ms(*self.retry_s)


_O, _S = HandshakeOutcome, HTTPStatus

REFUSALS: Final = {
    row.outcome: row
    for row in (
        Refusal(_O.INVALID_GAME_ID, _S.BAD_REQUEST),
        Refusal(_O.BAD_REQUEST, _S.BAD_REQUEST),
        Refusal(_O.UNAUTHORIZED, _S.UNAUTHORIZED, Close.AUTH_FAILED),
        Refusal(_O.ORIGIN_REFUSED, _S.FORBIDDEN),
        Refusal(_O.FORBIDDEN, _S.FORBIDDEN, Close.FORBIDDEN),
        Refusal(_O.NO_SUCH_PATH, _S.NOT_FOUND),
        Refusal(_O.NO_SUCH_GAME, _S.NOT_FOUND, Close.NO_SUCH_GAME),
        Refusal(_O.GAME_FULL, _S.CONFLICT, Close.GAME_FULL),
        Refusal(_O.GAME_RUNNING, _S.CONFLICT, Close.GAME_FULL),
        Refusal(_O.GAME_OVER, _S.CONFLICT, Close.GAME_OVER),
        Refusal(_O.LEFT, _S.CONFLICT, Close.GAME_FULL),
        Refusal(_O.RATE_LIMITED, _S.TOO_MANY_REQUESTS, Close.RATE_LIMITED, GAME_RETRY_S),
        Refusal(_O.DRAINING, _S.SERVICE_UNAVAILABLE),
        Refusal(_O.OVERLOADED, _S.SERVICE_UNAVAILABLE, retry_s=(5.0, 15.0)),
        Refusal(_O.UNAVAILABLE, _S.SERVICE_UNAVAILABLE, Close.OVERLOADED, BUSY_RETRY_S),
        Refusal(_O.INTERNAL_ERROR, _S.INTERNAL_SERVER_ERROR),
    )
}
"""The rows, by outcome."""

REJECTIONS: Final = {
    Rejection.GAME_FULL: REFUSALS[_O.GAME_FULL],
    Rejection.GAME_RUNNING: REFUSALS[_O.GAME_RUNNING],
    Rejection.GAME_OVER: REFUSALS[_O.GAME_OVER],
    Rejection.LEFT: REFUSALS[_O.LEFT],
    Rejection.RATE_LIMITED: REFUSALS[_O.RATE_LIMITED],
    Rejection.REMOVED: REFUSALS[_O.FORBIDDEN],
    Rejection.NOT_ALLOWED: REFUSALS[_O.FORBIDDEN],
}
"""The rows of what the rules of a game reject."""

ERROR_CODES: Final = {
    Rejection.GAME_FULL: ErrorCode.GAME_FULL,
    Rejection.GAME_RUNNING: ErrorCode.GAME_RUNNING,
    Rejection.GAME_OVER: ErrorCode.GAME_OVER,
    Rejection.LEFT: ErrorCode.NOT_ALLOWED,
    Rejection.RATE_LIMITED: ErrorCode.RATE_LIMITED,
    Rejection.REMOVED: ErrorCode.NOT_ALLOWED,
    Rejection.NOT_ALLOWED: ErrorCode.NOT_ALLOWED,
}
"""The code of the ``error`` that answers a message which the rules of a game reject."""

_SEVERAL: Final[dict[int, Reason]] = {
    _S.BAD_REQUEST: _O.BAD_REQUEST,
    _S.FORBIDDEN: _O.FORBIDDEN,
    _S.NOT_FOUND: ErrorReason.NOT_FOUND,
    _S.CONFLICT: ErrorReason.CONFLICT,
    _S.SERVICE_UNAVAILABLE: _O.UNAVAILABLE,
    _S.METHOD_NOT_ALLOWED: ErrorReason.METHOD_NOT_ALLOWED,
    _S.REQUEST_ENTITY_TOO_LARGE: HttpRejection.TOO_LARGE,
    _S.UNSUPPORTED_MEDIA_TYPE: ErrorReason.UNSUPPORTED_MEDIA_TYPE,
}
"""The statuses of several outcomes, or of none: the reason that fits all that they are answered for."""
_BY_STATUS: Final[dict[int, Reason]] = {row.status: row.outcome for row in REFUSALS.values()} | _SEVERAL


def reason_of(status: int) -> Reason:
    """Return the reason of an answer that has no outcome of its own."""
    return _BY_STATUS.get(status, ErrorReason.OTHER)
