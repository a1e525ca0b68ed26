"""The only wiring: settings and vendors in, a Litestar application out.

Everything an application needs is made here and belongs to it, so two of them live in one process. What
belongs to the process (root logging, signals) is the main program's.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.datastructures import MutableScopeHeaders
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotFoundException, WebSocketDisconnect
from litestar.static_files import create_static_files_router
from litestar.types import Message, Scope

from app import __version__
from app.aio.tasks import TaskOwner
from app.clock import Clock
from app.configure import api_config, door_config, hub_config, judge_limits, nats_config, open_tracer
from app.eventlog import LogUnavailable, MeasuredEventLog, open_event_log
from app.health import Health
from app.judge import SandboxJudge, load_problems
from app.realtime import Hub
from app.realtime.drain import Drain
from app.settings import Settings, signing_secret
from app.telemetry import gauges
from app.telemetry.gc_pauses import measured_gc
from app.telemetry.logs import Logs
from app.telemetry.metrics import MetricStore
from app.telemetry.recorder import Recorder
from app.telemetry.scrapes import Scrapes
from app.web import errors
from app.web.admission import Admission
from app.web.api import answer_problem, api_router
from app.web.asyncapi import AsyncApi, show_asyncapi
from app.web.auth import Authenticator, Issuer, SharedSecrets
from app.web.errors import ProblemError
from app.web.json_request import JsonRequest
from app.web.jwks import JwksKeys
from app.web.limits import ApiRates, Door
from app.web.openapi import openapi_config
from app.web.ops import OPS_HANDLERS, Ops
from app.web.origins import LOCALHOST, OriginPolicy
from app.web.tickets import TicketOffice, derived_key
from app.web.ws import Gate, diagnose, game_socket

STATIC: Final = Path(__file__).parent / "web" / "static"
NOTHING_THERE: Final = "nothing is served at this path; / is the page, and /schema describes what else there is"
"""In place of the words of whoever looked last, which tell of files. What is gone, a game, the API tells itself."""
PAGE_HEADERS: Final = {
    "content-security-policy": "default-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}

HEADERS: Final = {"x-content-type-options": "nosniff", "cache-control": "no-store", "vary": "Origin"}
"""Every answer's, where it says nothing else. It may be of one player, and for one origin."""


