"""Drills of the objectives: budgets that burn fast enough for a page, and only fast enough for a ticket."""

import contextlib
import itertools
import os
import signal
import socket
import threading
from collections.abc import Generator
from http import HTTPStatus
from typing import Final

from alerts.drills.drill import Drill
from alerts.drills.games import race
from alerts.drills.stage import NAMES, PLAYERS, Stage
from alerts.model import Severity
from tools.harness.player import WRONG, Player
from tools.harness.processes import children
from tools.harness.server import UNLIMITED, ServerProcess, until
from tools.harness.tokens import token

_PAGE, _TICKET = Severity.CRITICAL, Severity.WARNING
_GOOD_TO_ONE_BAD: Final = 220
"""0.45 % are bad: over the ticket's 0.3, under the page's 0.6."""
_MEMBERS: Final = 20
_FEW: Final = 15
"""Submissions that are no page, however late."""
_MANY: Final = 45
_LATE_S: Final = 10.5
"""Longer than the next bound that histograms tell apart: late also where a busy machine has to be given some back."""
_SUBMITTED: Final = itertools.count()
_SLICE_S: Final = 0.05
_SLICES_PER_S: Final = 5.0
_FAULTY: Final = "tools.harness.faulty"


def _knock_of_eve(stage: Stage, game_id: str) -> None:
    """A handshake that ends in a fault of the server."""
    stage.knock(f"Authorization: Bearer {token('eve')}", path=f"/ws/{game_id}", status=HTTPStatus.INTERNAL_SERVER_ERROR)


