"""Drills of the canary: a real one, which reaches the server through a proxy."""

import contextlib
import subprocess
import sys
from collections.abc import Generator, Iterator
from typing import Final

from alerts.drills.drill import Drill
from alerts.drills.stage import Stage
from alerts.model import Severity
from tests.support.proxy import TcpProxy
from tests.support.server import ROOT, free_port

_RACES: Final = ("--every-s", "0.5", "--timeout-s", "1")


@contextlib.contextmanager
def _canary(stage: Stage, way: TcpProxy) -> Iterator["subprocess.Popen[bytes]"]:
    """A canary that races by this way, scraped like the server."""
    port = free_port()
    options = ("--url", f"http://127.0.0.1:{way.port}", "--port", str(port), *_RACES)
    with (stage.folder / "canary.log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "app", "canary", *options], cwd=ROOT, env={"LOG_FILE": ""}, stdout=log, stderr=log
        )
    stage.stack.target(stage.server.host, canary=f"127.0.0.1:{port}")
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def _way_cut(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(scraped=False), TcpProxy(int(stage.server.settings["PORT"])) as way, _canary(stage, way):
        yield
        way.partition()
        yield
        way.heal()
        yield


def _canary_killed(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(scraped=False), TcpProxy(int(stage.server.settings["PORT"])) as way:
        with _canary(stage, way) as process:
            yield
            process.kill()
            yield
        with _canary(stage, way):
            yield


DRILLS: Final = (
    Drill(
        "CodeRacerCanaryFailing",
        Severity.CRITICAL,
        "the way from players to a service that is well carries nothing",
        _way_cut,
        "Canary races that fail",
        None,
    ),
    Drill("CodeRacerCanaryDown", Severity.WARNING, "kill -9 the canary", _canary_killed, None, None),
)
