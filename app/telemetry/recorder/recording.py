"""What the recorders of all areas share: the metrics' store and the logger."""

from typing import Any

from app.console.lately import Lately
from app.telemetry.catalogue import Events, LogEvent, Metrics
from app.telemetry.metrics import MetricStore
from app.telemetry.repeats import Repeats


def write_event(logger: Any, event: LogEvent, **fields: object) -> None:  # noqa: ANN401 - see `Recording`
    """Write a log line of the catalogue, where there is a logger; fields that are None are left out.

    Raises:
        ValueError: a field that the catalogue does not list.
    """
    if not fields.keys() <= event.fields:
        raise ValueError(f"{event.name}: the catalogue does not list {sorted(fields.keys() - event.fields)}")
    if logger is not None:
        present = {key: value for key, value in fields.items() if value is not None}
        if event.is_always_written:
            logger.always(event.level, event.name, **present)
        else:
            getattr(logger, event.level)(event.name, **present)


class Recording:
    """Moves metrics of `store` and writes lines to `logger`.

    `logger` may be any that has the methods of `LeveledLogger`; None records metrics only. Of lines that others can
    cause as often as they like, `repeats_per_s` of each kind are written a second. `lately` is what the console shows
    of what was told here.
    """

    def __init__(self, store: MetricStore, logger: Any = None, repeats_per_s: int = 20) -> None:  # noqa: ANN401 - it may be a test's own
        self.store = store
        self.lately = Lately()
        self._logger = logger
        self._repeats = Repeats(repeats_per_s)

    def log(self, event: LogEvent, **fields: object) -> None:
        """Write a log line of the catalogue.

        Raises:
            ValueError: a field that the catalogue does not list.
        """
        write_event(self._logger, event, **fields)

    def log_repeated(self, event: LogEvent, kind: str, **fields: object) -> None:
        """Write a line that others can cause as often as they like: of one kind only so many a second."""
        suppressed = self._repeats.suppressed(f"{event.name} {kind}")
        if suppressed is None:
            self.store.counter(Metrics.LOG_SUPPRESSED).inc((event.name,))
        else:
            self.log(event, suppressed=suppressed or None, **fields)

    def log_suppressed(self, *, is_end: bool = False) -> None:
        """Tell of lines that were not written, and that no line of their kind has told of since."""
        for kind, suppressed in self._repeats.unreported(is_end=is_end).items():
            of, _, detail = kind.partition(" ")
            self.log(Events.LOG_SUPPRESSED, of=of, kind=detail or None, suppressed=suppressed)
