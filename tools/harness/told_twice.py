"""The service, told once more to end in its last moment: just before it says that it has stopped."""

import os
import signal
import sys
from typing import Any

from app.__main__ import main
from app.telemetry.catalogue import Events
from app.telemetry.recorder import Recorder
from app.telemetry.recorder.recording import Recording

_log = Recorder.log


def _told_again(self: Recording, event: Any, **fields: Any) -> None:
    if event is Events.APP_STOPPED:
        os.kill(os.getpid(), signal.SIGTERM)
    _log(self, event, **fields)


if __name__ == "__main__":
    Recorder.log = _told_again  # type: ignore[method-assign] # see above
    sys.exit(main())
