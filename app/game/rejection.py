"""Why a command is refused."""

from enum import StrEnum


class Rejection(StrEnum):
    """Why a command was refused."""

    NOT_ALLOWED = "not_allowed"
    GAME_FULL = "game_full"
    GAME_RUNNING = "game_running"
    GAME_OVER = "game_over"
    LEFT = "left"
    RATE_LIMITED = "rate_limited"
    REMOVED = "removed"


class Rejected(Exception):  # noqa: N818 - a rule's answer, not a fault
    """The rules forbid the command; nothing happened."""

    def __init__(self, code: Rejection, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
