"""The service with nothing measured: no metric moves, no line is written, no trace begins. For comparison only."""

import sys

import app.asgi
from app.__main__ import main
from app.telemetry.catalogue import LogEvent
from app.telemetry.observer import Observer
from app.telemetry.recorder import Recorder


class Silent(Recorder):
    """Every call of the observer ends at once; only the start is still told, for the benchmark waits for it."""

    def log(self, event: LogEvent, **fields: object) -> None:
        """Only the start."""
        if event.name == "app.started":
            super().log(event, **fields)


for name in dir(Observer):
    if not name.startswith("__") and callable(getattr(Observer, name)):
        setattr(Silent, name, getattr(Observer, name))


if __name__ == "__main__":
    vars(app.asgi)["Recorder"] = Silent
    sys.exit(main())
