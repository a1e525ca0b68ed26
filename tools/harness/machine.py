"""The machine as a second fault: how long it kept what a drill or a test runs waiting for a processor.

The kernel counts for every thread the time in which it was ready to run and did not (`/proc/PID/schedstat`). A stop
signal, a lock, a sleep or work of the service's own is none of it, so what a drill's fault makes late and what the
machine makes late are told apart. Where the kernel does not tell, nothing was withheld.
"""

import contextlib
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

EVERY_S: Final = 0.05
LOOK_FOR_PROCESSES_EVERY: Final = 10
SLOWEST: Final = 8
_SPARE: Final = 3
_PROBE_S: Final = 0.1
_PROC: Final = Path("/proc")


class Withheld:
    """Keeps how much had been withheld by when, in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._at: list[float] = []
        self._total_s: list[float] = []

    def add(self, at: float, total_s: float) -> None:
        """Take a reading."""
        self._at.append(at)
        self._total_s.append(total_s)

    def longest_s(self, within_s: float, since: float = 0.0, until: float = float("inf")) -> float:
        """Return the most that was withheld in any stretch of so many seconds, never less than it was."""
        at, total_s = self._at, self._total_s
        first, last = max(0, bisect_left(at, since) - 1), min(len(at) - 1, bisect_left(at, until))
        most = 0.0
        for begin in range(first, last):
            end = min(last, bisect_left(at, at[begin + 1] + within_s))  # it may have begun just before the next reading
            most = max(most, total_s[end] - total_s[begin])
        return most

    def leaves_too_long(self, took_s: float, most_s: float) -> bool:
        """Tell whether something took too long, also without what the machine may have kept it waiting meanwhile."""
        return took_s > most_s and took_s - self.longest_s(took_s) > most_s

    def given_back(
        self, limit_s: float, bounds: Iterable[float], since: float = 0.0, until: float = float("inf")
    ) -> float:
        """Return the bound from which on something took longer than it may, whatever was withheld from it.

        That is the limit itself while less than half of it was withheld at a time, and infinity where no bound does.
        """
        if self.longest_s(limit_s, since, until) < limit_s / 2:
            return limit_s
        for bound in bounds:
            if bound > limit_s and bound - self.longest_s(bound, since, until) >= limit_s:
                return bound
        return float("inf")


class Witness:
    """Reads in a thread of its own what is withheld from the processes that run in a folder, or of files in it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.withheld = Withheld()
        self._folder = str(folder)
        self._clock = clock
        self._seen: dict[Path, int] = {}
        self._total_ns = 0

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Look on during the block."""
        stop = threading.Event()
        thread = threading.Thread(target=self._look, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _look(self, stop: threading.Event) -> None:
        looks = 0
        processes: list[Path] = []
        while not stop.wait(EVERY_S):
            if looks % LOOK_FOR_PROCESSES_EVERY == 0:
                processes = [one for one in _PROC.glob("[0-9]*") if self._is_ours(one)]
            looks += 1
            self._read(processes)

    def _is_ours(self, process: Path) -> bool:
        with contextlib.suppress(OSError):
            return (
                str((process / "cwd").readlink()).startswith(self._folder)
                or self._folder.encode() in (process / "cmdline").read_bytes()
            )
        return False

    def _read(self, processes: Iterable[Path]) -> None:
        now = self._clock()
        for process in processes:
            for thread in _threads(process):
                waited_ns = read_waited_ns(thread)
                self._total_ns += max(0, waited_ns - self._seen.get(thread, 0))
                self._seen[thread] = max(waited_ns, self._seen.get(thread, 0))
        self.withheld.add(now, self._total_ns / 1e9)


def _threads(process: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return list((process / "task").iterdir())
    return []


def read_waited_ns(thread: Path) -> int:
    """Read how long a thread or process (a folder of /proc) was ready and got no processor; 0 where none is told."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((thread / "schedstat").read_text().split()[1])
    return 0


def pace() -> int:
    """Measure how much slower than on a free machine this thread gets on: 1, 2, 4 … `SLOWEST` times."""
    me = _PROC / "thread-self"
    waited_ns, ran_ns = -read_waited_ns(me), -time.thread_time_ns()
    began = time.monotonic()
    while time.monotonic() - began < _PROBE_S:
        pass
    ran_ns += time.thread_time_ns()
    waited_ns += read_waited_ns(me)
    return pace_of((ran_ns + waited_ns) / max(1, ran_ns))


def pace_of(slower: float) -> int:
    """Choose among the clocks that there are: what a drill runs needs a third of the time of a processor at most."""
    chosen = 1
    while chosen < SLOWEST and chosen * _SPARE < slower:
        chosen *= 2
    return chosen
