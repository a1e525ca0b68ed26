"""How a refusal to let a player join is answered: before the upgrade, after it, and in the metrics."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from app.game import Rejection
from app.protocol import Close, CloseRow
from app.vocabulary import HandshakeOutcome

GAME_RETRY_MS: Final = 60_000
"""A game that has had its events takes players again once others have gone, or ends by its time limit."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer to an upgrade, its outcome, and how a connection is closed where that is found out only later.

    `retry_after_ms` is 0 where coming again is of no use.
    """

    status: HTTPStatus
    outcome: HandshakeOutcome
    close: CloseRow
    retry_after_ms: int = 0


REFUSED: Final = {
    Rejection.GAME_FULL: Refused(HTTPStatus.CONFLICT, HandshakeOutcome.GAME_FULL, Close.GAME_FULL),
    Rejection.GAME_RUNNING: Refused(HTTPStatus.CONFLICT, HandshakeOutcome.GAME_RUNNING, Close.GAME_FULL),
    Rejection.GAME_OVER: Refused(HTTPStatus.CONFLICT, HandshakeOutcome.GAME_OVER, Close.GAME_OVER),
    Rejection.LEFT: Refused(HTTPStatus.CONFLICT, HandshakeOutcome.LEFT, Close.GAME_FULL),
    Rejection.RATE_LIMITED: Refused(
        HTTPStatus.TOO_MANY_REQUESTS, HandshakeOutcome.RATE_LIMITED, Close.RATE_LIMITED, GAME_RETRY_MS
    ),
    Rejection.REMOVED: Refused(HTTPStatus.FORBIDDEN, HandshakeOutcome.FORBIDDEN, Close.FORBIDDEN),
    Rejection.NOT_ALLOWED: Refused(HTTPStatus.FORBIDDEN, HandshakeOutcome.FORBIDDEN, Close.FORBIDDEN),
}