def _handshakes_fail(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(_FAULTY):
        game_id = stage.new_game()
        yield
        with stage.again(lambda: _knock_of_eve(stage, game_id), per_s=10):
            yield
        yield


def _some_handshakes_fail(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(_FAULTY):
        game_id = stage.new_game()
        yield
        numbers = itertools.count(1)

        def knock() -> None:
            number = next(numbers)
            if number % _GOOD_TO_ONE_BAD:
                stage.come_and_go(f"ann-{number % NAMES}")
            else:
                _knock_of_eve(stage, game_id)

        with stage.again(knock, per_s=300):
            yield
        yield


def _messages_fail(stage: Stage) -> Generator[None, None, None]:
    yield from _failing_messages(stage, good=0, per_s=10)


def _some_messages_fail(stage: Stage) -> Generator[None, None, None]:
    yield from _failing_messages(stage, good=_GOOD_TO_ONE_BAD, per_s=None)


def _failing_messages(stage: Stage, good: int, per_s: float | None) -> Generator[None, None, None]:
    """Players who send so many messages that are answered, and one that ends in a fault of the server."""
    with stage.serve(_FAULTY, **UNLIMITED):
        game_id = stage.new_game()
        numbers = itertools.count()
        yield

        def play() -> None:
            with stage.player(game_id, f"ann-{next(numbers) % NAMES}") as ann:
                ann.until("welcome")
                for _ in range(good):
                    ann.send("ping", {"timestamp": 1})
                ann.send("ready", id="x")
                ann.until("error", id="x")

        with stage.again(play, per_s=per_s):
            yield
        yield


def _deliveries_late(stage: Stage) -> Generator[None, None, None]:
    yield from _late_deliveries(stage, toggles=0)


def _some_deliveries_late(stage: Stage) -> Generator[None, None, None]:
    yield from _late_deliveries(stage, toggles=_GOOD_TO_ONE_BAD)


def _late_deliveries(stage: Stage, toggles: int) -> Generator[None, None, None]:
    """Members of a game hear that somebody left 0.3 s after it happened, and of all else in time."""
    with stage.serve("tools.harness.late", **UNLIMITED):
        stage.hold(_MEMBERS)
        game_id = stage.games[-1]
        with stage.player(game_id, "ann") as ann:
            ann.until("player_joined")
            yield

            def some_events() -> None:
                if toggles:
                    stage.toggle(ann, toggles)
                with stage.player(game_id, "bob") as bob:
                    bob.until("player_joined", player_id="bob")
                    bob.send("leave")
                    bob.until_closed()

            with stage.again(some_events):
                yield
        yield


def _nobody_answers(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(ping_interval_s=0.3, ping_timeout_s=0.5) as server:
        game_id = stage.new_game()
        yield
        names = itertools.count()

        def twelve() -> None:
            with contextlib.ExitStack() as stack:
                silent: list[socket.socket] = [stage.deaf(game_id, f"silent-{next(names)}") for _ in range(12)]
                for one in silent:
                    stack.callback(one.close)
                until(lambda: server.metric("ws_connections") <= PLAYERS)

        with stage.again(twelve):
            yield
        yield


def _some_verdicts_late(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(judge_time_limit_s=60) as server, race(stage, _FEW) as racers:
        workers = judging(server, racers)
        yield
        _submit_to_stopped(workers, racers)
        tell(workers, signal.SIGCONT)
        yield
        yield


def _most_verdicts_late(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(judge_time_limit_s=60, judge_processes=1) as server, race(stage, _MANY) as racers:
        workers = judging(server, racers)
        yield
        _submit_to_stopped(workers, racers)
        try:
            with stage.again(lambda: _let_work(workers), per_s=_SLICES_PER_S):
                yield
        finally:
            tell(workers, signal.SIGCONT)
        yield


def judging(server: ServerProcess, racers: list[Player]) -> set[int]:
    """Have something judged, in time; the processes that did it."""
    racers[0].send("submit_code", {"code": WRONG})
    racers[0].until("submission_judged")
    return children(server.pid)


def _submit_to_stopped(workers: set[int], racers: list[Player]) -> None:
    """Have all submit to a judge that stands still for longer than a verdict may take."""
    tell(workers, signal.SIGSTOP)
    submit(racers)
    threading.Event().wait(_LATE_S)


def submit(racers: list[Player]) -> None:
    """Have each submit what is wrong; with an id that was used before nothing would be submitted."""
    id = f"submit-{next(_SUBMITTED)}"
    for one in racers:
        one.send("submit_code", {"code": WRONG}, id=id)
        one.until("ack", id=id)


def _let_work(workers: set[int]) -> None:
    tell(workers, signal.SIGCONT)
    threading.Event().wait(_SLICE_S)
    tell(workers, signal.SIGSTOP)


def tell(workers: set[int], what: signal.Signals) -> None:
    """Send all of them a signal; some may be gone."""
    for pid in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)


DRILLS: Final = (
    Drill(
        "CodeRacerHandshakeBudgetBurn",
        _PAGE,
        "a release that fails one player's handshakes",
        _handshakes_fail,
        "Refused by our fault",
        "app.fault",
    ),
    Drill(
        "CodeRacerHandshakeBudgetBurn",
        _TICKET,
        "one handshake in 220 fails",
        _some_handshakes_fail,
        "Budget: handshake",
        "app.fault",
        stays_bad=True,
    ),
    Drill(
        "CodeRacerMessageBudgetBurn",
        _PAGE,
        "a release in which being ready raises",
        _messages_fail,
        "Faults in messages",
        "app.fault",
    ),
    Drill(
        "CodeRacerMessageBudgetBurn",
        _TICKET,
        "one message in 220 raises",
        _some_messages_fail,
        "Budget: message",
        "app.fault",
        stays_bad=True,
    ),
    Drill(
        "CodeRacerDeliveryBudgetBurn",
        _PAGE,
        "a release that tells of leaving 0.3 s late",
        _deliveries_late,
        "Delivery, p99",
        None,
    ),
    Drill(
        "CodeRacerDeliveryBudgetBurn",
        _TICKET,
        "one event in 220 is told 0.3 s late",
        _some_deliveries_late,
        "Budget: delivery",
        None,
        stays_bad=True,
    ),
    Drill(
        "CodeRacerPingBudgetBurn",
        _TICKET,
        "clients that answer no ping",
        _nobody_answers,
        "Budget: ping",
        "ws.closed",
        {"reason": "ping_timeout"},
        stays_bad=True,
    ),
    Drill(
        "CodeRacerVerdictBudgetBurn",
        _PAGE,
        "SIGSTOP the judge's worker for 10.5 s under 45 submissions, and let it work for 50 ms now and then",
        _most_verdicts_late,
        "Verdicts, from the submission on",
        "submission.judged",
        stays_bad=True,
    ),
    Drill(
        "CodeRacerVerdictBudgetBurn",
        _TICKET,
        "SIGSTOP the judge's workers for 10.5 s under fifteen submissions",
        _some_verdicts_late,
        "Budget: verdict",
        "submission.judged",
        stays_bad=True,
    ),
)
