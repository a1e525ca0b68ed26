"""What the kernel tells of processes that are not ours to wait for: /proc, where any may be gone at any moment."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LOOK_EVERY_S: Final = 0.001


def children(pid: int) -> set[int]:
    """List the processes that one has started and that run."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            found += map(int, children.read_text().split())
    return {child for child in found if is_alive(child)}


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return _fields(pid)[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it was gone, or went while it was read
        return False


def freeze(pid: int) -> None:
    """Send SIGSTOP, and wait until each thread stands: one that runs at that moment goes on for a little while."""
    os.kill(pid, signal.SIGSTOP)
    while any(state not in "TtZX" for state in _states(pid)):
        time.sleep(LOOK_EVERY_S)


def _states(pid: int) -> Iterator[str]:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            yield _fields_of(thread / "stat")[0]


def cpu_ticks(pid: int) -> int:
    """Return the processor time that a process has used."""
    fields = _fields(pid)
    return int(fields[11]) + int(fields[12])


def _fields(pid: int) -> list[str]:
    return _fields_of(Path(f"/proc/{pid}/stat"))


def _fields_of(stat: Path) -> list[str]:
    """Return the fields behind its name, which may hold anything."""
    return stat.read_text().rpartition(")")[2].split()
