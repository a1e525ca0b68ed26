"""Drills of who comes, who is sent away, and who is lost."""

import contextlib
import itertools
from collections.abc import Generator
from typing import Any, Final

from alerts.drills.drill import Drill
from alerts.drills.stage import NAMES, Stage
from alerts.model import Severity
from code_racer_client import GameWebSocket
from tools.harness.proxy import FaultProxy
from tools.harness.server import UNLIMITED
from tools.harness.tokens import token

_PAGE, _TICKET = Severity.CRITICAL, Severity.WARNING
_GROUP: Final = "code-racer-connections"
_HELD: Final = 130


def _bad_tokens(stage: Stage) -> Generator[None, None, None]:
    with stage.serve():
        yield
        with stage.again(lambda: stage.knock("Authorization: Bearer nonsense"), per_s=10):
            yield
        yield


def _foreign_origin(stage: Stage) -> Generator[None, None, None]:
    with stage.serve():
        yield
        with stage.again(lambda: stage.knock("Origin: https://elsewhere.example"), per_s=5):
            yield
        yield


def _proxy_cuts(stage: Stage) -> Generator[None, None, None]:
    with stage.serve() as server, FaultProxy(int(server.settings["PORT"])) as proxy:
        game_id = stage.new_game()
        through = [
            GameWebSocket(game_id, token(f"p{number}"), proxy.ws_url, max_reconnect_attempts=1000)
            for number in range(8)
        ]
        stage.do(_connected(through))
        yield
        with stage.again(proxy.cut, per_s=2):
            yield
        stage.do(_gone(through))
        yield


async def _connected(clients: list[GameWebSocket]) -> None:
    for one in clients:
        await one.connect()


async def _gone(clients: list[GameWebSocket]) -> None:
    for one in clients:
        await one.disconnect()


def _all_cut(stage: Stage) -> Generator[None, None, None]:
    with stage.serve() as server, FaultProxy(int(server.settings["PORT"])) as proxy:
        stage.hold(_HELD, proxy.ws_url)
        stage.seen(f"code_racer_ws_connections offset {stage.stack.scaled('5m', _GROUP)} > {_HELD}")
        yield
        proxy.refusing = True
        proxy.cut()
        yield
        proxy.refusing = False
        yield


def _storm(stage: Stage) -> Generator[None, None, None]:
    with stage.serve():
        hour, five_minutes = (stage.stack.scaled(one, _GROUP) for one in ("1h", "5m"))
        stage.seen(f"rate(code_racer_ws_handshakes_total[{hour}] offset {five_minutes})")
        yield
        numbers = itertools.count()

        def come_and_go() -> None:
            stage.come_and_go(f"p{next(numbers) % NAMES}")

        with stage.again(come_and_go, per_s=60), stage.again(come_and_go, per_s=60):
            yield
        yield


def _one_release_loops(stage: Stage) -> Generator[None, None, None]:
    """A release that ends at each welcome, beside players of another kind who stay."""
    with stage.serve(client_releases="race-web/1.4.0") as server:
        stage.hold(20, server.ws_url)
        yield
        numbers = itertools.count()

        def come_and_go() -> None:
            stage.come_and_go(f"p{next(numbers) % NAMES}", "?client=race-web/1.4.0")

        with stage.again(come_and_go, per_s=8):
            yield
        yield


def _deaf_readers(stage: Stage) -> Generator[None, None, None]:
    settings: dict[str, Any] = {"outbox_max_bytes": 65_536, "outbox_max_age_s": 2, "ping_interval_s": 3600, **UNLIMITED}
    with stage.serve(scraped=False, **settings), contextlib.ExitStack() as stack:
        game_id = _with_history(stage, 5_000)
        stage.scrape()
        yield
        for number in range(40):
            stack.callback(stage.deaf(game_id, f"deaf-{number}", "?last_seq=0").close)
        yield
        yield


def _with_history(stage: Stage, events: int) -> str:
    """A game of so many events: whoever resumes from its beginning is told all of them."""
    game_id = stage.new_game()
    with stage.player(game_id, "writer") as writer:
        writer.until("player_joined")
        stage.toggle(writer, events)
    return game_id


