"""The life of a service: its log is owned, it is started, what it does besides runs, and all of it is stopped."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Final

from litestar import Litestar

from app.aio.tasks import TaskOwner
from app.eventlog import EventLog, LogUnavailable
from app.eventlog.among_workers import WorkersCoordination
from app.health import Health
from app.realtime import Hub
from app.settings import EventLogSettings, mask_url
from app.telemetry.gc_pauses import measured_gc
from app.telemetry.recorder import Recorder
from app.web.auth.jwks import JwksKeys
from app.web.auth.keys import SharedSecrets

SUPPRESSED_EVERY_S: Final = 1.0
"""How often it is told of log lines that were not written, where no other line tells it."""


class Lifecycle:
    """The order in which the parts of one service begin and end; `run` is the lifespan of its application.

    `among_workers`, where there are some, is open while the hub runs.
    """

    def __init__(
        self,
        hub: Hub,
        event_log: EventLog,
        among_workers: WorkersCoordination | None,
        keys: SharedSecrets | JwksKeys,
        health: Health,
        recorder: Recorder,
        settings: EventLogSettings,
    ) -> None:
        self._hub = hub
        self._event_log = event_log
        self._among_workers = among_workers
        self._keys = keys
        self._health = health
        self._recorder = recorder
        self._settings = settings
        self.background: dict[str, Callable[[], Coroutine[None, None, None]]] = {}
        """What else runs for as long as the service does, by name."""
        self._is_started = False

    async def own_log(self) -> None:
        """Open an event log that is this process's alone, before anything else is; a shared one is waited for later.

        Raises LogUnavailable, LogInUse.
        """
        if not self._event_log.shared:
            await self._within_ready_timeout(self._event_log.open())

    async def start(self) -> None:
        """Start the hub, once: by whoever wants to be told why it cannot, or else by `run`.

        Raises LogUnavailable, JudgeUnavailable; what was started by then is closed.
        """
        if self._is_started:
            return
        self._is_started = True
        try:
            if self._among_workers is not None:
                await self._within_ready_timeout(self._among_workers.open())
            await self._within_ready_timeout(self._hub.start())
        except BaseException:  # a cancelled start too: what runs already is ended, the cause goes on up
            await self._close()
            raise

    async def _close(self) -> None:
        await self._hub.close()
        if self._among_workers is not None:
            await self._among_workers.close()

    async def _within_ready_timeout(self, opening: Awaitable[None]) -> None:
        try:
            await asyncio.wait_for(opening, self._settings.ready_timeout_s)
        except TimeoutError:
            raise LogUnavailable(
                f"{mask_url(self._settings.event_log_url)} did not answer within {self._settings.ready_timeout_s:g} s"
            ) from None

    @contextlib.asynccontextmanager
    async def run(self, _app: Litestar) -> AsyncIterator[None]:
        """Start before the first connection, stop after the last. Raises LogUnavailable, JudgeUnavailable."""
        tasks = TaskOwner(self._recorder.fault)
        await self.start()
        if isinstance(self._keys, JwksKeys):
            tasks.spawn(self._keys.run(), "signing keys")
        tasks.spawn(self._log_suppressed(), "suppressed lines")
        for name, work in self.background.items():
            tasks.spawn(work(), name)
        self._health.has_begun = True
        try:
            with measured_gc(self._recorder):
                yield
        finally:
            await tasks.close()
            await self._close()
            await self._recorder.close()

    async def _log_suppressed(self) -> None:
        while True:
            await asyncio.sleep(SUPPRESSED_EVERY_S)
            self._recorder.log_suppressed()
