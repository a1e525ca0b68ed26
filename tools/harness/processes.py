"""What the kernel tells of processes that are not ours to wait for: /proc, where any may be gone at any moment."""

import contextlib
from pathlib import Path


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


def cpu_ticks(pid: int) -> int:
    """Return the processor time that a process has used."""
    fields = _fields(pid)
    return int(fields[11]) + int(fields[12])


def _fields(pid: int) -> list[str]:
    """Return the fields behind its name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
