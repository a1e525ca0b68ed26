"""The recorder: the observer that writes metrics and logs, put together from its areas."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from app.game import Verdict
from app.telemetry.catalogue import Events, Metrics
from app.telemetry.metrics import MetricStore
from app.telemetry.observer import Live, Observer
from app.telemetry.recorder.connections import ConnectionsRecorder
from app.telemetry.recorder.event_log import EventLogRecorder
from app.telemetry.recorder.games import GamesRecorder
from app.telemetry.recorder.messages import MessagesRecorder
from app.telemetry.recorder.recording import write_event
from app.telemetry.recorder.runtime import RuntimeRecorder
from app.telemetry.tracer import Tracer
from app.vocabulary import OverloadCause, SpanExport

__all__ = ["Recorder", "write_event"]


class Recorder(ConnectionsRecorder, MessagesRecorder, GamesRecorder, EventLogRecorder, RuntimeRecorder, Observer):
    """Writes metrics and logs of everything that is observed; see `Recording` for what it is made of."""

    def __init__(self, store: MetricStore, logger: Any = None, repeats_per_s: int = 20) -> None:  # noqa: ANN401 - see `Recording`
        super().__init__(store, logger, repeats_per_s)
        store.report = self.fault

    def live(self, read: Callable[[], Live], *, version: str, replica: str, config_hash: str) -> None:
        """Have the gauges of live things read from `read`, once a scrape."""
        store = self.store
        live = read()

        def look() -> None:
            nonlocal live
            live = read()

        store.before_scrape(look)
        store.gauge(Metrics.SERIES, lambda: {(): store.series})
        store.gauge(Metrics.SERIES_LIMIT, lambda: {(): store.max_series})
        store.folding(store.counter(Metrics.SERIES_OVERFLOWS), lambda: {(): store.overflows})
        store.gauge(Metrics.CONFIG_INFO, lambda: {(config_hash,): 1})
        store.gauge(Metrics.OUTBOX_FRAMES, lambda: {(): live.outbox_frames})
        store.gauge(Metrics.OUTBOX_BYTES, lambda: {(): live.outbox_bytes})
        store.gauge(
            Metrics.OUTBOX_CONNECTIONS, lambda: {(depth,): count for depth, count in live.outbox_depths.items()}
        )
        store.gauge(Metrics.BUILD_INFO, lambda: {(version, replica): 1})
        started = time.time()
        store.gauge(Metrics.START_TIME, lambda: {(): started})
        store.gauge(Metrics.READY, lambda: {(): all(live.checks.values())})
        store.gauge(Metrics.DRAINING, lambda: {(): live.draining})
        store.gauge(Metrics.CONNECTIONS, lambda: {(): live.connections})
        store.gauge(Metrics.CONNECTIONS_LIMIT, lambda: {(): live.max_connections})
        store.gauge(Metrics.GAME_OVERDUE, lambda: {(): live.game_overdue_s})
        store.gauge(Metrics.ROOMS, lambda: {(): live.rooms})
        store.gauge(Metrics.GAMES, lambda: {(str(phase),): count for phase, count in live.games.items()})
        store.gauge(Metrics.PLAYERS, lambda: {(str(one),): count for one, count in live.players.items()})
        store.gauge(Metrics.OPEN_FDS, lambda: {(): live.open_fds})
        store.gauge(Metrics.MAX_FDS, lambda: {(): live.max_fds})
        store.gauge(Metrics.JUDGE_QUEUE, lambda: {(): live.judge_queue})
        store.gauge(Metrics.CLOCK_OFFSET, lambda: {(): live.event_log_clock_offset_s})
        store.gauge(Metrics.LOG_BYTES, lambda: {(): live.event_log_bytes})
        store.gauge(Metrics.LOG_LIMIT, lambda: {(): live.event_log_limit_bytes})
        store.gauge(Metrics.REPLICAS, lambda: {(): live.replicas})
        store.gauge(Metrics.LOG_CONNECTED, lambda: {(): live.event_log_connected})
        store.gauge(Metrics.SIGNING_KEYS, lambda: {(): live.signing_keys})
        store.gauge(Metrics.SIGNING_KEYS_AGE, lambda: {(): live.signing_keys_age_s})
        store.gauge(Metrics.BACKGROUND_TASKS, lambda: {(): live.background_tasks})
        store.gauge(Metrics.MEMORY, lambda: {(): live.memory_bytes})
        store.gauge(Metrics.OVERLOADED, lambda: {(cause,): cause in self._overloaded for cause in OverloadCause})

    def knows_problems(self, ids: Iterable[str]) -> None:
        """These are the problems that games can be about."""
        self.store.configure(Metrics.PROBLEM_SUBMISSIONS, ((id, verdict) for id in ids for verdict in Verdict))

    def traces_with(self, tracer: Tracer, counts: Callable[[], dict[SpanExport, int]]) -> None:
        """Have messages traced; `counts` are of spans."""
        self.tracer = tracer
        self.store.folding(
            self.store.counter(Metrics.SPANS), lambda: {(outcome,): count for outcome, count in counts().items()}
        )

    def traces_exported(self, works: bool) -> None:
        """The collector takes no spans any more, or takes them again."""
        self.log(Events.TRACES_RESTORED if works else Events.TRACES_LOST)
