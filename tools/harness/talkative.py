"""The service with a planted fault: a release that tells of each connection twenty times."""

import sys

from app.__main__ import main
from app.telemetry.observer import Opened
from app.telemetry.recorder.connections import ConnectionsRecorder

TIMES = 20
_opened = ConnectionsRecorder.opened


def _opened_again_and_again(self: ConnectionsRecorder, opened: Opened) -> None:
    for _ in range(TIMES):
        _opened(self, opened)


if __name__ == "__main__":
    ConnectionsRecorder.opened = _opened_again_and_again  # type: ignore[method-assign] # the fault
    sys.exit(main())
