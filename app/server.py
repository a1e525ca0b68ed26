"""uvicorn, with the signals taken first: connections end with a word of their own before listeners close."""

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

import uvicorn
from litestar import Litestar

from app.asgi import Service
from app.realtime import UvicornTransport
from app.settings import Settings
from app.telemetry.catalogue import Events

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Server(uvicorn.Server):
    """uvicorn's server; SIGTERM and SIGINT drain first, a second one hurries. Exits with 0."""

    def __init__(self, app: Litestar, settings: Settings, *, began: float) -> None:
        super().__init__(_config(app, settings))
        self._service: Service = app.state.service
        self._settings = settings
        self._began = began
        self._draining: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals on the event loop; unlike uvicorn's, none is raised again after the end."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say where the page is."""
        await super().startup(sockets)
        if not self.started:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        shown = "localhost" if host in {"127.0.0.1", "0.0.0.0", "::"} else host  # noqa: S104 - a comparison
        page = self._settings.public_url or f"http://{shown}:{port}/"
        self._service.recorder.log(
            Events.APP_STARTED,
            address=f"{host}:{port}",
            page=page,
            startup_s=round(time.monotonic() - self._began, 3),
        )
        if self._settings.is_development:
            print(f"Code Racer is ready: {page} (Ctrl+C stops it)", file=sys.stderr)  # noqa: T201 - for the person who typed make run

    def _on_signal(self, number: signal.Signals) -> None:
        if self._draining is not None:
            self.should_exit = self.force_exit = True
            return
        self._service.recorder.log(Events.APP_DRAINING, connections=len(self._service.hub.sessions), signal=number.name)
        self._draining = asyncio.get_running_loop().create_task(self._drain(), name="drain")

    async def _drain(self) -> None:
        await self._service.hub.drain(self._settings.shutdown_timeout_s)
        self.should_exit = True


def _config(app: Litestar, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        ws=partial(UvicornTransport, close_timeout_s=settings.close_timeout_s),  # type: ignore[arg-type] # called like the class
        ws_max_size=settings.max_message_bytes,
        ws_ping_interval=settings.ping_interval_s,
        ws_ping_timeout=settings.ping_timeout_s,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(settings.close_timeout_s)),
    )
