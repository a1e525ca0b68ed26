"""The program: ``python -m app``, also installed as ``code-racer``. Its commands are in `app.cli`."""

import time

_BEGAN = time.monotonic()

import sys  # noqa: E402 - the start-up time is measured from the first line
from collections.abc import Sequence  # noqa: E402 - the same

from app import signals  # noqa: E402 - the same


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. Signals wait from here on until somebody can answer them."""
    signals.hold()
    from app import cli  # noqa: PLC0415 - it takes far longer than all that is before it

    return cli.run(arguments, began=_BEGAN)


if __name__ == "__main__":
    sys.exit(main())
