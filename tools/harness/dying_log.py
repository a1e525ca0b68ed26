"""The service with a log writer that dies of each line of a game that is made."""

import sys
from typing import Any

from app.__main__ import main
from app.telemetry import logs

_encode = logs._encode


def _die(record: dict[str, Any]) -> bytes:
    if record["event"] == "game.created":
        raise SystemExit("not even an Exception")
    return _encode(record)


if __name__ == "__main__":
    logs._encode = _die  # the fault
    sys.exit(main())
