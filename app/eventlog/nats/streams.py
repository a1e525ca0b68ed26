"""The streams: what they are, made where they are missing, verified where they are there.

A stream that is set up otherwise than it has to be is never changed behind the operator's back: the replica says what
differs and is not ready, while those before it go on.
"""

from typing import Any, Final

from app.eventlog.nats.config import NatsConfig

LOG_SUBJECTS: Final = "game.*.log"
STATE_SUBJECTS: Final = "state.>"
LIVE: Final = "live.game"
DUPLICATE_WINDOW_S: Final = 120
_SECOND_NS: Final = 1_000_000_000


def log_subject(game_id: str) -> str:
    """Where a game's commits are."""
    return f"game.{game_id}.log"


def live_subjects(game_id: str) -> str:
    """Where what happens in a game is heard at once: its commits, as they are stored, and its progress."""
    return f"{LIVE}.{game_id}.*"


def progress_subject(game_id: str) -> str:
    """Where the progress of a game's players is told, stored by nobody."""
    return f"{LIVE}.{game_id}.progress"


def log_stream(config: NatsConfig) -> dict[str, Any]:
    """The games' logs: refuses what does not fit (`discard: new`), tells live what it has stored."""
    return {
        "name": config.stream,
        "subjects": [LOG_SUBJECTS],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "num_replicas": config.replicas,
        "max_bytes": config.max_bytes or -1,
        "max_age": 0,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "duplicate_window": DUPLICATE_WINDOW_S * _SECOND_NS,
        "allow_direct": True,
        "allow_rollup_hdrs": True,
        "republish": {"src": LOG_SUBJECTS, "dest": f"{LIVE}.{{{{wildcard(1)}}}}.log"},
    }


def state_stream(config: NatsConfig) -> dict[str, Any]:
    """What is kept beside the logs, one value a subject, some with a time to live."""
    return {
        "name": config.state_stream,
        "subjects": [STATE_SUBJECTS],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": config.replicas,
        "max_age": 0,
        "max_msgs": -1,
        "max_msgs_per_subject": 1,
        "duplicate_window": DUPLICATE_WINDOW_S * _SECOND_NS,
        "allow_direct": True,
        "allow_msg_ttl": True,
    }


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """How a stream differs from what it has to be, a line each; what is not mentioned in `wanted` is free."""
    return [
        f"{name} is {found.get(name)!r}, has to be {value!r}"
        for name, value in wanted.items()
        if _plain(found.get(name, False)) != _plain(value)
    ]


def _plain(value: object) -> object:
    """Comparable: only what was asked for of a nested value (servers add fields of their own)."""
    if isinstance(value, dict):
        return {key: inner for key, inner in value.items() if inner}
    return value
