"""What the server sends: the types of its messages."""

from typing import Final

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
