"""Words of traces."""

from enum import StrEnum


class SpanName(StrEnum):
    """The spans besides those of messages (`message_span`)."""

    HANDSHAKE = "ws.handshake"
    REQUEST = "http.request"
    CREATE = "game.create"
    JOIN = "game.join"
    DISCONNECT = "game.disconnect"
    REMOVE = "game.remove"
    END = "game.end"
    TICK = "game.tick"
    DECIDE = "game.decide"
    APPEND = "event_log.append"
    FAN_OUT = "game.fan_out"
    DELIVER = "ws.deliver"
    JUDGE = "judge.submission"
    JUDGE_RUN = "judge.run"


class LateCause(StrEnum):
    """Why a message that was not sampled got its span after all."""

    ERROR = "error"
    REJECTED = "rejected"
    SLOW = "slow"


class SpanExport(StrEnum):
    """What became of a span: the collector took it, did not, or it found the queue full."""

    EXPORTED = "exported"
    FAILED = "failed"
    DROPPED = "dropped"