def _outboxes_filled(stage: Stage) -> Generator[None, None, None]:
    settings: dict[str, Any] = {
        "outbox_max_bytes": 2**30,
        "outbox_max_age_s": 3600,
        "ping_interval_s": 3600,
        **UNLIMITED,
    }
    with stage.serve(scraped=False, **settings), contextlib.ExitStack() as stack:
        game_id = _with_history(stage, 16_000)
        stage.scrape()
        yield
        for number in range(90):
            stack.callback(stage.deaf(game_id, f"deaf-{number}", "?last_seq=0").close)
            if stage.server.metric("ws_outbox_bytes") > 80 * 1024 * 1024:
                break
        yield
        stack.close()
        yield


def _limit_exceeded(stage: Stage) -> Generator[None, None, None]:
    settings: dict[str, Any] = {"messages_per_second": 5, "message_burst": 50, "max_rate_limited_per_minute": 1_000_000}
    with stage.serve(**settings):
        with stage.player(stage.new_game(), "hasty") as hasty:
            yield
            with stage.again(lambda: hasty.send("ping", {"timestamp": 1}), per_s=60):
                yield
        yield


def _nearly_full(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(max_connections=40):
        yield
        stage.hold(35)
        yield
        stage.let_go()
        yield


def _wrong_messages(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(max_invalid_messages_per_minute=1_000_000):
        with stage.player(stage.new_game(), "newer") as newer:
            yield
            numbers = itertools.count()
            with stage.again(lambda: newer.send(f"of-a-newer-release-{next(numbers) % 3}"), per_s=30):
                yield
        yield


_UNTIL_SCRAPED: Final = frozenset({"CodeRacerAbsent"})
"""Where something has to be prepared that Prometheus need not see, however long that takes on a slow machine."""

DRILLS: Final = (
    Drill(
        "CodeRacerAuthFailureSurge",
        _TICKET,
        "flood with bad tokens",
        _bad_tokens,
        "Refused by the client's fault",
        "ws.refused",
        {"outcome": "unauthorized"},
    ),
    Drill(
        "CodeRacerOriginRefusalSurge",
        _TICKET,
        "a page of a foreign origin",
        _foreign_origin,
        "Refused by the client's fault",
        "ws.refused",
        {"outcome": "origin_refused"},
    ),
    Drill(
        "CodeRacerAbnormalCloses",
        _TICKET,
        "a proxy that cuts twice a second",
        _proxy_cuts,
        "Lost connections",
        "ws.closed",
        {"reason": "connection_lost"},
    ),
    Drill(
        "CodeRacerConnectionCliff",
        _PAGE,
        "cut 130 connections and let nobody back",
        _all_cut,
        "Lost since five minutes ago",
        "ws.closed",
        {"reason": "connection_lost"},
    ),
    Drill(
        "CodeRacerReconnectStorm",
        _TICKET,
        "a hundred clients a second that come and go",
        _storm,
        "Attempts to connect",
        "ws.closed",
    ),
    Drill(
        "CodeRacerClientLooping",
        _TICKET,
        "a release of a client ends at each welcome and comes again",
        _one_release_loops,
        "Gone within two seconds, by client",
        "ws.closed",
        {"release": "race-web/1.4.0"},
    ),
    Drill(
        "CodeRacerSlowConsumers",
        _TICKET,
        "forty readers that stop reading",
        _deaf_readers,
        "Cut off for reading too slowly",
        "ws.closed",
        {"reason": "slow_consumer"},
        pages=_UNTIL_SCRAPED,
    ),
    Drill(
        "CodeRacerOutboxGrowth",
        _TICKET,
        "readers that stop reading, with no limit on what waits for them",
        _outboxes_filled,
        "Waiting to be read",
        None,
        pages=_UNTIL_SCRAPED,
    ),
    Drill(
        "CodeRacerRateLimitSurge",
        _TICKET,
        "a client that does not slow down",
        _limit_exceeded,
        "Limits exceeded",
        "limit.exceeded",
        {"scope": "messages"},
    ),
    Drill(
        "CodeRacerConnectionLimitNear",
        _TICKET,
        "38 connections of 40",
        _nearly_full,
        "Share of the limit",
        "ws.opened",
    ),
    Drill(
        "CodeRacerErrorSurge",
        _TICKET,
        "a client that says what the server does not know",
        _wrong_messages,
        "Errors by code",
        "message.rejected",
    ),
)
