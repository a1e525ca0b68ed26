"""What the server sends: the types of its messages and the codes of its errors."""

from enum import StrEnum
from typing import Final


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


DURABLE_TYPES: Final = (
    "game_created",
    "player_joined",
    "player_ready",
    "countdown_started",
    "countdown_cancelled",
    "game_started",
    "code_submitted",
    "submission_judged",
    "player_disconnected",
    "player_reconnected",
    "player_left",
    "game_finished",
)
TRANSIENT_TYPES: Final = (
    "welcome",
    "player_progress",
    "submission_result",
    "pong",
    "ack",
    "error",
    "token_expiring",
    "disconnect",
)
SENT_TYPES: Final = (*DURABLE_TYPES, *TRANSIENT_TYPES)
