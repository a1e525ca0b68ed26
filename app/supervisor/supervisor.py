"""The supervisor of all workers: starts them, tells them of signals, ends when they have ended."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from app import signals
from app.listeners import EVERYWHERE, CannotListenError, port_of, shown
from app.process import container_limit_bytes
from app.settings import CannotStartError, Settings
from app.supervisor.descriptors import Descriptors, open_descriptors
from app.supervisor.folder import SharedFolder, is_any_held, shared_folder
from app.supervisor.ops import serve_ops
from app.supervisor.slot import GaveUpError, Shared, WorkerSlot
from app.telemetry.catalogue import SUPERVISOR_METRICS, Events, SupervisorMetrics
from app.telemetry.metrics import MetricStore
from app.vocabulary import WorkerState
from app.workers import Share

_LONGEST_NAME: Final = 60
"""Of a replica, less what is put behind it."""


class Supervisor:
    """All workers of one service. `check` looks at settings and files as they are now; it raises CannotStartError."""

    def __init__(
        self,
        settings: Settings,
        count: int,
        descriptors: Descriptors,
        folder: SharedFolder,
        write: Callable[..., None],
        check: Callable[[], object],
    ) -> None:
        self._settings = settings
        self._descriptors = descriptors
        self._write = write
        self._check = check
        self.ending = asyncio.Event()
        self._gave_up: GaveUpError | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._is_reload_asked = False
        self.store = MetricStore(metrics=SUPERVISOR_METRICS)
        self.store.read_gauge(SupervisorMetrics.WORKERS, self.states)
        shared = Shared(settings, self.store, write, self.ending)
        self.slots = [self._slot(Share(number, count), shared, folder) for number in range(count)]

    def _slot(self, share: Share, shared: Shared, folder: SharedFolder) -> WorkerSlot:
        ops = self._descriptors.ops
        environment = worker_environment(self._settings, share, port_of(ops[share.number]) if ops else None)
        inherit = partial(self._descriptors.of_worker, share, folder=folder)
        return WorkerSlot(share.number + 1, share.of, shared, inherit, environment)

    def states(self) -> dict[WorkerState, int]:
        """Count the workers by what they do."""
        found = [slot.state for slot in self.slots]
        return {state: found.count(state) for state in WorkerState}

    def failed(self) -> list[str]:
        """List why not all are ready."""
        return [why for slot in self.slots for why in slot.failed]

    async def run(self) -> int:
        """Keep all running until told to end; return the exit code.

        The first starts alone: of what hinders every one of them is told once.
        """
        with self._handling_signals():
            async with serve_ops(self, self._descriptors):
                async with asyncio.TaskGroup() as group:
                    first, *others = self.slots
                    group.create_task(self._keep(first))
                    await first.until(lambda: first.state not in {WorkerState.STARTING, WorkerState.DOWN})
                    for slot in others:
                        group.create_task(self._keep(slot))
                    announcing = group.create_task(self._announce_ready())
                    await self.ending.wait()
                    announcing.cancel()
                if self._reloading is not None:
                    await self._reloading
        if self._gave_up is None:
            return 0
        print(f"code-racer: {self._gave_up}", file=sys.stderr)  # noqa: T201 - for whoever started it
        return self._gave_up.exit_code

    async def _keep(self, slot: WorkerSlot) -> None:
        try:
            await slot.keep()
        except GaveUpError as error:
            self._gave_up = self._gave_up or error
            self._write(Events.SUPERVISOR_GAVE_UP, error=str(error))
            self._end(signal.SIGTERM)

    async def _announce_ready(self) -> None:
        """Announce once that all are ready."""
        for slot in self.slots:
            await slot.until(lambda slot=slot: slot.state is WorkerState.READY)  # type: ignore[misc] # the default is the slot
        settings, ops = self._settings, self._descriptors.own_ops
        host, port = settings.host, port_of(self._descriptors.game)
        page = settings.public_url or f"http://{shown('localhost' if host in EVERYWHERE else host, port)}/"
        self._write(
            Events.SUPERVISOR_STARTED,
            workers=len(self.slots),
            address=shown(host, port),
            page=page,
            ops_port=port_of(ops) if ops else None,
        )
        if settings.is_development:
            print(f"Code Racer is ready: {page}, {len(self.slots)} workers (Ctrl+C stops it)", file=sys.stderr)  # noqa: T201 - for whoever typed it

    # ---------------------------------------------------------------- signals

    @contextlib.contextmanager
    def _handling_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        on_terminal = signals.has_terminal()
        for number in signals.HANDLED - {signal.SIGCHLD}:
            ends = signals.ends(number, on_terminal=on_terminal)
            loop.add_signal_handler(number, self._on_end if ends else self._on_signal, number)
        signals.unblock()
        try:
            yield
        finally:
            signals.block()
            for number in signals.HANDLED:
                loop.remove_signal_handler(number)

    def _on_signal(self, number: int) -> None:
        self._write(Events.SUPERVISOR_SIGNALLED, signal=signals.name(number))
        if number == signal.SIGHUP and not self.ending.is_set():
            self._is_reload_asked = True
            if self._reloading is None:
                self._reloading = asyncio.get_running_loop().create_task(self._keep_reloading(), name="reload")

    def _on_end(self, number: int) -> None:
        """Tell all, also the second time, and the third: each means to a worker what it would to a process alone."""
        self._write(Events.SUPERVISOR_SIGNALLED, signal=signals.name(number))
        self._end(signal.SIGTERM if number == signal.SIGHUP else number)

    def _end(self, number: int) -> None:
        self.ending.set()
        for slot in self.slots:
            slot.end(number)
            slot.changed.set()

    async def _keep_reloading(self) -> None:
        """Reload as often as it is asked: who asks meanwhile may have changed what some workers have read already."""
        while self._is_reload_asked and not self.ending.is_set():
            self._is_reload_asked = False
            await self._reload()
        self._reloading = None

    async def _reload(self) -> None:
        """Start all again, one after the other, with settings and files as they are now, if those can be used.

        Files of secrets are used by all from now on: the last may have its turn minutes after the first.
        """
        try:
            self._check()
        except CannotStartError as error:
            self._write(Events.SUPERVISOR_REFUSED, error=str(error))
        else:
            for slot in self.slots:
                slot.tell(signal.SIGHUP)
            for slot in self.slots:
                if not self.ending.is_set():
                    await slot.replace()
            if not self.ending.is_set():
                self._write(Events.SUPERVISOR_RELOADED)


def worker_environment(
    settings: Settings, share: Share, ops_port: int | None, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Make the environment of a worker: its own name and port, its part of what is the whole service's."""
    replica = settings.replica or socket.gethostname()
    own = {"REPLICA": f"{replica[:_LONGEST_NAME]}-{share.number + 1}"}
    own["JUDGE_PROCESSES"] = str(max(1, round(settings.judge_processes / share.of)))
    if ops_port is not None:
        own["OPS_PORT"] = str(ops_port)
    if not settings.memory_limit_bytes and (limit := container_limit_bytes()):
        own["MEMORY_LIMIT_BYTES"] = str(limit // share.of)
    return {name: value for name, value in environ.items() if name.upper() not in own} | own


def _explained(error: CannotListenError, settings: Settings) -> CannotListenError:
    """Add what may be the reason where workers run that are not ours."""
    if not is_any_held():
        return error
    return CannotListenError(
        f"{error}; if the supervisor before was killed, its workers drain still, and leave the port within"
        f" {settings.drain.longest_s:g} s: start again then"
    )


def supervise(settings: Settings, count: int, write: Callable[..., None], check: Callable[[], object]) -> int:
    """Serve with `count` workers until told to end; return the exit code. Raises CannotStartError."""
    with contextlib.ExitStack() as stack:
        try:
            descriptors = open_descriptors(settings, settings.socket_unsent_bytes, count, stack)
        except CannotListenError as error:
            raise _explained(error, settings) from None
        try:
            folder = stack.enter_context(shared_folder())
        except OSError as error:
            raise CannotStartError(
                f"workers share a folder for as long as they run, and none can be made: {error.strerror}; set TMPDIR to"
                " a folder that can be written"
            ) from None

        async def run() -> int:
            return await Supervisor(settings, count, descriptors, folder, write, check).run()

        return asyncio.run(run())
