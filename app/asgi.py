"""The only wiring: settings and vendors in, a Litestar application out.

Everything an application needs is made here and belongs to it, so two of them live in one process. What
belongs to the process (root logging, signals) is the main program's.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.exceptions import HTTPException, WebSocketDisconnect
from litestar.openapi import OpenAPIConfig
from litestar.static_files import create_static_files_router
from litestar.types import Scope

from app import __version__
from app.eventlog import LogUnavailable, open_event_log
from app.judge import MontyJudge, load_problems
from app.realtime import Hub, HubConfig, SessionLimits
from app.realtime.judging import JudgingConfig
from app.settings import Settings, signing_secret
from app.telemetry.catalogue import Metrics
from app.telemetry.logs import Logs
from app.telemetry.metrics import MetricStore
from app.telemetry.observer import Live
from app.telemetry.recorder import Recorder
from app.web import errors
from app.web.admission import Admission, now_ms
from app.web.api import answer_problem, api_router
from app.web.auth import Authenticator
from app.web.errors import ProblemError
from app.web.limits import AddressLimit
from app.web.ops import OPS_HANDLERS, Ops
from app.web.origins import LOCALHOST, OriginPolicy
from app.web.ws import Gate, diagnose, game_socket

STATIC: Final = Path(__file__).parent / "web" / "static"
MAX_BODY_BYTES: Final = 65_536
PAGE_HEADERS: Final = {
    "content-security-policy": "default-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


class Service:
    """One application and what is behind it; `start` and `stop` are its lifespan."""

    def __init__(self, settings: Settings, logs: Logs | None = None) -> None:
        self.settings = settings
        self.replica = settings.replica or socket.gethostname()
        self.recorder = Recorder(MetricStore(), logs.logger if logs else None)
        self.started = False
        self.hub = _hub(settings, self.replica, self.recorder)
        self.recorder.live(self.live, version=__version__, replica=self.replica)
        if logs is not None:
            _measure_logs(self.recorder.store, logs)

    def live(self) -> Live:
        """The live things, read now."""
        return Live(
            connections=len(self.hub.sessions),
            rooms=self.hub.room_count,
            games=self.hub.games_by_phase(),
            judge_queue=self.hub.judge_queue,
            ready=self.started and not self.hub.draining,
            draining=self.hub.draining,
            event_log_connected=self.started and self.recorder.event_log_reachable,
        )

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Start before the first connection, stop after the last."""
        try:
            await asyncio.wait_for(self.hub.start(), self.settings.ready_timeout_s)
        except TimeoutError:
            raise LogUnavailable(
                f"{self.settings.event_log_url} did not answer within {self.settings.ready_timeout_s:g} s"
            ) from None
        self.started = True
        try:
            yield
        finally:
            await self.hub.close()


def _hub(settings: Settings, replica: str, recorder: Recorder) -> Hub:
    judge = MontyJudge(
        processes=settings.judge_processes,
        time_limit_s=settings.judge_time_limit_s,
        memory_bytes=settings.judge_memory_bytes,
    )
    config = HubConfig(
        replica=replica,
        session=SessionLimits(
            max_pending_messages=settings.max_pending_messages,
            max_invalid_messages_per_minute=settings.max_invalid_messages_per_minute,
            outbox_max_bytes=settings.outbox_max_bytes,
        ),
        judging=JudgingConfig(
            workers=settings.judge_processes,
            queue_size=settings.judge_queue_size,
            retries=settings.judge_retries,
            retry_delay_s=settings.judge_retry_delay_s,
        ),
        max_message_bytes=settings.max_message_bytes,
        ping_interval_s=settings.ping_interval_s,
        retention_s=settings.finished_game_retention_s,
        sweep_interval_s=settings.sweep_interval_s,
        finished_linger_s=settings.finished_linger_s,
        restart_hint_s=settings.restart_hint_s,
    )
    return Hub(open_event_log(settings.event_log_url), judge, load_problems(), config, recorder, now_ms)


def _measure_logs(store: MetricStore, logs: Logs) -> None:
    records, writer = store.counter(Metrics.LOG_RECORDS), logs.writer
    store.folding(records, lambda: {(level,): count for level, count in writer.records.items()})
    store.folding(store.counter(Metrics.LOG_DROPPED), lambda: {(): writer.dropped})


def create_app(settings: Settings, logs: Logs | None = None) -> Litestar:
    """Make an application; its `state.service` is the `Service` behind it.

    Raises:
        SettingsError: there is no secret to sign tokens with.
    """
    service = Service(settings, logs)
    authenticator = Authenticator(
        signing_secret(settings), settings.jwt_issuer, settings.jwt_audience, settings.jwt_leeway_s
    )
    origins = OriginPolicy(settings.allowed_origins, settings.is_development)
    admission = Admission(authenticator, origins, service.hub, lambda: round(settings.restart_hint_s * 1000))
    ops = Ops(
        service.live,
        lambda: service.started,
        service.recorder.store.render,
        __version__,
        service.replica,
        settings.environment,
    )
    application = Litestar(
        route_handlers=[game_socket, diagnose, api_router, *OPS_HANDLERS, _pages()],
        dependencies=_provide(
            settings=settings,
            admission=admission,
            hub=service.hub,
            gate=Gate(admission, service.hub, service.recorder),
            ops=ops,
            guest_limit=AddressLimit(settings.guests_per_address_per_minute),
        ),
        lifespan=[service.lifespan],
        cors_config=_cors(settings),
        after_exception=[_report_fault],
        exception_handlers={
            ProblemError: answer_problem,
            HTTPException: _answer_http_error,
            Exception: _answer_fault,
        },
        openapi_config=OpenAPIConfig(title="Code Racer", version=__version__, path="/schema"),
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
    )
    application.state.service = service
    return application


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
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type"],
        max_age=600,
    )


def _pages() -> Any:  # noqa: ANN401 - Litestar's router type is generic
    return create_static_files_router(
        path="/", directories=[STATIC], html_mode=True, after_request=_add_page_headers, include_in_schema=False
    )


def _add_page_headers(response: Response[Any]) -> Response[Any]:
    response.headers.update(PAGE_HEADERS)
    return response


def _answer_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    detail = error.detail
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
