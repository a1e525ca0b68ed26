"""The only wiring: settings and vendors in, a Litestar application out.

Everything an application needs is made here and belongs to it, so two of them live in one process. What
belongs to the process (root logging, signals) is the main program's.
"""

import socket
from pathlib import Path
from typing import Any

from litestar import Litestar
from litestar.di import Provide
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin

from app import __version__
from app.clock import Clock
from app.console.actions import Actions, LogLevel
from app.console.console import Console
from app.console.drains import OperatorDrain
from app.console.erasing import Eraser
from app.console.telling import Telling
from app.eventlog import Conflict, EventLog, open_event_log
from app.eventlog.among_workers import WorkersCoordination
from app.eventlog.select import file_of
from app.eventlog.sqlite import notes_file
from app.game import Rejected
from app.health import Health
from app.judge import SandboxJudge, load_problems
from app.lifecycle import Lifecycle
from app.realtime import Hub
from app.realtime.drain import Drain
from app.rotation import Rotation
from app.settings import CannotStartError, Settings
from app.telemetry import gauges
from app.telemetry.bulkhead import Bulkhead
from app.telemetry.diagnosed import DiagnosticsLog
from app.telemetry.exporter import open_tracer
from app.telemetry.logs import Logs
from app.telemetry.measured import MeasuredCoordination, MeasuredEventLog
from app.telemetry.metrics import MetricStore
from app.telemetry.recorder import Recorder
from app.telemetry.scrapes import Scrapes
from app.web.access import ApiAccess
from app.web.api import api_router
from app.web.auth.authenticator import Authenticator
from app.web.auth.operators import Operators
from app.web.auth.select import select_issuer, select_keys, select_tickets
from app.web.availability import Availability
from app.web.console.access import OperatorAccess
from app.web.console.actions import EXCEPTION_HANDLERS
from app.web.console.pages import console_pages
from app.web.console.router import console_router
from app.web.dependencies import provide
from app.web.error_answers import exception_handlers, fault_reporter
from app.web.handshake.admission import Admission
from app.web.handshake.attempt import HandshakeContext
from app.web.handshake.connection_limits import ConnectionLimits
from app.web.handshake.endpoint import diagnose, game_socket
from app.web.handshake.releases import Releases, known_releases
from app.web.headers import add_headers
from app.web.json_request import JsonRequest
from app.web.ops import OPS_HANDLERS, Ops
from app.web.origins import OriginPolicy, cors_config
from app.web.pages import pages
from app.web.paths import route_as_sent
from app.web.rates import ApiRates
from app.web.reading import ReadAsExpected
from app.web.schema.asyncapi import AsyncApi, show_asyncapi
from app.web.schema.openapi import openapi_config
from app.workers import Inherited
from app.workers.share import ALONE
from app.workers.table import SharedTable


