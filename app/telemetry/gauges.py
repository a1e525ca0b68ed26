"""Gauges: what is read from its owner at scrape, each once.

Some counters are kept by their owners too; they are read in the same way.
"""

import time
from collections.abc import Callable

from app import __version__
from app.clock import Clock
from app.eventlog.select import file_of
from app.health import Health
from app.process import (
    disk_bytes,
    memory_bytes,
    most_open_files,
    open_files,
    process_age_s,
    throttled_s,
    virtual_memory_bytes,
    waited_for_processor_s,
)
from app.realtime import Hub
from app.settings import EventLogSettings, LimitSettings, Settings, fingerprint
from app.telemetry.catalogue import Metrics
from app.telemetry.logs import LogWriter
from app.telemetry.metrics import MetricStore
from app.vocabulary import OperatorAction, OverloadCause
from app.web.auth.keys import Keys


def read_service(store: MetricStore, settings: Settings, replica: str, hub: Hub, keys: Keys, health: Health) -> None:
    """Have the gauges of a service read from the parts that it is made of."""
    _read_connections(store, settings, hub, keys)
    _read_messages(store, hub)
    _read_games(store, settings, hub)
    _read_event_log(store, settings, hub, health)
    _read_runtime(store, hub, health)
    _read_information(store, settings, replica)


def _read_connections(store: MetricStore, settings: LimitSettings, hub: Hub, keys: Keys) -> None:
    store.read_gauge(Metrics.CONNECTIONS, lambda: len(hub.connections))
    store.read_gauge(Metrics.CONNECTIONS_LIMIT, lambda: settings.max_connections)
    store.read_gauge(Metrics.SIGNING_KEYS, lambda: keys.count)
    store.read_gauge(Metrics.SIGNING_KEYS_AGE, lambda: keys.age_s)


def _read_messages(store: MetricStore, hub: Hub) -> None:
    store.read_gauge(Metrics.OUTBOX_FRAMES, lambda: hub.connections.outboxes.frames)
    store.read_gauge(Metrics.OUTBOX_BYTES, lambda: hub.connections.outboxes.bytes)
    store.read_gauge(Metrics.OUTBOX_CONNECTIONS, lambda: hub.connections.outboxes.depths)


def _read_games(store: MetricStore, settings: LimitSettings, hub: Hub) -> None:
    store.read_gauge(Metrics.GAMES, lambda: hub.games.counts.games)
    store.read_gauge(Metrics.GAME_OVERDUE, lambda: hub.games.deadlines.overdue_s)
    store.read_gauge(Metrics.GAMES_TO_TAKE_UP, lambda: hub.sweeper.to_take_up)
    store.read_gauge(Metrics.ROOMS, lambda: len(hub.rooms.loaded))
    store.read_apart(Metrics.LARGEST_GAME, hub.rooms.most_events)
    store.read_gauge(Metrics.GAME_EVENTS_LIMIT, lambda: settings.max_events_per_game)
    store.read_gauge(Metrics.PLAYERS, lambda: hub.games.counts.players)
    store.read_gauge(Metrics.JUDGE_QUEUE, lambda: hub.judging.depth)


def _read_event_log(store: MetricStore, settings: EventLogSettings, hub: Hub, health: Health) -> None:
    file = file_of(settings.event_log_url)
    store.read_apart(Metrics.DISK_FREE, lambda: (disk_bytes(file)[0],))
    store.read_apart(Metrics.DISK_SIZE, lambda: (disk_bytes(file)[1],))
    store.read_gauge(Metrics.LOG_CONNECTED, lambda: health.event_log_connected)
    store.read_gauge(Metrics.CLOCK_OFFSET, lambda: hub.replicas.clock_offset_s)
    store.read_gauge(Metrics.LOG_BYTES, lambda: hub.sweeper.log_bytes)
    store.read_gauge(Metrics.LOG_LIMIT, lambda: hub.sweeper.log_limit_bytes)
    store.read_gauge(Metrics.REPLICAS, lambda: hub.circle.size)


