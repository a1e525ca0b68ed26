"""The service on a machine whose clock is set while it runs: by as many seconds as stand in the file ``set-clock``."""

import sys
import time
from pathlib import Path

SET_BY = Path("set-clock")
_true = time.time


def _set() -> float:
    return _true() + (float(SET_BY.read_text()) if SET_BY.exists() else 0.0)


if __name__ == "__main__":
    time.time = _set
    from app.__main__ import main

    sys.exit(main())
