"""The service with two planted faults: a player's leaving is told 0.3 s late, and being ready raises."""

import sys

from app.__main__ import main
from app.eventlog.embedded import EmbeddedLog
from app.realtime.room.room import Room
from tools.harness.faulty import fail_ready
from tools.harness.late import publish_late

if __name__ == "__main__":
    EmbeddedLog.publish = publish_late  # type: ignore[method-assign] # the fault
    Room.act = fail_ready  # type: ignore[method-assign] # the fault
    sys.exit(main())