def _read_runtime(store: MetricStore, hub: Hub, health: Health) -> None:
    store.read_apart(Metrics.READY, lambda: (health.is_ready,))
    store.read_gauge(Metrics.DRAINING, lambda: hub.draining)
    store.read_gauge(Metrics.OVERLOADED, lambda: {cause: cause in hub.load.causes for cause in OverloadCause})
    store.read_gauge(Metrics.BACKGROUND_TASKS, lambda: len(hub.tasks))
    store.read_gauge(Metrics.MAX_FDS, most_open_files)
    store.read_gauge(Metrics.PROCESS_MAX_FDS, most_open_files)
    store.read_counter(Metrics.CPU, lambda: {(): time.process_time()})
    _read_system(store)
    store.read_gauge(Metrics.SERIES, lambda: store.series)
    store.read_gauge(Metrics.SERIES_LIMIT, lambda: store.max_series)
    store.read_counter(Metrics.SERIES_OVERFLOWS, lambda: {(): store.overflows})


def _read_system(store: MetricStore) -> None:
    """Have that read which the system has to be asked for, one by one."""
    store.read_apart(Metrics.MEMORY, lambda: (memory_bytes(),))
    store.read_apart(Metrics.PROCESS_MEMORY, lambda: (memory_bytes(),))
    store.read_apart(Metrics.VIRTUAL_MEMORY, lambda: (virtual_memory_bytes(),))
    store.read_apart(Metrics.OPEN_FDS, lambda: (open_files()[0],))
    store.read_apart(Metrics.PROCESS_FDS, lambda: (open_files()[0],))
    withheld = {"busy": waited_for_processor_s, "throttled": throttled_s}
    store.read_apart(Metrics.CPU_WITHHELD, lambda: ({cause: read() for cause, read in withheld.items()},))


def _read_information(store: MetricStore, settings: Settings, replica: str) -> None:
    """Have the gauges read that never change while the process runs."""
    started_at, config_hash, revision = time.time(), fingerprint(settings), settings.revision or "unknown"
    process_started_at = started_at - process_age_s()
    store.read_gauge(Metrics.START_TIME, lambda: started_at)
    store.read_gauge(Metrics.BUILD_INFO, lambda: {(__version__, revision, replica): 1})
    store.read_gauge(Metrics.CONFIG_INFO, lambda: {config_hash: 1})
    store.read_gauge(Metrics.PROCESS_START, lambda: process_started_at)


def read_secrets(store: MetricStore, fingerprints: Callable[[], dict[str, str]]) -> None:
    """Have the fingerprints read of the secrets in use."""
    store.read_apart(Metrics.SECRET_INFO, lambda: (dict.fromkeys(fingerprints().items(), 1),))


def read_operators(store: MetricStore, changes: Callable[[], dict[OperatorAction, int]]) -> None:
    """Have it told what operators have changed, and not back yet."""
    store.read_apart(Metrics.OPERATOR_CHANGES, lambda: (changes(),))


def read_clock(store: MetricStore, clock: Clock) -> None:
    """Have it told where the machine's clock was set."""
    store.read_gauge(Metrics.CLOCK_AHEAD, lambda: clock.ahead_s)


def read_logs(store: MetricStore, writer: LogWriter) -> None:
    """Have the log lines counted that `writer` writes or drops."""
    store.read_counter(Metrics.LOG_RECORDS, lambda: {(level,): count for level, count in writer.records.items()})
    store.read_counter(Metrics.LOG_WRITTEN, lambda: {(): writer.written_bytes})
    store.read_counter(Metrics.LOG_DROPPED, lambda: {(): writer.dropped})
    store.read_counter(Metrics.LOG_WRITER_RESTARTS, lambda: {(): writer.restarts})
