"""A statistical profile: where all threads are, looked at again and again by a thread of its own.

How it works. The sampler sleeps for an interval, then asks for the frames of all threads. To run at all it needs the
interpreter's lock, which a busy thread gives away when it is asked to, after `sys.getswitchinterval()`: 5 ms. An event
loop's turns are shorter, and the lock would always be had between them, where the loop waits: nothing would ever be
seen of what it does. So while a profile is taken threads are asked at once. That takes a tenth of a millisecond all the
same, and shorter turns are seen more seldom than they are: how busy a thread is follows from the processor time that
the system tells of it, with what from the looks. What is inside a function of C is seen as the function of Python that
called it, and a moment late.

A thread waits if it is where it was at the last look, and has hardly used the processor since; or if it is an event
loop that waits for what comes, however much it has done since.
"""

import os
import sys
import threading
import time
from collections import Counter
from types import CodeType, FrameType
from typing import Final

from msgspec import Struct

from app.console.diagnostics.frames import MOST_DEEP, function_of

INTERVAL_S: Final = 0.01
SWITCH_INTERVAL_S: Final = 0.00001
MOST_STACKS: Final = 10_000
"""So many different ones are told apart; more are counted as one."""
_LOOP_WAITS: Final = frozenset(
    {
        ("runners.py", "Runner.run"), ("base_events.py", "BaseEventLoop.run_forever"),
        ("base_events.py", "BaseEventLoop._run_once"), ("selectors.py", "EpollSelector.select"),
    }
)  # fmt: skip
"""The innermost function of an event loop that waits, uvloop's or Python's own."""
_WAITS_BELOW: Final = 0.1
"""A thread that used less of the time since the last look has hardly used the processor."""
OTHERS: Final = "(others)"

_Stack = tuple[CodeType, ...]


class Profile(Struct, frozen=True):
    """What was seen: how often each stack (the thread's name first), in so many looks over `seconds`.

    `idle` counts the looks at each thread that waited, by its name; they are in no stack. `cpu_s` is the processor time
    of each thread meanwhile, as the system tells, and `sampler_cpu_s` that of the looking itself.
    """

    seconds: float
    looks: int
    stacks: dict[tuple[str, ...], int]
    idle: dict[str, int]
    cpu_s: dict[str, float]
    sampler_cpu_s: float

    def collapsed(self) -> str:
        """Return the stacks as lines that tools for flame graphs read: frames with semicolons, and a count."""
        return "".join(f"{';'.join(stack)} {count}\n" for stack, count in sorted(self.stacks.items()))


class ThreadClocks:
    """How much of the processor each thread has used, as the system tells: each file is opened once."""

    def __init__(self) -> None:
        self._files: dict[int, int] = {}

    def used_ns(self, ident: int) -> int:
        """Return the nanoseconds of a thread of Python's; 0 where that is not told."""
        try:
            if ident not in self._files:
                native_id = next(one.native_id for one in threading.enumerate() if one.ident == ident)
                self._files[ident] = os.open(f"/proc/self/task/{native_id}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
            return int(os.pread(self._files[ident], 64, 0).split()[0])
        except (OSError, StopIteration, IndexError):  # it has ended, or is none of Python's; or this is no Linux
            return 0

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            os.close(file)


class Sampler:
    """Takes one profile; `stop` ends it early, from any thread."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._seen: Counter[tuple[int, _Stack]] = Counter()
        self._idle: Counter[int] = Counter()
        self._last: dict[int, tuple[CodeType, int, int]] = {}
        self._first_ns: dict[int, int] = {}

    def stop(self) -> None:
        """End the profile: what was seen until now is all."""
        self._stop.set()

    def run(self, seconds: float) -> Profile:
        """Look for so long; to be called in a thread of its own."""
        began, cpu_began, looks = time.monotonic(), time.thread_time(), 0
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        clocks = ThreadClocks()
        try:
            while (now := time.monotonic()) - began < seconds:
                next_look = began + (looks + 1) * self._interval_s
                if self._stop.wait(max(0.0, next_look - now)):
                    break
                self._look(clocks)
                looks += 1
        finally:
            sys.setswitchinterval(before)
            clocks.close()
        took_s = time.monotonic() - began
        cpu_s = time.thread_time() - cpu_began
        return Profile(took_s, looks, self._named(), self._named_idle(), self._named_cpu_s(), cpu_s)

    def _look(self, clocks: ThreadClocks) -> None:
        own = threading.get_ident()
        for ident, frame in sys._current_frames().items():  # noqa: SLF001 - documented, in spite of its name
            if ident == own:
                continue
            if self._waits(ident, frame, clocks):
                self._idle[ident] += 1
                continue
            key = ident, _codes(frame)
            if key not in self._seen and len(self._seen) >= MOST_STACKS:
                key = ident, ()
            self._seen[key] += 1

    def _waits(self, ident: int, frame: FrameType, clocks: ThreadClocks) -> bool:
        code, used_ns = frame.f_code, clocks.used_ns(ident)
        self._first_ns.setdefault(ident, used_ns)
        last, self._last[ident] = self._last.get(ident), (code, frame.f_lasti, used_ns)
        if (code.co_filename.rpartition("/")[2], code.co_qualname) in _LOOP_WAITS:
            return True
        if last is None or last[:2] != (code, frame.f_lasti):
            return False
        return used_ns > 0 and used_ns - last[2] < _WAITS_BELOW * self._interval_s * 1e9

    def _named(self) -> dict[tuple[str, ...], int]:
        names = _thread_names()
        stacks: Counter[tuple[str, ...]] = Counter()
        for (ident, codes), count in self._seen.items():
            functions = tuple(map(function_of, codes)) or (OTHERS,)
            stacks[names.get(ident, "a thread"), *functions] += count
        return dict(stacks)

    def _named_idle(self) -> dict[str, int]:
        names = _thread_names()
        idle: Counter[str] = Counter()
        for ident, count in self._idle.items():
            idle[names.get(ident, "a thread")] += count
        return dict(idle)

    def _named_cpu_s(self) -> dict[str, float]:
        names = _thread_names()
        used: Counter[str] = Counter()
        for ident, first_ns in self._first_ns.items():
            used[names.get(ident, "a thread")] += self._last[ident][2] - first_ns
        return {name: max(0, used_ns) / 1e9 for name, used_ns in used.items()}


def _codes(frame: FrameType | None) -> _Stack:
    """List the functions of a stack, the outermost first, at most so many of the innermost."""
    codes: list[CodeType] = []
    while frame is not None and len(codes) < MOST_DEEP:
        codes.append(frame.f_code)
        frame = frame.f_back
    return tuple(codes[::-1])


def _thread_names() -> dict[int | None, str]:
    return {thread.ident: thread.name.replace(";", ":") for thread in threading.enumerate()}
