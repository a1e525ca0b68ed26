"""Drills of one replica among others: three real servers on a real NATS, and players who come to all of them."""

import contextlib
import itertools
from collections.abc import Generator, Iterator
from http import HTTPStatus
from typing import Any, Final

from alerts.drills.drill import Drill
from alerts.drills.stage import FREE, NAMES, Stage
from alerts.model import Severity
from alerts.signals import BAD
from tools.harness.nats import Nats
from tools.harness.server import SECRET, ServerProcess
from tools.harness.tokens import token

_PANEL: Final = "What is bad, by replica"
_REFUSED: Final = {"outcome": "unauthorized"}
_FORGED: Final = "Authorization: Bearer nonsense"
_A_SECOND: Final = 5
"""So many players come to each replica: twice the floor of the rules."""


class _Three:
    """Three replicas, the first of them the stage's, and players who come to each and leave."""

    def __init__(self, stage: Stage, others: tuple[ServerProcess, ...]) -> None:
        self._stage = stage
        self._others = others
        self._numbers = itertools.count()

    def _come(self, first: HTTPStatus) -> None:
        here = f"Authorization: Bearer {token(f'p{next(self._numbers) % NAMES}')}"
        self._stage.knock(here, status=first)
        for one in self._others:
            self._stage.knock(here, at=one, status=HTTPStatus.SWITCHING_PROTOCOLS)

    @contextlib.contextmanager
    def played_on(self, first: HTTPStatus = HTTPStatus.SWITCHING_PROTOCOLS) -> Iterator[None]:
        """Players come to all while in the block; the first replica answers them as told."""
        with self._stage.again(lambda: self._come(first), per_s=_A_SECOND / self._stage.stack.pace):
            yield


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
    ),
    Drill(
        "CodeRacerReplicaOutlier",
        Severity.WARNING,
        "the look-alike: somebody tries forged tokens on one replica of three, where others play as elsewhere",
        _forged_at_one,
        _PANEL,
        "ws.refused",
        _REFUSED,
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
