"""What this process uses and may use, as the system tells it: memory, open files, processor, disk."""

import math
import os
import resource
import time
from pathlib import Path
from typing import Final

_CONTAINER_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_CORE_LIMITS: Final = (
    (Path("/sys/fs/cgroup/cpu.max"),),
    (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")),
)
_CONTAINER_SHARE: Final = 0.85
_NO_LIMIT: Final = 2**50
_STATM: Final = Path("/proc/self/statm")
_STAT: Final = Path("/proc/self/stat")
_SCHEDSTAT: Final = Path("/proc/self/schedstat")
"""Of the first thread alone."""
_STARTED: Final = 19
"""The place of the start among the numbers behind the process's name; proc(5) counts from the front, and from 1: 22."""
_FDS: Final = Path("/proc/self/fd")
_CPU_STAT: Final = (Path("/sys/fs/cgroup/cpu.stat"), Path("/sys/fs/cgroup/cpu/cpu.stat"))
_THROTTLED_S: Final = {"throttled_usec": 1e-6, "throttled_time": 1e-9}
"""What cgroup v2 and v1 call it, and their units."""


def memory_bytes() -> int:
    """Return the resident memory of this process; 0 where the system does not tell (it is read from /proc)."""
    return _pages(1)


def virtual_memory_bytes() -> int:
    """Return the address space of this process; 0 where the system does not tell."""
    return _pages(0)


def _pages(column: int) -> int:
    try:
        return int(_STATM.read_bytes().split()[column]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def process_age_s() -> float:
    """Return for how many seconds this process has run; 0 where the system does not tell."""
    try:
        started_ticks = int(_STAT.read_bytes().rpartition(b")")[2].split()[_STARTED])
    except OSError:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK")


def open_files() -> tuple[int, int]:
    """Return the open file descriptors of this process and how many it may have; 0 where the system does not tell."""
    try:
        # Linux 6.2 and later tell the number as the folder's size; counting would cost a step per connection
        count = _FDS.stat().st_size or sum(1 for _ in _FDS.iterdir())
    except OSError:
        count = 0
    return count, most_open_files()


def most_open_files() -> int:
    """Return how many file descriptors this process may have (ulimit -n); -1 where there is no limit."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def usable_cores() -> int:
    """Return how many cores this process can keep busy: those of the machine or its cpuset, within its time limit.

    Of a limit of two and a half cores that is two: the third would be kept from running half of the time.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(cores, _core_limit())))


def _core_limit() -> float:
    """Return how much processor time a second the container may have (cgroup v2 or v1); infinite without a limit."""
    for paths in _CORE_LIMITS:
        try:
            quota_us, period_us = (word for path in paths for word in path.read_text("ascii").split())
        except (OSError, ValueError):
            continue
        return int(quota_us) / int(period_us) if quota_us.isdigit() and int(period_us) else math.inf
    return math.inf


def waited_for_processor_s() -> float:
    """Return how long the event loop's thread, the first, was ready while others ran; 0 where that is not told."""
    try:
        return int(_SCHEDSTAT.read_bytes().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def throttled_s() -> float:
    """Return how long the container was kept from running by its limit of processor time; 0 where it has none."""
    for path in _CPU_STAT:
        try:
            rows = [line.split() for line in path.read_text("ascii").splitlines()]
        except OSError:
            continue
        return sum(int(value) * _THROTTLED_S[name] for name, value in rows if name in _THROTTLED_S)
    return 0.0


def disk_bytes(path: Path | None) -> tuple[int, int]:
    """Return the bytes that are left for us on the disk of a file, and that it has; 0 where there is no such file."""
    try:
        disk = os.statvfs(path) if path is not None else None
    except OSError:
        disk = None
    return (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize) if disk is not None else (0, 0)


def container_limit_bytes() -> int:
    """Return 85 % of what the container may use (cgroup v2 or v1); 0 where there is no limit."""
    for path in _CONTAINER_LIMITS:
        try:
            text = path.read_text("ascii").strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < _NO_LIMIT:
            return int(int(text) * _CONTAINER_SHARE)
    return 0
