"""Choose the backend by URL."""

from pathlib import Path
from typing import Final

from app.eventlog.embedded import MemoryEventLog
from app.eventlog.port import EventLog
from app.eventlog.sqlite import SqliteEventLog
from app.settings import EventLogSettings
from app.workers import Share
from app.workers.share import ALONE

_SQLITE: Final = "sqlite:///"


def open_event_log(
    settings: EventLogSettings, replica: str, share: Share = ALONE, *, must_exist: bool = False
) -> EventLog:
    """Make the backend for EVENT_LOG_URL; it is not opened yet.

    A worker with a `share` of the games has an SQLite file of its own. One that `must_exist` is not made where it is
    not there: opening it fails.

    Raises:
        SettingsError: a file that NATS is to be reached with cannot be used.
    """
    url = settings.event_log_url
    if url == "memory:":
        return MemoryEventLog()
    if (file := file_of(url)) is not None:
        return SqliteEventLog(share.part_of(file), must_exist=must_exist)
    from app.eventlog.nats import NatsEventLog  # noqa: PLC0415 - its client takes 0.2 s to load, for those who use it

    return NatsEventLog(settings, replica, must_exist=must_exist)


def file_of(url: str) -> Path | None:
    """Return the file of an EVENT_LOG_URL; None where it is none on this machine."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None
