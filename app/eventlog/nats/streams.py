"""The streams: what they are, made where they are missing, verified where they are there.

A stream that is set up otherwise than it has to be is never changed behind the operator's back: the replica says what
differs and is not ready, while those before it go on. What it is only made with is the operator's.
"""

from typing import Any, Final

from app.settings import EventLogSettings

LOG_SUBJECTS: Final = "game.*.log"
STATE_SUBJECTS: Final = "state.>"
LIVE: Final = "live.game"
COMMIT: Final = "log"
BROADCAST: Final = "progress"
"""Named after the first that there was, players' progress: replicas of earlier releases use it."""
DUPLICATE_WINDOW_S: Final = 120
COMMITS_MADE_WITH: Final = {"allow_atomic": True}
"""Commits may be stored together. Not compressed: nats-server 2.15 was seen to stand still over it at its start."""
_SECOND_NS: Final = 1_000_000_000


def log_subject(game_id: str) -> str:
    """Name the subject of a game's commits."""
    return f"game.{game_id}.log"


def live_subjects(topic: str) -> str:
    """Match what happens under a topic: the commits of the game that it is, as they are stored, and broadcasts."""
    return f"{LIVE}.{topic}.*"


def broadcast_subject(topic: str) -> str:
    """Name the subject of a topic's broadcasts, which no stream stores."""
    return f"{LIVE}.{topic}.{BROADCAST}"


def log_stream(settings: EventLogSettings) -> dict[str, Any]:
    """Define the stream of the games' logs: it refuses what does not fit (`discard: new`), republishes what fits."""
    return {
        "name": settings.nats_stream,
        "subjects": [LOG_SUBJECTS],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "num_replicas": settings.nats_replicas,
        "max_bytes": settings.nats_max_bytes or -1,
        "max_age": 0,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "duplicate_window": DUPLICATE_WINDOW_S * _SECOND_NS,
        "allow_direct": True,
        "allow_rollup_hdrs": True,
        "republish": {"src": LOG_SUBJECTS, "dest": f"{LIVE}.{{{{wildcard(1)}}}}.{COMMIT}"},
    }


def state_stream(settings: EventLogSettings) -> dict[str, Any]:
    """Define the stream of what is kept beside the logs: one value a subject, some with a time to live."""
    return {
        "name": f"{settings.nats_stream}_STATE",
        "subjects": [STATE_SUBJECTS],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": settings.nats_replicas,
        "max_age": 0,
        "max_msgs": -1,
        "max_msgs_per_subject": 1,
        "duplicate_window": DUPLICATE_WINDOW_S * _SECOND_NS,
        "allow_direct": True,
        "allow_msg_ttl": True,
    }


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """List how a stream differs from what it has to be; what is not mentioned in `wanted` is free."""
    return [
        f"{name} is {found.get(name)!r}, has to be {value!r}"
        for name, value in wanted.items()
        if _plain(found.get(name, False)) != _plain(value)
    ]


def takes_batches(found: dict[str, Any]) -> bool:
    """Tell whether a stream's commits are to be stored together; several servers sync together whatever waits."""
    return bool(found.get("allow_atomic")) and found.get("num_replicas") == 1


def _plain(value: object) -> object:
    """Reduce a nested value to what was asked for: servers add fields of their own."""
    if isinstance(value, dict):
        return {key: inner for key, inner in value.items() if inner}
    return value
