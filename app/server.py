"""uvicorn, with the signals taken first: connections end with a word of their own before listeners close."""

import asyncio
import contextlib
import gc
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from types import FrameType
from typing import Any, Final, cast

import uvicorn
from litestar import Litestar

from app import signals
from app.aio.tasks import TaskOwner
from app.asgi import Service, create_ops_app
from app.eventlog import LogUnavailable
from app.judge import JudgeUnavailable
from app.listeners import EVERYWHERE, CannotListenError, Listeners, bounded_tls, port_of, shown
from app.realtime import Deflate, LeanContext, LeanTransport, UvicornTransport
from app.realtime.drain import Drain
from app.settings import CannotStartError, Settings, SettingsError, mask_url
from app.telemetry.catalogue import Events
from app.telemetry.measured_http import MeasuredHttp
from app.transport.elsewhere import Arrivals, Elsewhere
from app.transport.http import BoundedHttp
from app.transport.http_connections import HttpConnections
from app.usable import bad_certificate, load_certificate_again
from app.vocabulary import LimitScope, WsTransport
from app.web.auth.jwks import JwksKeys
from app.web.handshake.endpoint import GameSockets
from app.workers import Inherited
from app.workers.control import obey
from app.workers.mailbox import Mailbox

CLOSE_POLL_S: Final = 0.02
GC_THRESHOLDS: Final = (10_000, 20, 50)
DRY_RUN_FACTOR: Final = 16
"""While the message size is only counted (LIMITS_DRY_RUN), so much larger ones are still taken."""


