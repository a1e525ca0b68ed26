"""The event log: one append-only log per game, the truth of the service.

`port` is what the service asks of a log; `memory`, `sqlite` and, for many replicas, `nats` stand behind it, `measured`
before them.
"""

from app.eventlog.copying import Copied, CopyFailed, copy_log
from app.eventlog.measured import MeasuredEventLog
from app.eventlog.port import (
    START,
    Commit,
    Conflict,
    Cursor,
    EventLog,
    LogInUse,
    LogOwner,
    LogUnavailable,
    Subscription,
)
from app.eventlog.select import NATS_SCHEMES, open_event_log

__all__ = [
    "NATS_SCHEMES",
    "START",
    "Commit",
    "Conflict",
    "Copied",
    "CopyFailed",
    "Cursor",
    "EventLog",
    "LogInUse",
    "LogOwner",
    "LogUnavailable",
    "MeasuredEventLog",
    "Subscription",
    "copy_log",
    "open_event_log",
]