class Service:
    """One application and what is behind it; `lifespan` starts and stops it."""

    def __init__(self, settings: Settings, logs: Logs | None = None) -> None:
        self.settings = settings
        self.replica = settings.replica or socket.gethostname()
        self.recorder = Recorder(
            MetricStore(settings.max_metric_series), logs.logger if logs else None, settings.log_repeats_per_s
        )
        self.traces = traces = open_tracer(settings, self.replica, self.recorder.traces_exported)
        if traces is not None:
            self.recorder.traces_with(traces, lambda: traces.counts)
            if logs is not None:
                logs.trace_ids = traces.current_ids
        self.scrapes = 0
        self._scrapes = Scrapes(self.recorder.store.render, settings.metrics_interval_s)
        self.keys = _keys(settings, self.recorder)
        self.authenticator = Authenticator(self.keys, settings.jwt_issuer, settings.jwt_audience, settings.jwt_leeway_s)
        log = open_event_log(settings.event_log_url, nats_config(settings, self.replica))
        self.event_log = MeasuredEventLog(log, self.recorder)
        problems = load_problems()
        self.recorder.knows_problems(problems)
        self.hub = Hub(
            self.event_log,
            SandboxJudge(settings.judge_processes, judge_limits(settings), self.recorder),
            problems,
            hub_config(settings, self.replica),
            self.authenticator.verify,
            self.recorder,
            Clock(settings.clock_slew_ppm),
        )
        self.health = Health(self.hub, lambda: self.keys.count, settings.ready_gates, settings.ready_grace_s)
        gauges.read_service(self.recorder.store, settings, self.replica, self.hub, self.keys, self.health)
        if logs is not None:
            gauges.read_logs(self.recorder.store, logs.writer)

    def drain(self) -> Drain:
        """A drain of this service, to be run once."""
        return Drain(self.hub, self.settings.drain, self.recorder, lambda: self.scrapes, lone=not self.event_log.shared)

    async def render_metrics(self, accept: str) -> tuple[bytes, str]:
        """The exposition for a scraper."""
        exposition = await self._scrapes.render(accept)
        self.scrapes += 1
        return exposition

    async def own_log(self) -> None:
        """Open an event log that is this process's alone, before anything else is; a shared one is waited for later.

        Raises LogUnavailable, LogInUse.
        """
        if not self.event_log.shared:
            await self._within_ready_timeout(self.event_log.open())

    async def _within_ready_timeout(self, opening: Awaitable[None]) -> None:
        try:
            await asyncio.wait_for(opening, self.settings.ready_timeout_s)
        except TimeoutError:
            raise LogUnavailable(
                f"{self.settings.event_log_url} did not answer within {self.settings.ready_timeout_s:g} s"
            ) from None

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Start before the first connection, stop after the last."""
        tasks = TaskOwner(self.recorder)
        await self._within_ready_timeout(self.hub.start())
        if isinstance(self.keys, JwksKeys):
            tasks.spawn(self.keys.run(), "signing keys")
        self.health.has_begun = True
        try:
            with measured_gc(self.recorder):
                yield
        finally:
            await tasks.close()
            await self.hub.close()
            if self.traces is not None:
                await self.traces.close()


def _keys(settings: Settings, recorder: Recorder) -> SharedSecrets | JwksKeys:
    if not settings.jwt_jwks_url:
        return SharedSecrets(signing_secret(settings), settings.jwt_previous_secret.get_secret_value())
    return JwksKeys(
        settings.jwt_jwks_url,
        settings.jwt_algorithms,
        recorder,
        refresh_s=settings.jwks_refresh_s,
        timeout_s=settings.jwks_timeout_s,
        cooldown_s=settings.jwks_cooldown_s,
        max_age_s=settings.jwks_max_age_s,
        max_bytes=settings.jwks_max_bytes,
        max_keys=settings.jwks_max_keys,
    )


def _tickets(settings: Settings, service: Service) -> TicketOffice:
    own = settings.ticket_secret.get_secret_value()
    if own:
        keys: tuple[str, ...] = (own,)
    elif isinstance(service.keys, SharedSecrets):
        keys = tuple(derived_key(secret) for secret in (service.keys.current, service.keys.previous) if secret)
    else:
        keys = ()
    return TicketOffice(keys, settings.ticket_ttl_s, service.event_log.claim)


def create_app(settings: Settings, logs: Logs | None = None) -> Litestar:
    """Make an application; its `state.service` is the `Service` behind it.

    Raises:
        SettingsError: there is no secret to sign tokens with.
    """
    service = Service(settings, logs)
    rates = ApiRates(api_config(settings), service.hub.policy)
    ops = OPS_HANDLERS if settings.ops_port is None else ()
    application = Litestar(
        route_handlers=[game_socket, diagnose, api_router(rates), show_asyncapi, *ops, _pages()],
        dependencies=_dependencies(settings, service, rates),
        lifespan=[service.lifespan],
        cors_config=_cors(settings),
        before_send=[_add_headers],
        after_exception=[_report_fault],
        exception_handlers=_answers(),
        request_class=JsonRequest,
        openapi_config=openapi_config(__version__),
        request_max_body_size=settings.max_body_bytes,
        logging_config=None,
    )
    application.state.service = service
    return application


def create_ops_app(service: Service) -> Litestar:
    """Probes and metrics of a service, for a port of their own (OPS_PORT)."""
    application = Litestar(
        route_handlers=list(OPS_HANDLERS),
        dependencies=_provide(ops=_ops(service)),
        before_send=[_add_headers],
        after_exception=[_report_fault],
        exception_handlers=_answers(),
        openapi_config=None,
        logging_config=None,
    )
    application.state.service = service
    return application


def _answers() -> dict[int | type[Exception], Any]:
    """What every error is answered with, on each port: a problem document."""
    return {ProblemError: answer_problem, HTTPException: _answer_http_error, Exception: _answer_fault}


def _ops(service: Service) -> Ops:
    settings = service.settings
    return Ops(service.health, service.render_metrics, __version__, service.replica, settings.environment)


def _dependencies(settings: Settings, service: Service, rates: ApiRates) -> dict[str, Provide]:
    """What handlers ask for by name."""
    admission = Admission(
        service.authenticator,
        _tickets(settings, service),
        OriginPolicy(settings.allowed_origins, settings.is_development),
        service.hub,
        lambda: round(settings.restart_hint_s * 1000),
        settings.max_replacements_per_minute,
        rates,
    )
    door = Door(door_config(settings), service.hub.policy, service.hub.presence)
    return _provide(
        settings=settings,
        admission=admission,
        hub=service.hub,
        gate=Gate(admission, door, service.hub, service.recorder, settings.auth_timeout_s),
        ops=_ops(service),
        issuer=_issuer(settings, service),
        asyncapi=AsyncApi(__version__, _own_url(settings), settings.max_batch),
    )


def _own_url(settings: Settings) -> str:
    return settings.public_url or f"http{'s' if settings.tls_cert_file else ''}://localhost:{settings.port}"


def _issuer(settings: Settings, service: Service) -> Issuer:
    secret = service.keys.current if isinstance(service.keys, SharedSecrets) else ""
    return Issuer(secret, settings.jwt_issuer, settings.jwt_audience)


def _provide(**values: Any) -> dict[str, Provide]:  # noqa: ANN401 - whatever handlers ask for by name
    return {name: Provide(_constant(value), sync_to_thread=False) for name, value in values.items()}


def _constant(value: Any) -> Any:  # noqa: ANN401 - see `_provide`
    def provide() -> Any:  # noqa: ANN401 - see `_provide`
        return value

    return provide


def _cors(settings: Settings) -> CORSConfig:
    return CORSConfig(
        allow_origins=sorted(settings.allowed_origins),
        allow_origin_regex=LOCALHOST if settings.is_development else None,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["authorization", "content-type"],
        max_age=600,
    )


def _pages() -> Any:  # noqa: ANN401 - Litestar's router type is generic
    there = {one.relative_to(STATIC).as_posix() for one in STATIC.rglob("*")} | {""}

    async def require_page(request: Request[Any, Any, Any]) -> None:
        """The file system is not asked for what cannot be there: some names it answers with an error."""
        if request.path_params.get("file_path", "").strip("/") not in there:
            raise NotFoundException

    return create_static_files_router(
        path="/",
        directories=[STATIC],
        html_mode=True,
        before_request=require_page,
        after_request=_add_page_headers,
        include_in_schema=False,
    )


async def _add_headers(message: Message, _: Scope) -> None:
    if message["type"] in {"http.response.start", "websocket.http.response.start"}:
        headers = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)


def _add_page_headers(response: Response[Any]) -> Response[Any]:
    response.headers.update(PAGE_HEADERS)
    return response


def _answer_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    detail = NOTHING_THERE if error.status_code == HTTPStatus.NOT_FOUND else error.detail
    extra = error.extra
    if isinstance(extra, list):
        detail = "; ".join(_field_error(item) for item in extra) or detail
    headers = {key: value for key, value in (error.headers or {}).items() if key.lower() == "allow"}
    return errors.Problem(error.status_code, detail, headers=headers).response()


def _field_error(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    return f"{item.get('key', 'body')}: {item.get('message', 'invalid')}"


def _answer_fault(_: Request[Any, Any, Any], _error: Exception) -> Response[bytes]:
    return errors.Problem(500, "a fault of the server; it has been logged").response()


async def _report_fault(error: Exception, scope: Scope) -> None:
    """Log what no handler answers for: over a WebSocket, Litestar would only close with a bare 403."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, (ProblemError, WebSocketDisconnect)):
        service: Service = scope["litestar_app"].state.service
        service.recorder.fault(scope["type"], error)
