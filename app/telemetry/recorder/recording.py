"""What the recorders of all areas share: the metrics' store and the log lines."""

from collections.abc import Callable

from app.telemetry.catalogue import Events, LogEvent, Metrics
from app.telemetry.metrics import MetricStore
from app.telemetry.repeats import Repeats

WriteLine = Callable[[str, str, dict[str, object]], None]
"""Writes a log line, given its level, the name of its event and its fields."""


def write_event(write: WriteLine | None, event: LogEvent, **fields: object) -> None:
    """Write a log line of the catalogue, where lines are written; fields that are None are left out.

    Raises:
        ValueError: a field that the catalogue does not list.
    """
    if not event.fields.issuperset(fields):
        raise ValueError(f"{event.name}: the catalogue does not list {sorted(fields.keys() - event.fields)}")
    if write is not None:
        write(event.level, event.name, {key: value for key, value in fields.items() if value is not None})


class Recording:
    """Moves metrics of `store` and has `write` write lines.

    Without `write` there are metrics only. Of lines that others can cause as often as they like, `repeats_per_s` of
    each kind are written a second.
    """

    def __init__(self, store: MetricStore, write: WriteLine | None = None, repeats_per_s: int = 20) -> None:
        self.store = store
        self._write = write
        self._repeats = Repeats(repeats_per_s)

    def log(self, event: LogEvent, **fields: object) -> None:
        """Write a log line of the catalogue.

        Raises:
            ValueError: a field that the catalogue does not list.
        """
        write_event(self._write, event, **fields)

    def log_repeated(self, event: LogEvent, kind: str, **fields: object) -> None:
        """Write a line that others can cause as often as they like: of one kind only so many a second."""
        suppressed = self._repeats.suppressed(f"{event.name} {kind}")
        if suppressed is None:
            self.store.counter(Metrics.LOG_SUPPRESSED).inc((event.name,))
        else:
            self.log(event, suppressed=suppressed or None, **fields)

    def tell_suppressed(self, *, is_end: bool = False) -> None:
        """Tell of lines that were not written, and that no line of their kind has told of since."""
        for kind, suppressed in self._repeats.untold(is_end=is_end).items():
            of, _, detail = kind.partition(" ")
            self.log(Events.LOG_SUPPRESSED, of=of, kind=detail or None, suppressed=suppressed)
