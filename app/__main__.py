"""The program: ``python -m app``, also installed as ``code-racer``. Its commands are in `app.cli`."""

import time

_BEGAN = time.monotonic()

import os  # noqa: E402 - the start-up time is measured from the first line
import sys  # noqa: E402 - the same
from collections.abc import Sequence  # noqa: E402 - the same

from app import first_process, signals  # noqa: E402 - the same


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. Signals wait from here on until somebody can answer them."""
    signals.block()
    if os.getpid() == 1:
        first_process.stand_by()
    try:
        from app import cli  # noqa: PLC0415 - it takes far longer than all that is before it

        return cli.run(arguments, began=_BEGAN)
    except ImportError as error:
        if (error.name or "app").partition(".")[0] == "app":
            raise
        print(  # noqa: T201 - for whoever typed the command, with another Python than the one that it was set up for
            f"code-racer: {sys.executable} (Python {sys.version.split()[0]}) cannot use a package: {error}; set up with"
            " `make run`, or install the wheel, and start .venv/bin/code-racer",
            file=sys.stderr,
        )
        return 2


if __name__ == "__main__":
    sys.exit(main())
