"""Drills of whether the service is there, and comes and goes as it should."""

import contextlib
import itertools
import os
import signal
from collections.abc import Generator, Iterator
from typing import Any, Final

from alerts.drills.drill import Drill
from alerts.drills.replicas import QUICK, second_replica
from alerts.drills.stage import Stage
from alerts.model import TARGETS, Severity
from tools.harness.jwks import IdentityProvider, SigningKey
from tools.harness.nats import Nats
from tools.harness.processes import freeze
from tools.harness.proxy import TcpProxy
from tools.harness.server import ServerProcess

_PAGE, _TICKET = Severity.CRITICAL, Severity.WARNING


def _prometheus_frozen(stage: Stage) -> Generator[None, None, None]:
    with stage.serve():
        yield
        freeze(stage.stack.pid)
        try:
            yield
        finally:
            os.kill(stage.stack.pid, signal.SIGCONT)
        yield


def _killed(stage: Stage) -> Generator[None, None, None]:
    with stage.serve() as server:
        yield
        server.kill()
        yield
        server.start()
        yield


def _one_of_six_killed(stage: Stage) -> Generator[None, None, None]:
    with _one_of_six(stage) as server:
        yield
        server.kill()
        yield
        server.start()
        yield


@contextlib.contextmanager
def _one_of_six(stage: Stage) -> Iterator[ServerProcess]:
    """One replica, and five more that are well."""
    with stage.serve(scraped=False) as server:
        stage.stack.target(server.host, well=5)
        stage.seen("count(up == 1) == 6")
        yield server


def _frozen(stage: Stage) -> Generator[None, None, None]:
    with stage.serve() as server:
        yield
        freeze(server.pid)
        try:
            yield
        finally:
            os.kill(server.pid, signal.SIGCONT)
        yield


def _no_targets(stage: Stage) -> Generator[None, None, None]:
    with stage.serve() as server:
        yield
        stage.stack.target()
        yield
        stage.stack.target(server.host)
        yield


