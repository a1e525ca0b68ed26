"""Words of games: where they are, who is in them, what the judge says."""

from enum import StrEnum

from app.vocabulary.messages import ErrorCode


class Phase(StrEnum):
    """Where a game is; it only moves forward, but for a cancelled countdown."""

    WAITING = "waiting"
    COUNTDOWN = "countdown"
    RUNNING = "running"
    FINISHED = "finished"


class Difficulty(StrEnum):
    """How hard a problem is, the easiest first."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"


class Language(StrEnum):
    """What a submission is written in."""

    PYTHON = "python"


class Verdict(StrEnum):
    """What the judge says of a submission."""

    ACCEPTED = "accepted"
    WRONG_ANSWER = "wrong_answer"
    RUNTIME_ERROR = "runtime_error"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    INVALID = "invalid"
    UNSUPPORTED = "unsupported"
    JUDGE_ERROR = "judge_error"


class FinishReason(StrEnum):
    """Why a game ended; `ended`: an operator ended it."""

    FIRST_ACCEPTED = "first_accepted"
    ALL_DONE = "all_done"
    TIME_LIMIT = "time_limit"
    ABANDONED = "abandoned"
    EXPIRED = "expired"
    ENDED = "ended"


class LeaveReason(StrEnum):
    """Why a player is out of the game."""

    LEFT = "left"
    GRACE_EXPIRED = "grace_expired"
    REMOVED = "removed"


class PlayerStanding(StrEnum):
    """What a player of a game is up to."""

    WAITING = "waiting"
    READY = "ready"
    RACING = "racing"
    DONE = "done"
    LOST = "lost"


class FunnelStep(StrEnum):
    """How far players come."""

    JOINED = "joined"
    READY = "ready"
    STARTED = "started"
    FINISHED = "finished"


class FinishRule(StrEnum):
    """When a race ends: with the first accepted solution, or once everybody is done."""

    FIRST_ACCEPTED = "first_accepted"
    ALL_DONE = "all_done"


class ReadyStatus(StrEnum):
    """Whether a player is ready to start."""

    READY = "ready"
    NOT_READY = "not_ready"


class MemberStatus(StrEnum):
    """Whether a player of a snapshot is still in the game."""

    ACTIVE = "active"
    LEFT = "left"


class Rejection(StrEnum):
    """Why a command was refused: in the words of the ``error`` that answers it, where that has one of its own."""

    NOT_ALLOWED = ErrorCode.NOT_ALLOWED.value
    GAME_FULL = ErrorCode.GAME_FULL.value
    GAME_RUNNING = ErrorCode.GAME_RUNNING.value
    GAME_OVER = ErrorCode.GAME_OVER.value
    RATE_LIMITED = ErrorCode.RATE_LIMITED.value
    LEFT = "left"
    REMOVED = "removed"


class Stop(StrEnum):
    """What ended a run before its time; the first four are the code's doing, and its verdict says so."""

    TIME = "time"
    MEMORY = "memory"
    RESULT = "result"
    WALL = "wall"
    CRASH = "crash"
    DIED = "died"
    GARBLED = "garbled"
