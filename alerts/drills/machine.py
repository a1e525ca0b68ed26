"""Drills of what a replica has of its machine: processor, clock, descriptors; and of builds side by side."""

import contextlib
import itertools
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from http import HTTPStatus
from typing import Final

from alerts.drills.drill import Drill
from alerts.drills.replicas import on_nats, second_replica
from alerts.drills.stage import Stage
from alerts.model import Severity
from tools.harness import small_disk
from tools.harness.processes import freeze
from tools.harness.server import UNLIMITED, ServerProcess

_PAGE, _TICKET = Severity.CRITICAL, Severity.WARNING
_STOPPED_S: Final = 6.5
"""Over the five seconds of the rule, which no clock of a drill makes shorter."""
_NOT_DOWN: Final = 5.0
"""On so slow a clock it is not down for a minute meanwhile."""
_NEIGHBOURS: Final = 4
_SET_BY_S: Final = {"a little": 5.0, "much": 45.0}
_HALF: Final = 490
"""Thousandths of the disk that are left when it begins to fill, at five a second."""
_DESCRIPTORS: Final = 110
_MORE_PER_S: Final = 4
_RESERVED: Final = 40


def _two_builds(stage: Stage) -> Generator[None, None, None]:
    with on_nats(stage, revision="new") as nats:
        yield
        with second_replica(stage, event_log_url=nats.url, revision="old"):
            yield
        stage.stack.target(stage.server.host)
        yield


def _stopped_for_a_while(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(players=0) as server:
        yield
        freeze(server.pid)
        threading.Event().wait(_STOPPED_S)  # the fault itself
        os.kill(server.pid, signal.SIGCONT)
        yield
        yield


@contextlib.contextmanager
def _beside(server: ServerProcess, count: int) -> Iterator[None]:
    """So many who want the one processor that the server may use."""
    processor = {min(os.sched_getaffinity(0))}
    os.sched_setaffinity(server.pid, processor)
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            one = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(one.kill)
            os.sched_setaffinity(one.pid, processor)
        yield


def _neighbours(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(**UNLIMITED) as server:
        game = stage.new_game()
        with stage.player(game, "ann") as ann:
            ann.until("player_joined")
            with stage.again(lambda: stage.toggle(ann, 20)):
                yield
                with _beside(server, _NEIGHBOURS):
                    yield
            yield


def _clock_set(stage: Stage, seconds: float) -> Generator[None, None, None]:
    with stage.serve("tools.harness.set_clock", players=0) as server:
        yield
        (server.folder / "set-clock").write_text(str(seconds))
        yield
        (server.folder / "set-clock").unlink()
        yield


def _clock_set_a_little(stage: Stage) -> Generator[None, None, None]:
    yield from _clock_set(stage, _SET_BY_S["a little"])


def _clock_set_by_much(stage: Stage) -> Generator[None, None, None]:
    yield from _clock_set(stage, _SET_BY_S["much"])


def _descriptors_run_out(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(players=0, reserved_descriptors=2) as server, contextlib.ExitStack() as stack:
        before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (server.open_files() + _DESCRIPTORS, before[1]))
        game, number = stage.new_game(), iter(range(_DESCRIPTORS - 10))
        yield

        def one_more() -> None:
            if (name := next(number, None)) is not None:
                stack.enter_context(stage.deaf(game, f"held-{name}"))

        with stage.again(one_more, per_s=_MORE_PER_S / stage.stack.pace):
            yield
        stack.close()
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
        yield


def _descriptors_taken(stage: Stage) -> Generator[None, None, None]:
    """No more of them are needed than before, but who comes now finds none that is not reserved."""
    with stage.serve(reserved_descriptors=_RESERVED) as server:
        yield
        before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (server.open_files() + _RESERVED, before[1]))
        with stage.again(lambda: stage.knock(status=HTTPStatus.SERVICE_UNAVAILABLE), per_s=2 / stage.stack.pace):
            yield
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
        yield


def _disk_full(stage: Stage) -> Generator[None, None, None]:
    with stage.serve("tools.harness.small_disk", players=0):
        yield
        small_disk.fill(stage.server, 0.02)
        yield
        small_disk.fill(stage.server, 0.9)
        yield


def _disk_fills(stage: Stage) -> Generator[None, None, None]:
    with stage.serve("tools.harness.small_disk", players=0):
        yield
        left = itertools.count(_HALF, -1)
        with stage.again(
            lambda: small_disk.fill(stage.server, max(next(left), 50) / 1_000), per_s=5 / stage.stack.pace
        ):
            yield
        small_disk.fill(stage.server, 0.9)
        yield


def _log_writer_dies(stage: Stage) -> Generator[None, None, None]:
    with stage.serve("tools.harness.dying_log", players=0):
        yield
        stage.new_game()
        yield
        yield


def _native_alone(stage: Stage) -> Generator[None, None, None]:
    """Somebody sets METRICS_NATIVE_HISTOGRAMS before Prometheus keeps the classic ones beside them."""
    with stage.serve() as server:
        yield
        for native in ("true", "false"):
            server.kill()
            server.settings["METRICS_NATIVE_HISTOGRAMS"] = native
            server.start()
            yield


DRILLS: Final = (
    Drill(
        "CodeRacerHistogramsMissing",
        _TICKET,
        "native histograms, with a Prometheus that keeps no classic ones beside them",
        _native_alone,
        "Replicas without classic histograms",
        "app.started",
        pages=frozenset({"CodeRacerDown"}),  # where a start takes longer than three seconds
        takes_native=True,
    ),
    Drill(
        "CodeRacerVersionSkew", _TICKET, "a second replica of another build", _two_builds, "Builds side by side", None
    ),
    Drill(
        "CodeRacerPaused",
        _TICKET,
        "SIGSTOP the server for six seconds and a half",
        _stopped_for_a_while,
        "Stood still",
        None,
        factors={"code-racer-availability": _NOT_DOWN},
    ),
    Drill(
        "CodeRacerProcessorWithheld",
        _TICKET,
        "four others want its one processor",
        _neighbours,
        "Kept from a processor",
        None,
    ),
    Drill(
        "CodeRacerClockSet",
        _TICKET,
        "the machine's clock is set by five seconds",
        _clock_set_a_little,
        "Clock set by",
        None,
    ),
    Drill(
        "CodeRacerClockSkew",
        _PAGE,
        "the machine's clock is set by three quarters of a minute",
        _clock_set_by_much,
        "Clock set by",
        None,
    ),
    Drill(
        "CodeRacerDiskFilling",
        _PAGE,
        "two in a hundred of the disk are left",
        _disk_full,
        "Left on the event log's disk",
        None,
    ),
    Drill(
        "CodeRacerDiskFilling",
        _TICKET,
        "the disk fills, half a hundredth a second",
        _disk_fills,
        None,
        None,
    ),
    Drill(
        "CodeRacerFdsNearLimit",
        _PAGE,
        "four more connections a second under a low RLIMIT_NOFILE",
        _descriptors_run_out,
        "File descriptors",
        "ws.opened",
    ),
    Drill(
        "CodeRacerFdsNearLimit",
        _PAGE,
        "a low RLIMIT_NOFILE is reached, and who comes is turned away",
        _descriptors_taken,
        None,
        "http.rejected",
        {"reason": "no_descriptors"},
    ),
    Drill(
        "CodeRacerLogWriterDied",
        _TICKET,
        "a line that the log's writer dies of",
        _log_writer_dies,
        "Lines lost",
        "app.fault",
        {"where": "log writer"},
    ),
)