def _namespace_gone(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(scraped=False) as server:
        stage.stack.target(server.host, elsewhere=server.host)
        stage.seen(f'{TARGETS}{{namespace="drill"}}')
        yield
        stage.stack.target(elsewhere=server.host)
        yield
        stage.stack.target(server.host, elsewhere=server.host)
        yield


def _scrapes_cut(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(scraped=False) as server, TcpProxy(int(server.settings["PORT"])) as way:
        stage.stack.target(f"127.0.0.1:{way.port}")
        yield
        turns = itertools.cycle((way.partition, way.heal))

        def turn() -> None:
            next(turns)()

        with stage.again(turn, per_s=0.6 / stage.stack.pace):
            yield
        way.heal()
        yield


def _no_signing_keys(stage: Stage) -> Generator[None, None, None]:
    with _needs_keys(stage) as provider:
        yield from _without_keys(stage, provider)


def _one_of_two_without_keys(stage: Stage) -> Generator[None, None, None]:
    with (
        Nats(stage.folder / "nats") as nats,
        _needs_keys(stage, event_log_url=nats.url, **QUICK) as provider,
        second_replica(stage, event_log_url=nats.url),
    ):
        stage.seen("count(code_racer_ready == 1) == 2")
        yield from _without_keys(stage, provider)


@contextlib.contextmanager
def _needs_keys(stage: Stage, **settings: Any) -> Iterator[IdentityProvider]:  # noqa: ANN401 - whatever a setting is
    """A server that is not ready without the keys of an identity provider, and forgets them soon."""
    soon: dict[str, Any] = {
        "jwks_refresh_s": 1,
        "jwks_cooldown_s": 0,
        "jwks_max_age_s": 3,
        "ready_gates": "signing_keys",
    }
    with (
        IdentityProvider(SigningKey("k1", "EdDSA")) as provider,
        stage.serve(players=0, jwt_secret="", jwt_jwks_url=provider.url, **soon, **settings),
    ):
        yield provider


def _without_keys(stage: Stage, provider: IdentityProvider) -> Generator[None, None, None]:
    """Have the provider fail, and mend it: the acts of a drill."""
    stage.seen("code_racer_ready == 1")
    yield
    provider.broken = True
    yield
    provider.broken = False
    yield


def _provider_broken(stage: Stage) -> Generator[None, None, None]:
    with (
        IdentityProvider(SigningKey("k1", "EdDSA")) as provider,
        stage.serve(players=0, jwt_secret="", jwt_jwks_url=provider.url, jwks_refresh_s=1),
    ):
        stage.seen("code_racer_signing_keys == 1")
        yield
        provider.broken = True
        yield
        provider.broken = False
        yield


def _killed_again_and_again(stage: Stage) -> Generator[None, None, None]:
    with stage.serve() as server:
        yield
        _kill_four_times(stage, server)
        yield
        yield


def _kill_four_times(stage: Stage, server: ServerProcess) -> None:
    for count in (1, 2, 3, 4):
        server.kill()
        server.start()
        quarter = stage.stack.scaled("15m", "code-racer-availability")
        stage.seen(f"changes(code_racer_start_time_seconds[{quarter}]) >= {count}")


def _one_of_six_killed_again_and_again(stage: Stage) -> Generator[None, None, None]:
    with _one_of_six(stage) as server:
        yield
        _kill_four_times(stage, server)
        yield
        yield


def _drain_that_waits(stage: Stage) -> Generator[None, None, None]:
    """Somebody wrote minutes where seconds are meant."""
    with stage.serve(drain_delay_s=600) as server:
        yield
        os.kill(server.pid, signal.SIGTERM)
        yield
        os.kill(server.pid, signal.SIGTERM)  # the second hurries
        server.wait()
        server.start()
        yield


DRILLS: Final = (
    Drill("CodeRacerWatchdog", _TICKET, "SIGSTOP Prometheus", _prometheus_frozen, None, None),
    Drill("CodeRacerDown", _PAGE, "kill -9 the server", _killed, "Scraped", "app.started"),
    Drill("CodeRacerDown", _PAGE, "SIGSTOP the server", _frozen, "Scraped", None),
    Drill("CodeRacerDown", _TICKET, "kill -9 one of six", _one_of_six_killed, "Scraped", "app.started"),
    Drill("CodeRacerAbsent", _PAGE, "take all targets away", _no_targets, "Scraped", None),
    Drill(
        "CodeRacerAbsent",
        _PAGE,
        "take production's targets away, staging's stay",
        _namespace_gone,
        None,
        None,
    ),
    Drill(
        "CodeRacerScrapesFlapping",
        _TICKET,
        "the way from Prometheus carries nothing, and all again, by turns",
        _scrapes_cut,
        "Scraped",
        None,
    ),
    Drill(
        "CodeRacerNotReady",
        _PAGE,
        "the identity provider fails until its keys are too old, under READY_GATES",
        _no_signing_keys,
        "Replicas ready",
        "keys.failed",
    ),
    Drill(
        "CodeRacerNotReady",
        _TICKET,
        "the same with one replica of two",
        _one_of_two_without_keys,
        "Replicas ready",
        "keys.failed",
    ),
    Drill(
        "CodeRacerSigningKeysFailing",
        _TICKET,
        "the identity provider fails",
        _provider_broken,
        "Fetches of the signing keys that failed",
        "keys.failed",
    ),
    Drill(
        "CodeRacerCrashLooping",
        _PAGE,
        "kill -9 the server four times",
        _killed_again_and_again,
        "Starts within 15 minutes",
        "app.started",
        pages=frozenset({"CodeRacerDown"}),  # where a start takes longer than three seconds
    ),
    Drill(
        "CodeRacerCrashLooping",
        _TICKET,
        "kill -9 one of six four times",
        _one_of_six_killed_again_and_again,
        "Starts within 15 minutes",
        "app.started",
    ),
    Drill(
        "CodeRacerDrainStuck",
        _TICKET,
        "SIGTERM with DRAIN_DELAY_S=600",
        _drain_that_waits,
        "Draining",
        "app.draining",
    ),
)
