"""The process: its threads, its garbage collector, its descriptors."""

import gc
import re
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Final

from msgspec import Struct

from app.console.diagnostics.frames import stack_of
from app.process import memory_bytes, most_open_files

_FDS: Final = Path("/proc/self/fd")
_KIND: Final = re.compile(r"^(?:anon_inode:)?\[?([a-z_]+)\]?(?::\[\d+\])?$")
MOST_FILES: Final = 50


class ThreadStack(Struct, frozen=True):
    """A thread and where it is, the outermost place first."""

    name: str
    is_daemon: bool
    stack: list[str]


class CollectorState(Struct, frozen=True):
    """The garbage collector; `generations` are the youngest's, the middle one's and the oldest's."""

    is_enabled: bool
    frozen: int
    thresholds: tuple[int, ...]
    counts: tuple[int, ...]
    generations: list[dict[str, int]]
    memory_bytes: int


class OpenDescriptors(Struct, frozen=True):
    """How many descriptors of which kind, and which files."""

    open: int
    most: int
    kinds: dict[str, int]
    files: list[str]


def dump_threads() -> list[ThreadStack]:
    """Look at all threads of Python's."""
    known = {thread.ident: thread for thread in threading.enumerate()}
    return [
        ThreadStack(
            known[ident].name if ident in known else f"thread {ident}",
            known[ident].daemon if ident in known else True,
            stack_of(frame),
        )
        for ident, frame in sys._current_frames().items()  # noqa: SLF001 - documented, in spite of its name
    ]


def collector_state() -> CollectorState:
    """Read what the collector tells without walking over anything."""
    return CollectorState(
        gc.isenabled(), gc.get_freeze_count(), gc.get_threshold(), gc.get_count(), gc.get_stats(), memory_bytes()
    )


def list_descriptors() -> OpenDescriptors:
    """Ask the system for each descriptor: some microseconds each, so not on the event loop."""
    kinds: Counter[str] = Counter()
    files: set[str] = set()
    for descriptor in _FDS.iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:  # closed meanwhile, as the one is that lists them
            continue
        kind = "file" if target.startswith("/") else _kind(target)
        kinds[kind] += 1
        if kind == "file" and len(files) < MOST_FILES:
            files.add(target)
    return OpenDescriptors(kinds.total(), most_open_files(), dict(kinds.most_common()), sorted(files))


def _kind(target: str) -> str:
    found = _KIND.match(target)
    return found[1] if found else "other"
