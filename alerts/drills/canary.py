"""Drills of the canary: a real one, which reaches the server through a proxy."""

import contextlib
from collections.abc import Generator, Iterator
from typing import Final

from alerts.drills.drill import Drill
from alerts.drills.stage import Stage
from alerts.model import Severity
from tools.harness.canary import Bird, canary
from tools.harness.proxy import TcpProxy


@contextlib.contextmanager
def _canary(stage: Stage, way: TcpProxy) -> Iterator[Bird]:
    """A canary that races by this way, scraped like the server."""
    with canary(f"http://127.0.0.1:{way.port}", "--every-s", "0.5", "--timeout-s", "1") as bird:
        stage.stack.target(stage.server.host, canary=bird.host)
        yield bird


def _way_cut(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(scraped=False), TcpProxy(int(stage.server.settings["PORT"])) as way, _canary(stage, way):
        yield
        way.partition()
        yield
        way.heal()
        yield


def _canary_killed(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(scraped=False), TcpProxy(int(stage.server.settings["PORT"])) as way:
        with _canary(stage, way) as bird:
            yield
            bird.process.kill()
            yield
        with _canary(stage, way):
            yield


def _canary_gone(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(scraped=False), TcpProxy(int(stage.server.settings["PORT"])) as way, _canary(stage, way) as bird:
        stage.seen(f'up{{job="code-racer-canary"}} offset {stage.stack.scaled("1h", "code-racer-canary")}', 120)
        yield
        stage.scrape()
        yield
        stage.stack.target(stage.server.host, canary=bird.host)
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
    Drill("CodeRacerCanaryDown", Severity.WARNING, "take the canary's target away", _canary_gone, None, None),
)
