"""Drills of one replica among others: three real servers on a real NATS, and players who come to all of them."""

import contextlib
import itertools
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from http import HTTPStatus
from typing import Any, Final

from alerts.drills.drill import Drill
from alerts.drills.games import race
from alerts.drills.objectives import judging, submit, tell
from alerts.drills.stage import FREE, Stage
from alerts.model import Severity
from alerts.signals import BAD
from tools.harness.nats import Nats
from tools.harness.player import Player
from tools.harness.server import SECRET, UNLIMITED, ServerProcess
from tools.harness.tokens import token

_PANEL: Final = "What is bad, by replica"
_REFUSED: Final = {"outcome": "unauthorized"}
_FORGED: Final = "Authorization: Bearer nonsense"
_A_SECOND: Final = 5
"""So many players come to each replica."""
_SLOWER: Final = {"code-racer-outliers": 30.0}
"""So that they are five times the floor of the rules: a busy machine lets fewer come."""
_STAY_S: Final = 2.5
"""Longer than a client that comes again and again, which is somebody else's fault."""
_NAMES: Final = 90
"""Who is still there is not replaced by himself, and all find room in one game."""
_RACERS: Final = 24
_ROUNDS_PER_S: Final = 0.25
_LATE_S: Final = 5.5
"""Over the five seconds in which a verdict is in time."""


class _Three:
    """Three replicas, the first of them the stage's, and players who come to each, stay for a while and leave."""

    def __init__(self, stage: Stage, others: tuple[ServerProcess, ...]) -> None:
        self._stage = stage
        self._others = others
        self._names = itertools.cycle(f"p{number}" for number in range(_NAMES))
        self._there: deque[tuple[float, contextlib.ExitStack]] = deque()

    def _come(self, first: HTTPStatus) -> None:
        came = contextlib.ExitStack()
        self._there.append((time.monotonic(), came))
        for one in (self._stage.server, *self._others):
            status = first if one is self._stage.server else HTTPStatus.SWITCHING_PROTOCOLS
            bearer = f"Authorization: Bearer {token(next(self._names))}"
            came.enter_context(self._stage.coming(bearer, at=one, status=status))
        self._leave(time.monotonic() - _STAY_S)

    def _leave(self, until: float) -> None:
        """Have those leave who came before a time."""
        while self._there and self._there[0][0] <= until:
            self._there.popleft()[1].close()

    @contextlib.contextmanager
    def played_on(self, first: HTTPStatus = HTTPStatus.SWITCHING_PROTOCOLS) -> Iterator[None]:
        """Players come to all while in the block; the first replica answers them as told."""
        with self._stage.again(lambda: self._come(first), per_s=_A_SECOND / self._stage.stack.pace):
            yield
        self._leave(time.monotonic())


@contextlib.contextmanager
def _three(stage: Stage) -> Iterator[_Three]:
    with Nats(stage.folder / "nats") as nats, contextlib.ExitStack() as stack:
        settings: dict[str, Any] = {**FREE, "event_log_url": nats.url}
        others = tuple(stack.enter_context(ServerProcess(stage.folder / name, **settings)) for name in "bc")
        for one in others:
            one.until_ready()
        stack.enter_context(stage.serve(players=0, scraped=False, event_log_url=nats.url))
        stage.stack.target(*(one.host for one in (stage.server, *others)))
        stage.seen("count(up == 1) == 3")
        yield _Three(stage, others)


def _wrong_secret(stage: Stage) -> Generator[None, None, None]:
    with _three(stage) as replicas:
        with replicas.played_on():
            stage.seen(f'count({BAD}{{signal="handshakes"}} == 0) == 3')
            yield
        _restart(stage.server, SECRET[::-1])
        with replicas.played_on(HTTPStatus.UNAUTHORIZED):
            yield
        _restart(stage.server, SECRET)
        with replicas.played_on():
            yield


def _restart(server: ServerProcess, secret: str) -> None:
    server.kill()
    server.settings["JWT_SECRET"] = secret
    server.start()
    server.until_ready()


