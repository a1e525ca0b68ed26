"""The service on a machine whose clock is some seconds slow."""

import sys
import time

SLOW_S = 5.0
_true = time.time


def _slow() -> float:
    return _true() - SLOW_S


if __name__ == "__main__":
    time.time = _slow
    from app.__main__ import main

    sys.exit(main())
