"""The service with a planted fault: while a file `leak` lies in its folder, it keeps eight MiB at each look."""

import sys
from pathlib import Path

from app.__main__ import main
from app.realtime.overload import LoadMonitor

STEP_BYTES = 8 * 1024 * 1024
_kept: list[bytes] = []
_look = LoadMonitor.look


def _look_and_leak(self: LoadMonitor, lag_s: float, memory: int) -> None:
    if Path("leak").exists():
        _kept.append(b"x" * STEP_BYTES)
    _look(self, lag_s, memory)


if __name__ == "__main__":
    LoadMonitor.look = _look_and_leak  # type: ignore[method-assign] # the fault
    sys.exit(main())
