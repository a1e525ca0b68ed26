"""Words of the operators' console: what an operator may do, does, and what comes of it."""

from enum import StrEnum
from typing import Final


class Right(StrEnum):
    """What somebody may do in the operators' console: look, or act too."""

    READ = "read"
    ACT = "act"


class ConnectionState(StrEnum):
    """How far a connection is: its player has yet to enter a game, is in it, or it is about to end."""

    JOINING = "joining"
    OPEN = "open"
    CLOSING = "closing"


class ConnectionSort(StrEnum):
    """What connections are listed by; `hurt`: what waits for them, then errors, then the round trip."""

    HURT = "hurt"
    AGE = "age"
    MESSAGES = "messages"
    BYTES = "bytes"
    OUTBOX = "outbox"
    RTT = "rtt"
    ERRORS = "errors"


class GameSort(StrEnum):
    """What games are listed by; `hurt`: how long they are overdue, then what is still judged, then how busy they are.

    `events_per_minute`, of the last one, tells which is hot; `events` are all it ever had.
    """

    HURT = "hurt"
    AGE = "age"
    MEMBERS = "members"
    EVENTS = "events"
    EVENTS_PER_MINUTE = "events_per_minute"
    OVERDUE = "overdue"
    JUDGING = "judging"


class SortOrder(StrEnum):
    """Which end of a list is shown first."""

    ASCENDING = "asc"
    DESCENDING = "desc"


class OperatorAction(StrEnum):
    """What an operator does to a running service."""

    CLOSE_CONNECTION = "close_connection"
    CLOSE_PLAYER = "close_player"
    REMOVE_PLAYER = "remove_player"
    BAN = "ban"
    UNBAN = "unban"
    ERASE = "erase"
    END_GAME = "end_game"
    DRAIN = "drain"
    UNDRAIN = "undrain"
    SHED = "shed"
    LOG_LEVEL = "log_level"
    TRACE = "trace"
    LIMIT_DRY_RUN = "limit_dry_run"
    PROFILE = "profile"
    TRACE_MEMORY = "trace_memory"


LASTING_ACTIONS: Final = (
    OperatorAction.BAN,
    OperatorAction.DRAIN,
    OperatorAction.LOG_LEVEL,
    OperatorAction.TRACE,
    OperatorAction.LIMIT_DRY_RUN,
)
"""Those whose effect goes on until it is taken back, or its time is over."""


class ActionOutcome(StrEnum):
    """What came of an operator's action; `gone`: there was nothing left to act on."""

    DONE = "done"
    GONE = "gone"
    REFUSED = "refused"
    FAILED = "failed"
