"""Drills of the workers of one machine: a real supervisor with two of them, each scraped as a replica."""

import contextlib
import os
import signal
from collections.abc import Generator, Iterator
from typing import Any, Final

from alerts.config import CONFIG
from alerts.drills.drill import Drill
from alerts.drills.stage import Stage
from alerts.model import TARGETS, Severity
from tools.harness.processes import freeze
from tools.harness.server import START_TIMEOUT_S, ServerProcess, free_port, until

_TICKET: Final = Severity.WARNING
_TIMES: Final = 3
_PANEL: Final = "Workers started again"
_SUPERVISOR: Final = f'{{job="{CONFIG["jobs"]["supervisor"]}"}}'
_STARTS: Final = frozenset({"CodeRacerDown"})
"""Pages where a start takes longer than three seconds."""


@contextlib.contextmanager
def _two(stage: Stage, **settings: Any) -> Iterator[ServerProcess]:  # noqa: ANN401 - whatever a setting is
    ops_port = free_port(1, 2)
    with stage.serve(scraped=False, workers=2, ops_port=ops_port, **settings) as server:
        server.wait_for_log("supervisor.started", timeout_s=START_TIMEOUT_S)
        _scrape(stage)
        stage.seen('count(up == 1) == 3 and on () code_racer_workers{state="ready"} == 2')
        yield server


def _scrape(stage: Stage, *, supervisor: bool = True) -> None:
    """Have both workers scraped, and their supervisor or not."""
    first = int(stage.server.settings["OPS_PORT"])
    of_supervisor, *workers = (f"127.0.0.1:{first + number}" for number in range(3))
    stage.stack.target(*workers, supervisor=of_supervisor if supervisor else "")


def _process_of(server: ServerProcess, number: int) -> int:
    """Return the process of the worker with this number."""
    return int(server.logged("worker.started", worker=number)[-1]["pid"])


def _killed_again_and_again(stage: Stage) -> Generator[None, None, None]:
    with _two(stage) as server:
        yield
        for count in range(1, _TIMES + 1):
            pid = _process_of(server, 1)
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: _process_of(server, 1) != pid, START_TIMEOUT_S)
            stage.seen(f'code_racer_worker_restarts_total{{reason="died"}} == {count}')
        yield
        yield


def _stopped(stage: Stage) -> Generator[None, None, None]:
    """The next one is stopped before it serves, and its supervisor has much patience."""
    with _two(stage, worker_timeout_s=600) as server:
        yield
        pid = _process_of(server, 2)
        os.kill(pid, signal.SIGKILL)
        until(lambda: _process_of(server, 2) != pid, START_TIMEOUT_S)
        freeze(starting := _process_of(server, 2))
        yield
        os.kill(starting, signal.SIGCONT)
        yield


def _asked_again_and_again(stage: Stage) -> Generator[None, None, None]:
    with _two(stage) as server:
        yield
        for count in range(1, _TIMES + 1):
            os.kill(server.pid, signal.SIGHUP)
            stage.seen(f'code_racer_worker_restarts_total{{reason="asked"}} == {2 * count}', START_TIMEOUT_S)
            stage.seen('code_racer_workers{state="ready"} == 2', START_TIMEOUT_S)
        yield
        yield


def _supervisor_stopped(stage: Stage) -> Generator[None, None, None]:
    with _two(stage) as server:
        yield
        freeze(server.pid)
        yield
        os.kill(server.pid, signal.SIGCONT)
        yield


def _supervisor_gone(stage: Stage) -> Generator[None, None, None]:
    with _two(stage):
        stage.seen(f"{TARGETS}{_SUPERVISOR}")
        yield
        _scrape(stage, supervisor=False)
        yield
        _scrape(stage)
        yield


DRILLS: Final = (
    Drill(
        "CodeRacerWorkerRestarting",
        _TICKET,
        "kill -9 one worker of two, three times",
        _killed_again_and_again,
        _PANEL,
        "worker.died",
        {"worker": 1},
        pages=_STARTS,
        stays_bad=True,
    ),
    Drill(
        "CodeRacerWorkerRestarting",
        _TICKET,
        "SIGSTOP a worker of two while it starts",
        _stopped,
        "Workers that do not serve",
        "worker.died",
        {"worker": 2},
        pages=_STARTS,
    ),
    Drill(
        "CodeRacerWorkerRestarting",
        _TICKET,
        "the look-alike: SIGHUP, three times, by which both workers are started again in turn",
        _asked_again_and_again,
        None,
        "worker.stopped",
        pages=_STARTS,
        is_look_alike=True,
    ),
    Drill(
        "CodeRacerSupervisorDown",
        _TICKET,
        "SIGSTOP the supervisor of two workers",
        _supervisor_stopped,
        "Supervisors scraped",
        None,
    ),
    Drill(
        "CodeRacerSupervisorDown",
        _TICKET,
        "take the supervisor's target away, its workers' stay",
        _supervisor_gone,
        None,
        None,
    ),
)
