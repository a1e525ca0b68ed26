"""Drills of the games: the event log, deadlines, the judge."""

import contextlib
import os
import resource
import signal
import sqlite3
import threading
from collections.abc import Generator, Iterator
from typing import Final

from alerts.drills.drill import Drill
from alerts.drills.stage import Stage
from alerts.model import Severity
from tools.harness.player import WRONG, Player
from tools.harness.processes import children, freeze
from tools.harness.server import UNLIMITED, ServerProcess, until

_PAGE, _TICKET = Severity.CRITICAL, Severity.WARNING
_HELD_S: Final = 0.25
_RACERS: Final = 60


def _files_may_not_grow(stage: Stage) -> Generator[None, None, None]:
    with stage.serve() as server, stage.player(stage.new_game(), "ann") as ann:
        ann.until("player_joined")
        yield
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        with stage.again(lambda: ann.send("ready"), per_s=2):
            yield
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        yield


def _file_locked(stage: Stage) -> Generator[None, None, None]:
    with stage.serve() as server, contextlib.ExitStack() as stack:
        database = sqlite3.connect(
            server.folder / "var/code-racer.db", isolation_level=None, check_same_thread=False, timeout=30
        )
        stack.callback(database.close)
        yield
        free = threading.Event()

        def hold() -> None:
            database.execute("BEGIN IMMEDIATE")  # nobody else can write now
            free.wait(_HELD_S)
            database.execute("ROLLBACK")

        with stage.again(hold, per_s=50), contextlib.ExitStack() as makers:
            for _ in range(4):
                makers.enter_context(stage.again(stage.new_game))
            yield
        yield


def _deadlines_fail(stage: Stage) -> Generator[None, None, None]:
    with stage.serve() as server:
        yield
        server.kill()
        server.module = "tools.harness.stuck"
        server.start()
        game_id = stage.new_game(min_players=1)
        with stage.player(game_id, "ann") as ann:
            ann.until("player_joined")
            ann.send("ready")
            ann.until("countdown_started")
            yield
        server.kill()
        server.module = "app"
        server.start()
        yield


@contextlib.contextmanager
def race(stage: Stage, count: int, at: ServerProcess | None = None) -> Iterator[list[Player]]:
    """A race that has started, on the stage's server or another."""
    game_id = stage.new_game(at, min_players=count)
    with contextlib.ExitStack() as stack:
        racers = [stack.enter_context(stage.player(game_id, f"racer-{number}", at)) for number in range(count)]
        racers[-1].until("player_joined", player_id=f"racer-{count - 1}")
        for one in racers:
            one.send("ready")
        for one in racers:
            one.until("game_started")
        yield racers


def _endless_events(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(max_events_per_game=2_000, **UNLIMITED):
        game_id = stage.new_game()
        with stage.player(game_id, "ann") as ann:
            ann.until("player_joined")
            yield
            stage.toggle(ann, 850)
            yield
        yield


def _workers_killed(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(judge_retries=0, judge_time_limit_s=30) as server, race(stage, 2) as racers:
        yield

        def submit_and_kill() -> None:
            racers[0].send("submit_code", {"code": ENDLESS})
            until(lambda: children(server.pid))
            for pid in children(server.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

        with stage.again(submit_and_kill, per_s=2):
            yield
        yield


def _workers_frozen(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(scraped=False, judge_time_limit_s=60) as server, race(stage, _RACERS) as racers:
        racers[0].send("submit_code", {"code": WRONG})
        racers[0].until("submission_judged")
        stage.scrape()
        yield
        pids = children(server.pid)
        for pid in pids:
            freeze(pid)
        for one in racers:
            one.send("submit_code", {"code": WRONG}, id="submit")
            one.until("ack", id="submit")
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        yield


ENDLESS: Final = "def solve(numbers, limit):\n    while True:\n        pass\n"

DRILLS: Final = (
    Drill(
        "CodeRacerEventLogDown",
        _PAGE,
        "no file of the server may grow (RLIMIT_FSIZE), as on a full disk",
        _files_may_not_grow,
        "Takes appends",
        "event_log.lost",
    ),
    Drill(
        "CodeRacerEventLogSlow",
        _TICKET,
        "another process locks the file for 250 ms again and again",
        _file_locked,
        "Append",
        None,
    ),
    Drill(
        "CodeRacerGamesStuck",
        _PAGE,
        "a release whose deadlines raise",
        _deadlines_fail,
        "Most overdue game",
        "app.fault",
        {"where": "deadline"},
    ),
    Drill(
        "CodeRacerGameTooLarge",
        _TICKET,
        "a player who gets ready and not, 850 times, of 2,000 events that the game may have",
        _endless_events,
        "Largest game",
        "ws.closed",
    ),
    Drill(
        "CodeRacerJudgeFailing",
        _PAGE,
        "kill -9 the judge's workers under submissions",
        _workers_killed,
        "Submissions without a verdict",
        "app.fault",
        {"where": "judge"},
    ),
    Drill(
        "CodeRacerJudgeBacklogged",
        _TICKET,
        "SIGSTOP the judge's workers under sixty submissions",
        _workers_frozen,
        "Waiting for the judge",
        "submission.judged",
        pages=frozenset({"CodeRacerVerdictBudgetBurn"}),  # all sixty verdicts are late
    ),
)