class Server(uvicorn.Server):
    """uvicorn's server; it drains first when told to end, and exits with 0. See `signals`."""

    def __init__(
        self,
        app: Litestar,
        settings: Settings,
        listeners: Listeners,
        worker: Inherited | None = None,
        *,
        began: float,
    ) -> None:
        service: Service = app.state.service
        self._arrivals = Arrivals(self._protocol, service.recorder.fault, service.recorder.handed_over)
        self._mailbox = Mailbox.of(worker, self._arrivals.take, self._arrivals.lose) if worker else None
        super().__init__(_config(app, settings, service, self._mailbox))
        self._service = service
        self._settings = settings
        self._began = began
        self._worker = worker
        self._drain: Drain | None = None
        self._draining: asyncio.Task[None] | None = None
        self._announcing: asyncio.Task[None] | None = None
        self._interrupted = False
        self._listeners = listeners

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals on the event loop; unlike uvicorn's, none is raised again after the end."""
        loop = asyncio.get_running_loop()
        on_terminal = signals.has_terminal()
        for number in signals.HANDLED:
            ends = signals.ends(number, on_terminal=on_terminal)
            loop.add_signal_handler(number, self._on_end if ends else self._on_signal, number)
        signals.show_stacks()
        signals.unblock()
        try:
            yield
        finally:
            signals.hide_stacks()
            _stop_handling(do_spare=self._drain is not None and not self._drain.is_hurried)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop; probes and metrics on a port of their own are there first, and last.

        Raises LogUnavailable where the event log is to be this process's alone and cannot be, JudgeUnavailable where no
        submission could be judged, SettingsError where the certificate cannot be used; no game is served then.
        """
        _collect_seldom()
        asyncio.get_running_loop().set_exception_handler(self._on_exception)
        self._load_certificate()
        await self._service.lifecycle.own_log()
        self._service.health.is_listening = False
        async with _serving_ops(self._service, self._listeners.ops), self._obeying():
            await super().serve(sockets or self._listeners.game)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say where the page is.

        Raises LogUnavailable, JudgeUnavailable, CannotListenError where somebody was quicker than us.
        """
        await self._start()
        settings = self._settings
        tls = bounded_tls(settings, settings.handshake_timeout_s, settings.close_timeout_s)
        with contextlib.suppress(OSError), tls:  # uvloop tells nothing, asyncio raises
            await super().startup(sockets)
        if not self._listeners.are_listening:
            await self.lifespan.shutdown()
            raise CannotListenError("cannot listen on PORT: another process began to, in this moment")
        if self._mailbox is not None:
            self._mailbox.open()
        self._service.health.is_listening = True
        gc.collect()
        gc.freeze()
        host, port = settings.host, port_of(self._listeners.game)
        self._service.console.listens_on(port, self._listeners.ops_port)
        reached = "localhost" if host in EVERYWHERE else host
        scheme = "https" if settings.tls_cert_file else "http"
        page = settings.public_url or f"{scheme}://{shown(reached, port)}/"
        self._service.recorder.log(
            Events.APP_STARTED,
            address=shown(host, port),
            page=page,
            startup_s=round(time.monotonic() - self._began, 3),
            ops_port=self._listeners.ops_port,
        )
        if settings.is_development and self._worker is None:  # of many the supervisor tells, once
            self._announcing = asyncio.get_running_loop().create_task(self._announce(page), name="announce")

    async def _start(self) -> None:
        """Start the service, before the lifespan would: of its errors uvicorn tells no more than a traceback."""
        try:
            await self._service.lifecycle.start()
        except (LogUnavailable, JudgeUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged, and told in the one way
            self._service.recorder.fault("start-up", error)
            raise CannotStartError(
                f"a fault of the service, {type(error).__name__}: {error}; more is in the log, as app.fault"
            ) from None

    async def _announce(self, page: str) -> None:
        """Tell the person who typed make run where the page is, once it can be used."""
        log_health, keys = self._service.hub.log_health, self._service.keys
        waits = [] if log_health.is_reached else [f"the event log, {mask_url(self._settings.event_log_url)}"]
        if not keys.count:
            waits.append(f"the signing keys, {mask_url(self._settings.jwt_jwks_url)}")
        if waits:
            what = " and ".join(waits)
            print(f"Code Racer listens on {page} and waits for {what} (Ctrl+C stops it)", file=sys.stderr)  # noqa: T201 - see above
        await log_health.wait_reached()
        if isinstance(keys, JwksKeys):
            await keys.wait_fetched()
        print(f"Code Racer is ready: {page} (Ctrl+C stops it)", file=sys.stderr)  # noqa: T201 - see above

    def _load_certificate(self) -> None:
        """Load TLS_CERT_FILE and TLS_KEY_FILE. Raises SettingsError: they cannot be used, or not together."""
        try:
            self.config.load()
        except OSError as error:  # ssl.SSLError is one
            raise bad_certificate(self._settings, error) from None

    def _on_exception(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Report what no callback or task handled."""
        message = str(context.get("message"))
        self._service.recorder.fault("event loop", context.get("exception") or RuntimeError(message))

    def _on_signal(self, number: int) -> None:
        self._service.recorder.log(Events.APP_SIGNALLED, signal=signals.name(number))
        if number == signal.SIGUSR2:
            self._service.diagnostics.write()
        elif number == signal.SIGHUP:
            self._service.rotation.reread()
            if self.config.ssl is not None:
                self._load_certificate_again(self.config.ssl)

    def _load_certificate_again(self, serving: ssl.SSLContext) -> None:
        try:
            ends = load_certificate_again(self._settings, serving)
        except SettingsError as error:
            self._service.recorder.certificate(None, str(error))
        else:
            self._service.recorder.certificate(ends.isoformat().replace("+00:00", "Z"), None)

    def _on_end(self, number: int) -> None:
        """Drain at the first signal, hurry at the second; at a second SIGINT, or a third signal, wait for nobody."""
        interrupted, self._interrupted = self._interrupted, self._interrupted or number == signal.SIGINT
        if self._drain is None:
            self._begin_drain(signals.name(number))
        elif self._drain.is_hurried or (interrupted and number == signal.SIGINT):
            self._drain.hurry()
            self.should_exit = self.force_exit = True
            _stop_handling()
        elif number != signal.SIGHUP:  # of those a terminal that goes sends two
            self._drain.hurry()

    def _begin_drain(self, cause: str | None) -> None:
        service = self._service
        service.recorder.log(Events.APP_DRAINING, connections=len(service.hub.connections), signal=cause)
        self._drain = service.drain()
        self._draining = asyncio.get_running_loop().create_task(self._run(self._drain), name="drain")

    @contextlib.asynccontextmanager
    async def _obeying(self) -> AsyncIterator[None]:
        """Report to the supervisor, if there is one, that this worker lives; drain when the supervisor is gone."""
        if self._worker is None:
            yield
            return
        tasks = TaskOwner(self._service.recorder.fault)
        with socket.socket(fileno=self._worker.control) as control:
            tasks.spawn(self._obey(control), "control")
            try:
                yield
            finally:
                await tasks.close()

    async def _obey(self, control: socket.socket) -> None:
        checks = self._service.health
        await obey(control, lambda: (name for name, passed in checks.checks.items() if not passed))
        self._service.recorder.log(Events.SUPERVISOR_LOST)
        if self._drain is None:
            self._begin_drain(None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the application as it should end, also when nobody is waited for: logs and traces are written."""
        if self._mailbox is not None:
            self._mailbox.pause()
            await self._arrivals.close()
        await self._service.console.close()
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()

    def _protocol(self, data: bytes) -> asyncio.Protocol:
        """Make the protocol of a connection of which `data` has been read, as uvicorn does of a new one."""
        http: Any = self.config.http_protocol_class
        state = self.server_state
        return cast(
            "asyncio.Protocol",
            http(config=self.config, server_state=state, app_state=self.lifespan.state, read_already=data),
        )

    async def _run(self, drain: Drain) -> None:
        try:
            await drain.run()
            await self._wait_for_close_frames()
        finally:
            self.should_exit = True

    async def _wait_for_close_frames(self) -> None:
        """Wait until peers answered the close frame, or were cut after CLOSE_TIMEOUT_S.

        uvicorn would end the sockets at once: with unread bytes that is a reset, and the peer sees no close code.
        """
        deadline = time.monotonic() + self._settings.close_timeout_s
        while any(isinstance(one, (LeanTransport, UvicornTransport)) for one in self.server_state.connections):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(CLOSE_POLL_S)


def _stop_handling(*, do_spare: bool = False) -> None:
    """Let the process end at once when it is told to from now on: there is nobody left to be told.

    With `do_spare` that is not yet so for the next signal: it would have hurried a drain that is over.
    """
    loop = asyncio.get_running_loop()
    ending = _end_next_time if do_spare else signal.SIG_DFL
    signals.block()
    for number in signals.HANDLED:
        if loop.remove_signal_handler(number):
            signal.signal(number, ending if number in signals.ENDING else signal.SIG_IGN)
    signals.unblock()


def _end_next_time(_number: int, _frame: FrameType | None) -> None:
    for number in signals.ENDING:
        signal.signal(number, signal.SIG_DFL)


class OpsServer(uvicorn.Server):
    """Probes and metrics alone; signals are the other server's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextlib.asynccontextmanager
async def _serving_ops(service: Service, sockets: list[socket.socket]) -> AsyncIterator[None]:
    """Serve probes and metrics while in the block, if they have a port of their own."""
    if not sockets:
        yield
        return
    config = uvicorn.Config(
        cast("Any", MeasuredHttp(create_ops_app(service), service.recorder)),
        workers=1,
        http=_http(service.settings, service, reserved=0),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who looks is who comes here, whatever they say
        timeout_graceful_shutdown=1,
    )
    server = OpsServer(config)
    serving = asyncio.get_running_loop().create_task(server.serve(sockets), name="ops")
    while not (server.started or serving.done()):  # noqa: ASYNC110 - uvicorn tells nobody else
        await asyncio.sleep(CLOSE_POLL_S)
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _collect_seldom() -> None:
    """Freeze what was made so far, it stays as long as the process; collect seldom, as connections leave few cycles.

    Measured with 8,000 connections: 34 instead of 97 µs of collections for each, no pause over 0.1 s instead of three.
    """
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()


def _config(app: Litestar, settings: Settings, service: Service, mailbox: Mailbox | None) -> uvicorn.Config:
    dry_run = LimitScope.MESSAGE_SIZE in settings.limits_dry_run
    max_message_bytes = settings.max_message_bytes * (DRY_RUN_FACTOR if dry_run else 1)
    observer = service.recorder
    deflate = Deflate(settings.ws_deflate_min_bytes) if settings.ws_deflate else None
    config = uvicorn.Config(
        cast("Any", GameSockets(MeasuredHttp(app, service.recorder), app.state.handshakes)),
        workers=1,  # else uvicorn reads WEB_CONCURRENCY, which may be no number
        backlog=settings.listen_backlog,
        ws=partial(  # type: ignore[arg-type] # called like the class
            UvicornTransport, close_timeout_s=settings.close_timeout_s, observer=observer, deflate=deflate
        ),
        ws_max_size=max_message_bytes,
        ws_ping_interval=settings.ping_interval_s,
        ws_ping_timeout=settings.ping_timeout_s,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ssl_certfile=settings.tls_cert_file or None,
        ssl_keyfile=settings.tls_key_file or None,
        timeout_graceful_shutdown=max(1, round(settings.close_timeout_s)),
    )
    lean = LeanContext(
        config,
        service.hub.connections.wheel,
        observer,
        settings,
        max_message_bytes=max_message_bytes,
        deflate=deflate,
    )
    lean_context = lean if settings.ws_transport is WsTransport.LEAN else None
    elsewhere = Elsewhere(mailbox.share, mailbox.send, observer.handed_over) if mailbox is not None else None
    config.http = _http(settings, service, lean_context, elsewhere, reserved=settings.reserved_descriptors)
    return config


def _http(
    settings: Settings,
    service: Service,
    lean: LeanContext | None = None,
    elsewhere: Elsewhere | None = None,
    *,
    reserved: int,
) -> Any:  # noqa: ANN401 - called like the class that uvicorn asks for
    """Make the protocol of one port: HTTP, with its bounds."""
    policy, per_address = service.hub.policy, not settings.is_development
    table = HttpConnections(settings, policy, reserved, per_address=per_address, proxies=settings.trusted_proxies)
    return partial(
        BoundedHttp, settings=settings, table=table, observer=service.recorder, lean=lean, elsewhere=elsewhere
    )
