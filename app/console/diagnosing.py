"""Diagnostics of this replica; of those that cost something, one at a time."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from app.console.answers import refused
from app.console.diagnostics.memory import MemoryTop, begin_tracing, end_tracing, is_enough_traced
from app.console.diagnostics.profile import Profile, Sampler
from app.realtime.overload import LoadMonitor

_LOOK_EVERY_S: Final = 0.05
"""So often it is looked how much is traced: what is made in between comes on top."""


class Lag(Struct, frozen=True):
    """How late the event loop was when last looked at, and at worst in each minute of the last hour, oldest first."""

    last_s: float
    worst_s: list[float]


class Diagnosing:
    """Asks the process what costs something: a profile, or what takes memory; `stop` ends what is under way early."""

    def __init__(self, load: LoadMonitor) -> None:
        self._load = load
        self._busy_with = ""
        self._stop = asyncio.Event()

    def lag(self) -> Lag:
        """Tell how late the event loop was."""
        return Lag(self._load.lag_s, self._load.worst_lags)

    async def profile(self, seconds: float) -> Profile:
        """Take a profile. Raises ActionRefused."""
        with self._alone("a profile"):
            sampler = Sampler()
            looking = asyncio.ensure_future(asyncio.to_thread(sampler.run, seconds))
            stopping = asyncio.ensure_future(self._stop.wait())
            try:
                await asyncio.wait((looking, stopping), return_when=asyncio.FIRST_COMPLETED)
            finally:  # also where nobody waits for the answer any more: the next one begins when this one is over
                sampler.stop()
                stopping.cancel()
                await asyncio.wait((looking,))
            return looking.result()

    async def memory(self, seconds: float) -> MemoryTop:
        """Trace memory for so long, or until so much was made that more would hold the service up.

        Raises ActionRefused.
        """
        with self._alone("tracing memory"):
            if not begin_tracing():
                raise refused("memory is traced already: PYTHONTRACEMALLOC is set")
            began, lasted = time.monotonic(), 0.0
            try:
                while lasted < seconds and not self._stop.is_set() and not is_enough_traced():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._stop.wait(), min(_LOOK_EVERY_S, seconds - lasted))
                    lasted = time.monotonic() - began
            finally:
                top = await asyncio.to_thread(end_tracing, lasted, ended_early=lasted < seconds)
            return top

    def stop(self) -> None:
        """End what is under way, and what begins from now on at once: the service ends."""
        self._stop.set()

    @contextlib.contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        if self._busy_with:
            raise refused(f"{self._busy_with} is being done; ask again when it is over")
        self._busy_with = what
        try:
            yield
        finally:
            self._busy_with = ""
