"""Choose the backend by URL."""

from pathlib import Path

from app.eventlog.memory import MemoryEventLog
from app.eventlog.port import EventLog
from app.eventlog.sqlite import SqliteEventLog


def open_event_log(url: str) -> EventLog:
    """The backend for `url`, not opened yet.

    Raises:
        ValueError: no backend knows the URL.
    """
    if url == "memory:":
        return MemoryEventLog()
    if url.startswith("sqlite:///"):
        return SqliteEventLog(Path(url.removeprefix("sqlite:///")))
    raise ValueError(f"no event log for {url!r}: write memory: or sqlite:///path/to/file.db")
