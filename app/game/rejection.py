"""Why a command is refused."""

from app.vocabulary import Rejection


class Rejected(Exception):  # noqa: N818 - a rule's answer, not a fault
    """The rules forbid the command; nothing happened."""

    def __init__(self, code: Rejection, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
