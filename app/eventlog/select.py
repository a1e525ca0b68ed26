"""Choose the backend by URL."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.eventlog.memory import MemoryEventLog
from app.eventlog.port import EventLog
from app.eventlog.sqlite import SqliteEventLog

if TYPE_CHECKING:
    from app.eventlog.nats import NatsConfig

NATS_SCHEMES: Final = ("nats://", "tls://")


def open_event_log(url: str, nats: "NatsConfig | None" = None, *, must_exist: bool = False) -> EventLog:
    """The backend for `url`, not opened yet; `nats` says the rest about one on NATS.

    One that `must_exist` is not made where it is not there: opening it fails.

    Raises:
        ValueError: no backend knows the URL.
    """
    if url == "memory:":
        return MemoryEventLog()
    if url.startswith("sqlite:///"):
        return SqliteEventLog(Path(url.removeprefix("sqlite:///")), must_exist=must_exist)
    if nats is not None and url.startswith(NATS_SCHEMES):
        from app.eventlog.nats import NatsEventLog  # noqa: PLC0415 - its client takes 0.2 s to load, for those who use it

        return NatsEventLog(nats, must_exist=must_exist)
    raise ValueError(f"no event log for {url!r}: write memory:, sqlite:///path/to/file.db or nats://host:4222")