def _forged_at_one(stage: Stage) -> Generator[None, None, None]:
    with _three(stage) as replicas, replicas.played_on():
        stage.seen(f'count({BAD}{{signal="handshakes"}} == 0) == 3')
        yield
        with stage.again(lambda: stage.knock(_FORGED, status=HTTPStatus.UNAUTHORIZED), per_s=4 * _A_SECOND):
            yield
        yield


@contextlib.contextmanager
def _two_that_judge(stage: Stage) -> Iterator[tuple[set[int], list[Player]]]:
    """Two replicas whose players submit every few seconds; the judge's workers of the first, and who races there."""
    with Nats(stage.folder / "nats") as nats, contextlib.ExitStack() as stack:
        settings: dict[str, Any] = {**FREE, **UNLIMITED, "event_log_url": nats.url, "judge_time_limit_s": 60}
        other = stack.enter_context(ServerProcess(stage.folder / "b", **settings))
        other.until_ready()
        stack.enter_context(stage.serve(players=0, scraped=False, **settings))
        here, there = stack.enter_context(race(stage, _RACERS)), stack.enter_context(race(stage, _RACERS, other))
        workers = judging(stage.server, here)
        stage.stack.target(stage.server.host, other.host)
        stack.enter_context(stage.again(lambda: submit(there), per_s=_ROUNDS_PER_S / stage.stack.pace))
        yield workers, here


def _judge_slow(stage: Stage) -> Generator[None, None, None]:
    """Of the first replica's judge, no worker runs for longer than a verdict may take, again and again."""
    with _two_that_judge(stage) as (workers, racers):

        def in_time() -> None:
            submit(racers)
            racers[-1].until("submission_judged", player_id=f"racer-{_RACERS - 1}")

        def late() -> None:
            tell(workers, signal.SIGSTOP)
            try:
                submit(racers)
                threading.Event().wait(_LATE_S)
            finally:
                tell(workers, signal.SIGCONT)
            racers[-1].until("submission_judged", player_id=f"racer-{_RACERS - 1}")

        with stage.again(in_time, per_s=_ROUNDS_PER_S / stage.stack.pace):
            stage.seen(f'count({BAD}{{signal="verdicts"}} == 0) == 2')
            yield
        with stage.again(late, per_s=_ROUNDS_PER_S / stage.stack.pace):
            yield
        with stage.again(in_time, per_s=_ROUNDS_PER_S / stage.stack.pace):
            yield


def _forged(stage: Stage) -> Generator[None, None, None]:
    with stage.serve():
        yield
        with stage.again(lambda: stage.knock(_FORGED, status=HTTPStatus.UNAUTHORIZED), per_s=_A_SECOND):
            yield
        yield


DRILLS: Final = (
    Drill(
        "CodeRacerReplicaRefuses",
        Severity.CRITICAL,
        "one replica of three starts again with another JWT_SECRET",
        _wrong_secret,
        _PANEL,
        "ws.refused",
        _REFUSED,
        pages=frozenset({"CodeRacerDown"}),  # where a start takes longer than three seconds
        factors=_SLOWER,
    ),
    Drill(
        "CodeRacerReplicaOutlier",
        Severity.WARNING,
        "the look-alike: somebody tries forged tokens on one replica of three, where others play as elsewhere",
        _forged_at_one,
        _PANEL,
        "ws.refused",
        _REFUSED,
        factors=_SLOWER,
    ),
    Drill(
        "CodeRacerReplicaOutlier",
        Severity.WARNING,
        "SIGSTOP the judge's workers of one replica of two for 5.5 s again and again",
        _judge_slow,
        _PANEL,
        "submission.judged",
        pages=frozenset({"CodeRacerVerdictBudgetBurn"}),  # nearly half of all verdicts are late
        factors=_SLOWER,
    ),
    Drill(
        "CodeRacerHandshakesRefused",
        Severity.WARNING,
        "forged tokens, and nobody else comes",
        _forged,
        _PANEL,
        "ws.refused",
        _REFUSED,
    ),
)
