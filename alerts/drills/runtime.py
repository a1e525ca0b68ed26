"""Drills of the process: its event loop, memory, files, logs, traces, series, faults."""

import itertools
import os
import resource
import signal
import threading
from collections.abc import Generator
from typing import Any, Final

from alerts.drills.drill import Drill
from alerts.drills.stage import Stage
from alerts.model import Severity
from tools.harness.collector import Collector
from tools.harness.processes import freeze
from tools.harness.server import STEP_TIMEOUT_S

_TICKET: Final = Severity.WARNING
_STOPPED_S: Final = 0.25
_INFINITE: Final = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def _late_and_overloaded(stage: Stage) -> Generator[None, None, None]:
    yield from _stopped_in_turns(stage, overload_lag_s=0.1)


def _stopped_in_turns(stage: Stage, overload_lag_s: float = 10) -> Generator[None, None, None]:
    with stage.serve(overload_lag_s=overload_lag_s, overload_interval_s=0.1) as server:
        yield
        never = threading.Event()

        def stop_for_a_moment() -> None:
            freeze(server.pid)
            never.wait(_STOPPED_S)
            os.kill(server.pid, signal.SIGCONT)

        with stage.again(
            stop_for_a_moment, per_s=40 / stage.stack.pace
        ):  # between, it gets on as slowly as the machine
            yield
        yield


def _one_fault(stage: Stage) -> Generator[None, None, None]:
    with stage.serve("tools.harness.faulty"), stage.player(stage.new_game(), "ann") as ann:
        ann.until("player_joined")
        yield
        ann.send("ready")
        ann.until("error")
        yield
        yield


_AN_HOUR_IN_48_S: Final = 75.0
"""As fast as the shortest range of the group's rules, 90 s, allows."""


def _leak(stage: Stage) -> Generator[None, None, None]:
    with stage.serve("tools.harness.leaky", memory_limit_bytes=350_000_000) as server:
        an_hour = stage.stack.scaled("1h", "code-racer-runtime")
        stage.seen(f"code_racer_memory_bytes offset {an_hour}", 3_600 / _AN_HOUR_IN_48_S + STEP_TIMEOUT_S)
        yield
        (server.folder / "leak").touch()
        yield
        (server.folder / "leak").unlink()
        server.stop()
        server.start()
        yield


def _leak_while_more_come(stage: Stage) -> Generator[None, None, None]:
    with stage.serve("tools.harness.leaky", overload_interval_s=0.25) as server:
        an_hour = stage.stack.scaled("1h", "code-racer-runtime")
        stage.seen(f"code_racer_memory_bytes offset {an_hour}", 3_600 / _AN_HOUR_IN_48_S + STEP_TIMEOUT_S)
        yield
        stage.hold(4)
        (server.folder / "leak").touch()
        yield
        (server.folder / "leak").unlink()
        stage.let_go()
        server.stop()
        server.start()
        yield


def _few_descriptors(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(reserved_descriptors=2) as server:
        yield
        limit = server.open_files() + 45
        before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
        stage.hold(40)
        yield
        stage.let_go()
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
        yield


def _log_file_may_not_grow(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(log_file="app.log", event_log_url="memory:") as server:
        yield
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        with stage.again(lambda: stage.knock("Authorization: Bearer nonsense"), per_s=5):
            yield
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, _INFINITE)
        yield


def _traced(collector: Collector) -> dict[str, Any]:
    return {**collector.settings, "otel_traces_sampler": "always_on"}


def _collector_refuses(stage: Stage) -> Generator[None, None, None]:
    with Collector() as collector, stage.serve(**_traced(collector)):
        yield
        collector.fails = True
        yield
        collector.fails = False
        yield


def _few_series(stage: Stage) -> Generator[None, None, None]:
    with stage.serve() as server:
        yield
        server.settings["MAX_METRIC_SERIES"] = str(round(server.metric("metric_series") / 0.95))
        server.stop()
        server.start()
        yield
        del server.settings["MAX_METRIC_SERIES"]
        server.stop()
        server.start()
        yield


def _talkative_release(stage: Stage) -> Generator[None, None, None]:
    with stage.serve("tools.harness.talkative") as server:
        yield
        numbers = itertools.count()

        def come_and_go() -> None:
            stage.come_and_go(f"p{next(numbers) % 20}")

        with stage.again(come_and_go, per_s=8):
            yield
        server.module = "app"
        server.stop()
        server.start()
        yield


def _many_releases(stage: Stage) -> Generator[None, None, None]:
    with stage.serve() as server:
        yield
        server.settings["CLIENT_RELEASES"] = ",".join(f"race-web/1.{number}" for number in range(200))
        server.stop()
        server.start()
        yield
        del server.settings["CLIENT_RELEASES"]
        server.stop()
        server.start()
        yield


DRILLS: Final = (
    Drill(
        "CodeRacerEventLoopLag",
        _TICKET,
        "SIGSTOP the server for 0.25 s again and again",
        _stopped_in_turns,
        "Event loop lag",
        None,
    ),
    Drill(
        "CodeRacerOverloaded",
        _TICKET,
        "the same, over OVERLOAD_LAG_S",
        _late_and_overloaded,
        "Refuses new connections",
        "app.overloaded",
    ),
    Drill("CodeRacerFaults", _TICKET, "a message that raises", _one_fault, "Faults", "app.fault"),
    Drill(
        "CodeRacerMemoryGrowth",
        _TICKET,
        "a release that leaks 32 MiB a second",
        _leak,
        "Memory since an hour ago",
        "app.overloaded",
        factors={"code-racer-runtime": _AN_HOUR_IN_48_S},
    ),
    Drill(
        "CodeRacerMemoryGrowth",
        _TICKET,
        "the same release, while twice as many clients connect",
        _leak_while_more_come,
        "Memory since an hour ago",
        "ws.opened",
        factors={"code-racer-runtime": _AN_HOUR_IN_48_S},
    ),
    Drill(
        "CodeRacerFdsNearLimit",
        _TICKET,
        "40 connections under a low RLIMIT_NOFILE",
        _few_descriptors,
        "File descriptors",
        "ws.opened",
    ),
    Drill(
        "CodeRacerLogsDropped",
        _TICKET,
        "the log file may not grow (RLIMIT_FSIZE)",
        _log_file_may_not_grow,
        "Lines lost",
        "ws.refused",
    ),
    Drill(
        "CodeRacerTracesLost",
        _TICKET,
        "the collector refuses",
        _collector_refuses,
        "Spans by what became of them",
        "traces.lost",
    ),
    Drill(
        "CodeRacerSeriesNearLimit",
        _TICKET,
        "a start with MAX_METRIC_SERIES near what there is",
        _few_series,
        "Series as a part of their limit",
        "app.started",
    ),
    Drill(
        "CodeRacerLogBudget",
        _TICKET,
        "a release that tells of each connection twenty times",
        _talkative_release,
        "Log for each connection",
        "ws.opened",
    ),
    Drill(
        "CodeRacerSeriesBudget",
        _TICKET,
        "a start with two hundred releases of clients to count",
        _many_releases,
        "Series of a replica",
        "app.started",
    ),
)
