"""Words of messages: what they are refused for, and how they are sent."""

from enum import StrEnum


class ErrorCode(StrEnum):
    """Codes of ``error`` messages, a closed set."""

    INVALID_JSON = "invalid_json"
    INVALID_DATA = "invalid_data"
    UNKNOWN_TYPE = "unknown_type"
    NOT_ALLOWED = "not_allowed"
    BATCH_TOO_LARGE = "batch_too_large"
    GAME_FULL = "game_full"
    GAME_RUNNING = "game_running"
    GAME_OVER = "game_over"
    AUTH_FAILED = "auth_failed"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class ClientTrouble(StrEnum):
    """What the messages of a connection were refused for; each is counted once a connection."""

    NOT_UNDERSTOOD = "not_understood"
    TOO_FAST = "too_fast"


class MessageOutcome(StrEnum):
    """How a message was answered: `error` is a fault of the server, `rejected` one of the client."""

    OK = "ok"
    REJECTED = "rejected"
    ERROR = "error"


class OutboxDepth(StrEnum):
    """How much waits in one outbox, in bytes."""

    EMPTY = "empty"
    TO_4_KIB = "to_4KiB"
    TO_64_KIB = "to_64KiB"
    TO_1_MIB = "to_1MiB"
    MORE = "more"


class Reader(StrEnum):
    """Whether a member's socket took a frame at once (`prompt`), or the frame had to wait for it (`slow`)."""

    PROMPT = "prompt"
    SLOW = "slow"