class Application(Litestar):
    """Litestar without what it adds for pydantic and attrs, which no handler takes: importing that took 0.05 s."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]


class Service:
    """One application and what is behind it, made and wired; `lifecycle` starts and stops it."""

    def __init__(self, settings: Settings, logs: Logs | None = None, worker: Inherited | None = None) -> None:
        self.settings = settings
        self.replica = settings.replica or socket.gethostname()
        self.recorder = _recorder(settings, self.replica, logs)
        self.scrapes = Scrapes(self.recorder.store.begin, settings.metrics_interval_s)
        self.keys = select_keys(settings, settings.environment, self.recorder)
        self.authenticator = Authenticator(
            self.keys,
            settings.jwt_issuer,
            settings.jwt_audience,
            settings.jwt_leeway_s,
            operators=Operators(frozenset(settings.operators), settings.operators_claim),
        )
        share = worker.share if worker else ALONE
        log = open_event_log(settings, self.replica, share)
        self.event_log = MeasuredEventLog(log, self.recorder)
        among = _among_workers(worker, log, self.recorder, settings)
        coordination = MeasuredCoordination(among, self.recorder) if among else None
        self.tickets = select_tickets(settings, self.keys, (coordination or self.event_log.coordination).claim)
        self.issuer = select_issuer(settings, self.keys)
        problems = load_problems()
        self.recorder.add_problems(problems)
        self.recorder.add_releases(known_releases(settings.client_releases))
        clock = Clock(settings.clock_slew_ppm)
        self.hub = Hub(
            self.event_log,
            SandboxJudge(settings, self.recorder),
            problems,
            settings,
            self.replica,
            self.authenticator.verify,
            self.recorder,
            clock.now,
            share=share,
            coordination=coordination,
        )
        self.health = Health(self.hub, lambda: self.keys.count, settings.ready_gates, settings.ready_grace_s)
        self.rotation = Rotation(settings, self.event_log, self.keys, self.tickets, self.issuer, self.recorder)
        self._operator_drain = OperatorDrain(self._new_drain, self.recorder.fault)
        self.console = self._made_console(logs)
        self.diagnostics = DiagnosticsLog(self.recorder, self.console.diagnosing, self.hub.tasks)
        self.lifecycle = Lifecycle(self.hub, self.event_log, among, self.keys, self.health, self.recorder, settings)
        self.lifecycle.background |= {
            "operators": self.console.fleet.run,
            "events of games": self.console.games.rates.run,
        }
        gauges.read_service(self.recorder.store, settings, self.replica, self.hub, self.keys, self.health)
        gauges.read_operators(self.recorder.store, self.console.actions.counts)
        gauges.read_clock(self.recorder.store, clock)
        gauges.read_secrets(self.recorder.store, lambda: self.rotation.fingerprints)

    def _made_console(self, logs: Logs | None) -> Console:
        """Make the operators' console: all that they see of this service, and do to it."""
        log_level = LogLevel(lambda: logs.level, logs.set_level) if logs is not None else LogLevel()
        actions = Actions(self.hub, self._operator_drain, Eraser(self.event_log), log_level, self.recorder.operated)
        return Console(
            self.hub,
            self.health,
            self.settings,
            self.replica,
            lambda: self.rotation.fingerprints,
            Telling((lambda: logs.writer.recent) if logs else tuple, self.scrapes.render, self.recorder.lately),
            actions,
        )

    def drain(self) -> Drain:
        """Make a drain of this service, to be run once: its last, which takes over from an operator's."""
        self._operator_drain.hand_over()
        return self._new_drain()

    def _new_drain(self) -> Drain:
        return Drain(
            self.hub, self.settings.drain, self.recorder, lambda: self.scrapes.count, lone=not self.event_log.shared
        )


def _recorder(settings: Settings, replica: str, logs: Logs | None) -> Recorder:
    """Make what records metrics, log lines and traces; lines carry the ids of traces, and the logs' faults are told."""
    recorder = Recorder(
        MetricStore(settings.max_metric_series, is_native=settings.metrics_native_histograms),
        logs.logger if logs else None,
        settings.log_repeats_per_s,
    )
    recorder.slow_s = settings.slow_message_s
    traces = open_tracer(settings, settings.environment, replica, recorder.traces_exported, (Rejected, Conflict))
    if traces is not None:
        recorder.use_tracer(traces, lambda: traces.counts)
    if logs is not None:
        if traces is not None:
            logs.trace_ids = traces.current_ids
        gauges.read_logs(recorder.store, logs.writer)
        logs.writer.report = recorder.fault
    return recorder


def _among_workers(
    worker: Inherited | None, log: EventLog, recorder: Recorder, settings: Settings
) -> WorkersCoordination | None:
    """Make what workers agree on who have an event log each; those who share one agree by that."""
    if worker is None or worker.share.of == 1 or log.shared:
        return None
    file = file_of(settings.event_log_url)
    notes = notes_file(file) if file else None
    return WorkersCoordination(
        worker, recorder.fault, recorder.broadcast_dropped, settings.worker_lock_timeout_s, notes
    )


def _shared_table(worker: Inherited | None) -> SharedTable | None:
    """Open what workers keep the rates of requests in. Raises CannotStartError."""
    if worker is None or worker.share.of == 1:
        return None
    try:
        return SharedTable(Path(worker.folder))
    except OSError as error:
        raise CannotStartError(
            f"{worker.folder}, which workers share: {error.strerror}; the folder for temporary files (TMPDIR) must be"
            " writable, and not full"
        ) from None


