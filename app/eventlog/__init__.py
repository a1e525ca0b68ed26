"""The event log: one append-only log per game, the truth of the service.

`port` is what the service asks of a log; `memory` and `sqlite` stand behind it, `measured` before them.
"""

from app.eventlog.measured import MeasuredEventLog
from app.eventlog.port import START, Commit, Conflict, Cursor, EventLog, LogUnavailable, Subscription
from app.eventlog.select import open_event_log

__all__ = [
    "START",
    "Commit",
    "Conflict",
    "Cursor",
    "EventLog",
    "LogUnavailable",
    "MeasuredEventLog",
    "Subscription",
    "open_event_log",
]
