"""What this process uses and may use, as the system tells it: memory and open files."""

import os
import resource
from pathlib import Path
from typing import Final

_CONTAINER_LIMITS: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_CONTAINER_SHARE: Final = 0.85
_NO_LIMIT: Final = 2**50
_STATM: Final = Path("/proc/self/statm")
_FDS: Final = Path("/proc/self/fd")


def memory_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell (it is read from /proc)."""
    try:
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def open_files() -> tuple[int, int]:
    """Open file descriptors of this process and how many it may have; 0 where the system does not tell."""
    try:
        # Linux 6.2 and later tell the number as the folder's size; counting would cost a step per connection
        count = _FDS.stat().st_size or sum(1 for _ in _FDS.iterdir())
    except OSError:
        count = 0
    return count, resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def container_limit_bytes() -> int:
    """85 % of what the container may use (cgroup v2 or v1); 0 where there is no limit."""
    for path in _CONTAINER_LIMITS:
        try:
            text = path.read_text("ascii").strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < _NO_LIMIT:
            return int(int(text) * _CONTAINER_SHARE)
    return 0
