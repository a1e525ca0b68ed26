"""Gauges: what is read from its owner at scrape, each once.

Some counters are kept by their owners too; they are read in the same way.
"""

import time

from app import __version__
from app.health import Health
from app.process import memory_bytes, open_files
from app.realtime import Hub
from app.settings import Settings, fingerprint
from app.telemetry.catalogue import Metrics
from app.telemetry.logs import LogWriter
from app.telemetry.metrics import MetricStore
from app.vocabulary import OverloadCause
from app.web.auth import Keys


def read_service(store: MetricStore, settings: Settings, replica: str, hub: Hub, keys: Keys, health: Health) -> None:
    """Have the gauges of a service read from the parts that it is made of."""
    _read_connections(store, settings, hub, keys)
    _read_games(store, hub)
    _read_event_log(store, hub, health)
    _read_runtime(store, hub, health)
    _read_information(store, settings, replica)


def _read_connections(store: MetricStore, settings: Settings, hub: Hub, keys: Keys) -> None:
    store.gauge(Metrics.CONNECTIONS, lambda: len(hub.connections))
    store.gauge(Metrics.CONNECTIONS_LIMIT, lambda: settings.max_connections)
    store.gauge(Metrics.OUTBOX_FRAMES, lambda: hub.connections.outboxes.frames)
    store.gauge(Metrics.OUTBOX_BYTES, lambda: hub.connections.outboxes.bytes)
    store.gauge(Metrics.OUTBOX_CONNECTIONS, lambda: hub.connections.outboxes.depths)
    store.gauge(Metrics.SIGNING_KEYS, lambda: keys.count)
    store.gauge(Metrics.SIGNING_KEYS_AGE, lambda: keys.age_s)


def _read_games(store: MetricStore, hub: Hub) -> None:
    store.gauge(Metrics.GAMES, lambda: hub.rooms.counts.games)
    store.gauge(Metrics.GAME_OVERDUE, lambda: hub.rooms.deadlines.overdue_s)
    store.gauge(Metrics.ROOMS, lambda: len(hub.rooms.loaded))
    store.gauge(Metrics.PLAYERS, lambda: hub.rooms.counts.players)
    store.gauge(Metrics.JUDGE_QUEUE, lambda: hub.rooms.judging.depth)


def _read_event_log(store: MetricStore, hub: Hub, health: Health) -> None:
    store.gauge(Metrics.LOG_CONNECTED, lambda: health.event_log_connected)
    store.gauge(Metrics.CLOCK_OFFSET, lambda: hub.replicas.clock_offset_s)
    store.gauge(Metrics.LOG_BYTES, lambda: hub.sweeper.log_bytes)
    store.gauge(Metrics.LOG_LIMIT, lambda: hub.sweeper.log_limit_bytes)
    store.gauge(Metrics.REPLICAS, lambda: hub.replicas.size)


def _read_runtime(store: MetricStore, hub: Hub, health: Health) -> None:
    store.gauge(Metrics.READY, lambda: health.is_ready)
    store.gauge(Metrics.DRAINING, lambda: hub.draining)
    store.gauge(Metrics.OVERLOADED, lambda: {cause: cause in hub.load.causes for cause in OverloadCause})
    store.gauge(Metrics.BACKGROUND_TASKS, lambda: len(hub.tasks))
    store.gauge(Metrics.MEMORY, memory_bytes)
    store.gauge(Metrics.OPEN_FDS, lambda: open_files()[0])
    store.gauge(Metrics.MAX_FDS, lambda: open_files()[1])
    store.gauge(Metrics.SERIES, lambda: store.series)
    store.gauge(Metrics.SERIES_LIMIT, lambda: store.max_series)
    store.folding(store.counter(Metrics.SERIES_OVERFLOWS), lambda: {(): store.overflows})


def _read_information(store: MetricStore, settings: Settings, replica: str) -> None:
    """What never changes while the process runs."""
    started_at, config_hash = time.time(), fingerprint(settings)
    store.gauge(Metrics.START_TIME, lambda: started_at)
    store.gauge(Metrics.BUILD_INFO, lambda: {(__version__, replica): 1})
    store.gauge(Metrics.CONFIG_INFO, lambda: {config_hash: 1})


def read_logs(store: MetricStore, writer: LogWriter) -> None:
    """Have the log lines counted that `writer` writes or drops."""
    records = store.counter(Metrics.LOG_RECORDS)
    store.folding(records, lambda: {(level,): count for level, count in writer.records.items()})
    store.folding(store.counter(Metrics.LOG_DROPPED), lambda: {(): writer.dropped})
