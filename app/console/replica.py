"""This replica as its operators see it."""

import os
import time
from urllib.parse import urlsplit

from msgspec import Struct

from app import __version__
from app.console.actions import Actions
from app.console.fleet import ReplicaCard
from app.console.raised import Raised
from app.health import Health
from app.process import memory_bytes, open_files
from app.realtime import Hub
from app.settings import Settings
from app.vocabulary import DrainPhase, Environment, Phase, Right
from app.workers import Share
from app.workers.share import ALONE


class DrainStatus(Struct, frozen=True):
    """How far a drain is."""

    phase: DrainPhase


class EventLogStatus(Struct, frozen=True):
    """The event log as seen from here: was it ever `reached`, is it `reachable` now."""

    backend: str
    shared: bool
    reached: bool
    reachable: bool


class JudgeStatus(Struct, frozen=True):
    """The submissions that wait for the judge, and its processes."""

    queue: int
    workers: int


class TracingStatus(Struct, frozen=True):
    """The part of the messages that is traced; `endpoint` is whether spans go anywhere."""

    ratio: float
    endpoint: bool


class ReplicaStatus(Struct, frozen=True, kw_only=True):
    """All of one replica in one record; times in seconds, moments in seconds since the epoch.

    `loop_lag_hour` has the worst lag of the event loop in each of the last 60 minutes, the oldest first; `operator` and
    `right` are of who asks.
    """

    replica: str
    instance: str
    version: str
    revision: str
    environment: Environment
    started_at: float
    uptime_s: float
    pid: int
    worker: Share | None
    accepting: bool
    draining: DrainStatus | None
    ready: bool
    checks: dict[str, bool]
    states: dict[str, bool]
    connections: int
    games: int
    players: int
    memory_bytes: int
    cpu_s: float
    fds: int
    fds_max: int
    loop_lag_s: float
    loop_lag_hour: list[float]
    overloaded: list[str]
    event_log: EventLogStatus
    judge: JudgeStatus
    log_level: str
    tracing: TracingStatus
    raised: list[Raised]
    operator: str
    right: Right


class ReplicaView:
    """Shows this replica: everything is read from its owner when it is asked for."""

    def __init__(self, hub: Hub, health: Health, settings: Settings, replica: str, actions: Actions) -> None:
        self._actions = actions
        self._hub = hub
        self._health = health
        self._settings = settings
        self._replica = replica
        self._started_at = time.time()
        self._started = time.monotonic()

    def show(self, operator: str, right: Right) -> ReplicaStatus:
        """Show all of it to an operator."""
        hub, health, settings = self._hub, self._health, self._settings
        counts = hub.games.counts
        fds, fds_max = open_files()
        return ReplicaStatus(
            replica=self._replica,
            instance=hub.replicas.instance,
            version=__version__,
            revision=settings.revision or "unknown",
            environment=settings.environment,
            started_at=self._started_at,
            uptime_s=time.monotonic() - self._started,
            pid=os.getpid(),
            worker=None if hub.rooms.share == ALONE else hub.rooms.share,
            accepting=hub.accepting,
            draining=None if hub.drain_phase is None else DrainStatus(hub.drain_phase),
            ready=health.is_ready,
            checks=health.checks,
            states=health.states,
            connections=len(hub.connections),
            games=sum(count for phase, count in counts.games.items() if phase is not Phase.FINISHED),
            players=sum(counts.players.values()),
            memory_bytes=memory_bytes(),
            cpu_s=time.process_time(),
            fds=fds,
            fds_max=fds_max,
            loop_lag_s=hub.load.lag_s,
            loop_lag_hour=hub.load.worst_lags,
            overloaded=sorted(hub.load.causes),
            event_log=self._event_log(),
            judge=JudgeStatus(hub.judging.depth, settings.judge_processes),
            log_level=self._actions.log_level or settings.log_level,
            tracing=TracingStatus(settings.trace_ratio, settings.traces_endpoint is not None),
            raised=self._actions.changes.raised,
            operator=operator,
            right=right,
        )

    def card(self, address: str) -> ReplicaCard:
        """Make what the other replicas are told."""
        hub = self._hub
        return ReplicaCard(
            member=hub.circle.instance,
            instance=hub.replicas.instance,
            replica=self._replica,
            address=address,
            version=__version__,
            revision=self._settings.revision or "unknown",
            connections=len(hub.connections),
            draining=hub.draining,
            worker=hub.rooms.share.number,
        )

    def _event_log(self) -> EventLogStatus:
        log = self._hub.log_health
        backend = urlsplit(self._settings.event_log_url).scheme
        return EventLogStatus(backend, self._hub.is_shared, log.is_reached, log.reachable)
