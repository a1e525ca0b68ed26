"""Words of the event log: what it is asked for, and how it answers."""

from enum import StrEnum


class LogOp(StrEnum):
    """What the event log is asked to do."""

    OPEN = "open"
    APPEND = "append"
    READ = "read"
    SUBSCRIBE = "subscribe"
    OPEN_GAMES = "open_games"
    EXPIRE = "expire"
    CLAIM = "claim"
    COUNT = "count"
    BEHIND = "behind"
    PROBE = "probe"
    REPLICAS = "replicas"
    USAGE = "usage"
    NOTES = "notes"
    ERASE = "erase"


class LogTrouble(StrEnum):
    """What is wrong with the event log."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    NO_LEADER = "no_leader"
    NO_STREAM = "no_stream"
    FULL = "full"
    DENIED = "denied"
    MISCONFIGURED = "misconfigured"
    BUSY = "busy"
    UNREADABLE = "unreadable"
    OTHER = "other"


class AppendOutcome(StrEnum):
    """How the event log answered an append."""

    ACCEPTED = "accepted"
    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"
