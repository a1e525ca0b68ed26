"""Drills of one replica among others: three real servers on a real NATS, and players who come to all of them."""

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Generator, Iterator
from http import HTTPStatus
from typing import Any, Final

from alerts.drills.drill import Drill
from alerts.drills.stage import FREE, Stage
from alerts.model import Severity
from alerts.signals import BAD
from tools.harness.nats import Nats
from tools.harness.server import SECRET, ServerProcess
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
        "CodeRacerHandshakesRefused",
        Severity.WARNING,
        "forged tokens, and nobody else comes",
        _forged,
        _PANEL,
        "ws.refused",
        _REFUSED,
    ),
)
