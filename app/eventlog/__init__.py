"""The event log: one append-only log per game, the truth of the service; and what its replicas coordinate by.

`port` is what the service asks of a log, `coordination` what replicas ask of each other; `embedded` (in memory),
`sqlite` and, for many replicas, `nats` stand behind both.
"""

from app.eventlog.coordination import Coordination, Subscription
from app.eventlog.copying import Copied, CopyFailed, copy_log
from app.eventlog.port import (
    START,
    Commit,
    Conflict,
    Cursor,
    EventLog,
    LogInUse,
    LogListener,
    LogUnavailable,
)
from app.eventlog.select import open_event_log

__all__ = [
    "START",
    "Commit",
    "Conflict",
    "Coordination",
    "Copied",
    "CopyFailed",
    "Cursor",
    "EventLog",
    "LogInUse",
    "LogListener",
    "LogUnavailable",
    "Subscription",
    "copy_log",
    "open_event_log",
]