def create_app(settings: Settings, logs: Logs | None = None, worker: Inherited | None = None) -> Litestar:
    """Make an application; its `state.service` is the `Service` behind it, `state.handshakes` what its WebSockets need.

    A `worker` has its share of the games alone.

    Raises:
        SettingsError: there is no secret to sign tokens with.
        CannotStartError: what workers share cannot be opened.
    """
    service = Service(settings, logs, worker)
    rates = ApiRates(
        settings,
        service.hub.policy,
        guests_per_minute=settings.guests_per_address_per_minute,
        per_address=not settings.is_development,
        table=_shared_table(worker),
    )
    handshakes = _handshakes(settings, service, rates)
    ops = OPS_HANDLERS if settings.ops_port is None else ()
    console = _console(service) if settings.is_open else ()
    application = Application(
        route_handlers=[game_socket, diagnose, api_router(rates), show_asyncapi, *ops, *console, pages()],
        dependencies=_dependencies(settings, service, rates, handshakes),
        lifespan=[service.lifecycle.run],
        cors_config=cors_config(settings),
        before_send=[add_headers],
        after_exception=[fault_reporter(service.recorder, EXCEPTION_HANDLERS)],
        exception_handlers=exception_handlers(),
        request_class=JsonRequest,
        openapi_config=openapi_config(__version__),
        request_max_body_size=settings.max_body_bytes,
        logging_config=None,
    )
    application.asgi_handler = ReadAsExpected(application.asgi_handler)
    application.state.service = service
    application.state.handshakes = handshakes
    route_as_sent(application)
    return application


def create_ops_app(service: Service) -> Litestar:
    """Make the application of probes, metrics and the console of a service, for a port of their own (OPS_PORT)."""
    application = Application(
        route_handlers=[*OPS_HANDLERS, *_console(service)],
        dependencies=provide(ops=_ops(service)),
        before_send=[add_headers],
        after_exception=[fault_reporter(service.recorder, EXCEPTION_HANDLERS)],
        exception_handlers=exception_handlers(),
        request_class=JsonRequest,
        openapi_config=None,
        request_max_body_size=service.settings.max_body_bytes,
        logging_config=None,
    )
    application.asgi_handler = ReadAsExpected(application.asgi_handler)
    application.state.service = service
    route_as_sent(application)
    return application


def _console(service: Service) -> tuple[Any, ...]:
    """Make the console's API and its page."""
    settings, hub = service.settings, service.hub
    access = OperatorAccess(settings, service.authenticator, hub.bans, hub.policy, is_open=settings.is_open)
    return console_router(service.console, access, __version__), console_pages()


def _ops(service: Service) -> Ops:
    settings = service.settings
    revision = settings.revision or "unknown"
    return Ops(
        service.health,
        service.scrapes.render,
        __version__,
        revision,
        service.replica,
        settings.environment,
        settings.guards_ops,
    )


def _handshakes(settings: Settings, service: Service, rates: ApiRates) -> HandshakeContext:
    """Make what every handshake needs."""
    hub = service.hub
    admission = Admission(
        service.authenticator,
        service.tickets,
        OriginPolicy(settings.allowed_origins, settings.is_development),
        Availability(hub),
        hub,
        settings.max_replacements_per_minute,
        allows_chaos=settings.is_development,
    )
    limits = ConnectionLimits(
        settings, hub.policy, hub.circle.players, hub.circle.addresses, per_address=not settings.is_development
    )
    releases = Releases(known_releases(settings.client_releases))
    observer = service.recorder
    bulkhead = Bulkhead(observer.fault, "websocket")
    return HandshakeContext(admission, limits, rates, hub, observer, releases, settings.auth_timeout_s, bulkhead)


def _dependencies(
    settings: Settings, service: Service, rates: ApiRates, handshakes: HandshakeContext
) -> dict[str, Provide]:
    """Make what handlers ask for by name."""
    checks = handshakes.admission
    return provide(
        settings=settings,
        access=ApiAccess(service.authenticator, checks.origins, checks.availability, rates),
        tickets=service.tickets,
        hub=service.hub,
        handshakes=handshakes,
        ops=_ops(service),
        issuer=service.issuer,
        asyncapi=AsyncApi(settings, settings.max_batch, __version__),
    )
