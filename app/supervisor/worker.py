"""One worker: a process, and what it says on its control stream until it ends."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

from app.vocabulary import WorkerState
from app.workers import Inherited
from app.workers.control import Beat

_ROOT: Final = Path(__file__).parents[2]
_READ_BYTES: Final = 4_096
_MOST_UNREAD_BYTES: Final = 65_536
STARTED: Final = "started"
"""The check of readiness that fails until a worker's start-up has finished."""


def _path(environment: Mapping[str, str]) -> str:
    """Have a worker be of the same code as we are, whatever folder this was started in."""
    return os.pathsep.join(filter(None, (str(_ROOT), environment.get("PYTHONPATH"))))


class Worker:
    """A process that runs. `failed` are the checks of readiness that fail, `changed` is called when they change."""

    def __init__(self, process: Process, control: socket.socket, changed: Callable[[], None]) -> None:
        self.failed: tuple[str, ...] = (STARTED,)
        self.is_asked_to_end = False
        self.is_silent = False
        """Whether it was killed as it said nothing."""
        self._process = process
        self._control = control
        self._spoke = asyncio.Event()
        self._unread = b""
        self._is_over = False
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self.began = self._loop.time()

    @classmethod
    async def start(
        cls,
        inherit: Callable[[socket.socket], Inherited],
        environment: Mapping[str, str],
        changed: Callable[[], None],
    ) -> Self:
        """Start it in a session of its own: a terminal's Ctrl+C comes to the supervisor, which tells all.

        Raises OSError: no process can be started.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            inherited = inherit(theirs)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "app", "serve", "--worker", inherited.encode(),
                env=dict(environment) | {"PYTHONPATH": _path(environment)},
                pass_fds=inherited.descriptors, start_new_session=True, stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        ours.setblocking(False)
        return cls(process, ours, changed)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def state(self) -> WorkerState:
        """What it does, by what it said last."""
        if self.is_asked_to_end:
            return WorkerState.DRAINING
        if STARTED in self.failed:
            return WorkerState.STARTING
        return WorkerState.UNREADY if self.failed else WorkerState.READY

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def end(self, number: int, at_most_s: float) -> None:
        """Tell it to end with a signal; it is killed where that takes longer than `at_most_s`."""
        if not self.is_asked_to_end:
            self._loop.call_later(at_most_s, self._kill)
        self.is_asked_to_end = True
        self.send(number)

    async def until_ended(self, timeout_s: float) -> int:
        """Read what it says until it has ended; return its exit code, -9 for SIGKILL.

        One that says nothing for `timeout_s` is killed: its event loop stands still, or it is stopped.
        """
        self._loop.add_reader(self._control, self._read)
        try:
            await self._listen(timeout_s)
        finally:
            self._loop.remove_reader(self._control)
            self._control.close()
        return await self._process.wait()

    async def _listen(self, timeout_s: float) -> None:
        """Return at the end of the stream, or where the worker had to be killed."""
        while not self._is_over:
            self._spoke.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._spoke.wait()
            if not self._spoke.is_set():  # else it was we who were stopped: what it said meanwhile is read first
                self.is_silent = True
                self._kill()
                return

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                data = self._control.recv(_READ_BYTES)
            except ConnectionError:
                data = b""
            self._is_over = not data
            self._spoke.set()
            *lines, unread = (self._unread + data).split(b"\n")
            self._unread = unread[-_MOST_UNREAD_BYTES:]
            if lines:
                self._on_beat(lines[-1])

    def _on_beat(self, line: bytes) -> None:
        with contextlib.suppress(ValueError):  # it lives, whatever it says
            before, self.failed = self.failed, Beat.decode(line).failed
            if self.failed != before:
                self._changed()

    def _kill(self) -> None:
        self.send(signal.SIGKILL)
