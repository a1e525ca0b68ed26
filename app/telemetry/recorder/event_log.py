"""The recorder of the event log."""

from typing import Final

from app.telemetry.catalogue import Events, Metrics
from app.telemetry.observer import EventLogObserver
from app.telemetry.recorder.recording import Recording
from app.vocabulary import AppendOutcome, LogOp, LogTrouble

SLOW_S: Final = 1.0
"""An append that takes longer is logged."""


class EventLogRecorder(Recording, EventLogObserver):
    """Records how the event log does."""

    def append(self, outcome: AppendOutcome, duration_s: float, trace_id: str | None = None) -> None:
        if outcome is AppendOutcome.CONFLICT:
            self.store.counter(Metrics.CONFLICTS).inc()
        self.store.histogram(Metrics.APPEND_DURATION).observe(duration_s, (outcome,), trace_id)
        if duration_s > SLOW_S:
            self.log_repeated(Events.EVENT_LOG_SLOWED, "", duration_s=round(duration_s, 3))

    def event_log(self, reachable: bool, fault: str) -> None:
        if reachable:
            self.log(Events.EVENT_LOG_RESTORED)
        else:
            self.log(Events.EVENT_LOG_LOST, error=fault)

    def event_log_failed(self, op: LogOp, trouble: LogTrouble) -> None:
        self.store.counter(Metrics.LOG_ERRORS).inc((op,))
        self.store.counter(Metrics.LOG_TROUBLES).inc((trouble,))

    def event_log_troubled(self, trouble: LogTrouble, detail: str) -> None:
        self.store.counter(Metrics.LOG_TROUBLES).inc((trouble,))
        self.log_repeated(Events.EVENT_LOG_TROUBLED, trouble, trouble=trouble, error=detail)

    def log_gap(self) -> None:
        self.store.counter(Metrics.LOG_GAPS).inc()

    def broadcast_dropped(self) -> None:
        self.store.counter(Metrics.LOG_UNTOLD).inc()

    def clock_skewed(self, offset_s: float) -> None:
        self.log(Events.CLOCK_SKEWED, offset_s=round(offset_s, 3))

    def applied(self, lag_s: float) -> None:
        self.store.histogram(Metrics.LOG_LAG).observe(max(0.0, lag_s))
        if lag_s < 0:
            self.store.counter(Metrics.CLOCK_SKEWS).inc()

    def replayed(self, events: int) -> None:
        self.store.histogram(Metrics.REPLAYED).observe(events)
