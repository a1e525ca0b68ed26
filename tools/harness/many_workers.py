"""`serve` with two workers, whatever the command line offers: `python -m tools.harness.many_workers serve`."""

import sys
import time

from app import signals
from app.cli import supervise
from app.settings import CannotStartError, load_settings

WORKERS = 2


def main() -> int:
    """Serve until told to stop."""
    began = time.monotonic()
    signals.block()
    try:
        return supervise(load_settings(), WORKERS, began=began)
    except CannotStartError as error:
        sys.stderr.write(f"code-racer: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
