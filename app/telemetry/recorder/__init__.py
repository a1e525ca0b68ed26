"""The recorder: the observer that writes metrics and logs, put together from its areas.

Each area is a class of its own; the recorder has the methods of all areas, as the observer has.
"""

from collections.abc import Callable, Iterable
from typing import Any

from app.game import Verdict
from app.telemetry.catalogue import Events, Metrics
from app.telemetry.catalogue.connections import ARRIVALS, CLIENT_ENDS
from app.telemetry.metrics import MetricStore
from app.telemetry.newcomers import Newcomers
from app.telemetry.observer import Observer
from app.telemetry.recorder.connections import CLIENTS_WINDOW_S, MOST_CLIENTS, ConnectionsRecorder
from app.telemetry.recorder.event_log import EventLogRecorder
from app.telemetry.recorder.games import GamesRecorder
from app.telemetry.recorder.messages import MessagesRecorder
from app.telemetry.recorder.recording import write_event
from app.telemetry.recorder.runtime import RuntimeRecorder
from app.telemetry.tracer import Tracer
from app.vocabulary import SpanExport

__all__ = ["Recorder", "write_event"]


class Recorder(ConnectionsRecorder, MessagesRecorder, GamesRecorder, EventLogRecorder, RuntimeRecorder, Observer):
    """The observer that writes metrics and logs, into the store and to the logger of `Recording`."""

    def __init__(self, store: MetricStore, logger: Any = None, repeats_per_s: int = 20) -> None:  # noqa: ANN401 - see `Recording`
        super().__init__(store, logger, repeats_per_s)
        store.report = self.fault
        self._clients = Newcomers(CLIENTS_WINDOW_S, MOST_CLIENTS)
        store.read_gauge(Metrics.HTTP_IN_FLIGHT, lambda: self.http_in_flight)

    def add_problems(self, ids: Iterable[str]) -> None:
        """Have a series for each problem that games can be about."""
        self.store.configure(Metrics.PROBLEM_SUBMISSIONS, ((id, verdict) for id in ids for verdict in Verdict))

    def add_releases(self, names: Iterable[str]) -> None:
        """Have series for each release of a client that is counted by itself."""
        known = tuple(names)
        for metric in (Metrics.CLIENT_CONNECTIONS, Metrics.CLIENT_ERRORS, Metrics.CLIENT_FAILED_ATTEMPTS):
            self.store.configure(metric, ((name,) for name in known))
        self.store.configure(Metrics.CLIENT_HELLOS, ((name, arrival) for name in known for arrival in ARRIVALS))
        self.store.configure(Metrics.CLIENT_CLOSES, ((name, kind) for name in known for kind in CLIENT_ENDS))

    def use_tracer(self, tracer: Tracer, counts: Callable[[], dict[SpanExport, int]]) -> None:
        """Trace with `tracer`; `counts` says what became of its spans."""
        self.tracer = tracer
        self.store.read_counter(Metrics.SPANS, lambda: {(outcome,): count for outcome, count in counts().items()})

    def traces_exported(self, works: bool) -> None:
        """Log that the collector takes no spans any more, or takes them again."""
        self.log(Events.TRACES_RESTORED if works else Events.TRACES_LOST)

    async def close(self) -> None:
        """Tell of the lines that were not written and nobody has been told of, and have the tracer send what waits."""
        self.log_suppressed(is_end=True)
        await self.tracer.close()
