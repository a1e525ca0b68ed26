"""Whether the event log takes anything at all.

Whoever asks the log for something notes here how that went, and the log itself reports what happens to it. While
the log is lost `watch` writes something small to it again and again, until it takes that.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final

from app.eventlog import EventLog, LogListener, LogUnavailable
from app.telemetry.observer import Observer
from app.vocabulary import LogTrouble

PROBE_INTERVAL_S: Final = 1.0


class LogHealth(LogListener):
    """Follows the event log: `reachable` is whether it took the last thing, `lost_at` when it last stopped doing so.

    A shared log is reached once: nobody is let in before.
    """

    def __init__(self, log: EventLog, observer: Observer) -> None:
        self.reachable = not log.shared  # a shared one has to be reached first
        self.lost_at = time.monotonic()
        self._log = log
        self._observer = observer
        self._report = observer.fault
        self._reached = asyncio.Event()
        self._probe_due = asyncio.Event()
        self._appending = _Appending(self.note)

    @property
    def is_reached(self) -> bool:
        """Return whether the log has been reached, once."""
        return self._reached.is_set()

    async def wait_reached(self) -> None:
        """Wait until the log has been reached."""
        await self._reached.wait()

    def reach(self) -> None:
        """Note that the log is there for the first time: nothing was lost that could be restored."""
        self.reachable = True
        self._reached.set()

    async def watch(self, restored: Callable[[], Awaitable[None]]) -> None:
        """Watch for ever: write something small to a lost log until it takes that; then call `restored`."""
        while True:
            await self._probe_due.wait()
            try:
                await self._log.probe()
                self.note(None)
                self._probe_due.clear()
                await restored()
            except LogUnavailable as error:
                self.lose(str(error))
                await asyncio.sleep(PROBE_INTERVAL_S)
            except Exception as error:  # noqa: BLE001 - whoever gave up here would never find the log again
                self._report("event log", error)
                self._probe_due.set()  # what was missed is still to be read
                await asyncio.sleep(PROBE_INTERVAL_S)

    def lose(self, fault: str) -> None:
        """Note that the log is away, or that what followed from its return could not be done."""
        self.note(fault)
        self._probe_due.set()

    def note(self, fault: str | None) -> None:
        """Note how the last thing that was asked of the log went; None where it went well."""
        reachable = fault is None
        if reachable is self.reachable:
            return
        self.reachable = reachable
        if not reachable:
            self.lost_at = time.monotonic()
            self._probe_due.set()
        self._observer.event_log(reachable, fault or "")

    def note_failure(self, where: str, error: LogUnavailable) -> None:
        """Note that background work was refused by the log: where the log is away, that is reported as such, once."""
        if error.is_away:
            self.lose(str(error))
        else:
            self._report(where, error)

    def appending(self) -> "_Appending":
        """Note how an append goes that is made within the block: whether the log took it shows how it is."""
        return self._appending

    def note_gap(self) -> None:
        """Note that a game's commits were missed, or are late: they are read again."""
        self._observer.log_gap()

    def _probe(self) -> None:
        """Have a probe find out whether the log is away, or has been: then what was missed is read."""
        if self.is_reached:
            self._probe_due.set()

    # ---------------------------------------------------------------- what the log reports

    def on_trouble(self, trouble: LogTrouble, detail: str) -> None:  # noqa: ARG002 - the interface's
        """Have a probe find out whether a log that seems unreachable is."""
        if trouble is LogTrouble.UNREACHABLE:
            self._probe()

    def on_restored(self) -> None:
        """Have a probe find out whether the log is back."""
        self._probe()


class _Appending:
    """A block in which something is appended; it may be entered many times over."""

    __slots__ = ("_note",)

    def __init__(self, note: Callable[[str | None], None]) -> None:
        self._note = note

    def __enter__(self) -> None:
        """Do nothing: there is nothing to prepare."""

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self._note(None)
        elif isinstance(error, LogUnavailable) and error.trouble is not LogTrouble.BUSY:  # else it has enough to do
            self._note(str(error))
