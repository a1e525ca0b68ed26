"""How it is told that the rules do not let a player join: before the upgrade, after it, and in the figures."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from app.game import Rejection
from app.protocol import Close, CloseRow
from app.telemetry.observer import HandshakeOutcome


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer to an upgrade, its outcome, and how a connection is closed where that is found out only later."""

    status: HTTPStatus
    outcome: HandshakeOutcome
    close: CloseRow


REFUSED: Final = {
    Rejection.GAME_FULL: Refused(HTTPStatus.CONFLICT, HandshakeOutcome.GAME_FULL, Close.GAME_FULL),
    Rejection.GAME_RUNNING: Refused(HTTPStatus.CONFLICT, HandshakeOutcome.GAME_RUNNING, Close.GAME_FULL),
    Rejection.GAME_OVER: Refused(HTTPStatus.CONFLICT, HandshakeOutcome.GAME_OVER, Close.GAME_OVER),
    Rejection.LEFT: Refused(HTTPStatus.CONFLICT, HandshakeOutcome.LEFT, Close.GAME_FULL),
    Rejection.REMOVED: Refused(HTTPStatus.FORBIDDEN, HandshakeOutcome.FORBIDDEN, Close.FORBIDDEN),
    Rejection.NOT_ALLOWED: Refused(HTTPStatus.FORBIDDEN, HandshakeOutcome.FORBIDDEN, Close.FORBIDDEN),
}
