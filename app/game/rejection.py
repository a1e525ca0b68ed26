"""Why a command is refused."""

from enum import StrEnum

from app.vocabulary import ErrorCode


class Rejection(StrEnum):
    """Why a command was refused: in the words of the ``error`` that answers a message, where one can meet it."""

    NOT_ALLOWED = ErrorCode.NOT_ALLOWED.value
    GAME_FULL = ErrorCode.GAME_FULL.value
    GAME_RUNNING = ErrorCode.GAME_RUNNING.value
    GAME_OVER = ErrorCode.GAME_OVER.value
    RATE_LIMITED = ErrorCode.RATE_LIMITED.value
    LEFT = "left"
    REMOVED = "removed"


class Rejected(Exception):  # noqa: N818 - a rule's answer, not a fault
    """The rules forbid the command; nothing happened."""

    def __init__(self, code: Rejection, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
