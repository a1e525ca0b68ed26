"""Drills of the event log that replicas share, on real NATS servers, and of the replicas as a group."""

import asyncio
import contextlib
import itertools
import signal
import time
from collections.abc import Generator, Iterator
from typing import Any, Final

import nats as nats_client

from alerts.drills.drill import Drill
from alerts.drills.stage import FREE, Stage
from alerts.model import Severity
from tools.harness.nats import Nats
from tools.harness.proxy import TcpProxy
from tools.harness.server import UNLIMITED, ServerProcess, until
from tools.harness.tokens import token

_PAGE, _TICKET = Severity.CRITICAL, Severity.WARNING
QUICK: Final[dict[str, Any]] = {"replica_ttl_s": 2, "sweep_interval_s": 0.5, "nats_timeout_s": 1}
_USERS: Final = """
accounts {{ A {{ jetstream: enabled, users: [
    {{ user: app, password: {password}, permissions: {{ publish: {{ deny: [{deny}] }} }} }}
] }} }}
"""
_HELD_S: Final = 0.3
_CROWD: Final = 130
LIVE: Final = b"HMSG live.game."
"""How the servers begin what they tell live."""


@contextlib.contextmanager
def on_nats(
    stage: Stage,
    count: int = 1,
    module: str = "app",
    more: str = "",
    **settings: Any,  # noqa: ANN401 - whatever a setting is
) -> Iterator[Nats]:
    """A server on NATS, with somebody who wants to get ready all the time."""
    with (
        Nats(stage.folder / "nats", count, more=more) as nats,
        stage.serve(module, event_log_url=nats.url, **{**QUICK, "nats_replicas": count, **settings}),
    ):
        yield nats


@contextlib.contextmanager
def wanting(stage: Stage) -> Iterator[None]:
    """A player who is ready, and not, and ready again, whatever comes of it."""
    with stage.player(stage.new_game(), "ann") as ann, contextlib.ExitStack() as stack:
        ann.until("player_joined")
        status = itertools.cycle(("ready", "not_ready"))
        stack.enter_context(stage.again(lambda: ann.send("ready", {"status": next(status)}), per_s=2))
        yield


def _server_killed(stage: Stage) -> Generator[None, None, None]:
    with on_nats(stage) as nats, wanting(stage):
        yield
        nats.nodes[0].kill()
        yield
        nats.nodes[0].start()
        yield


def _one_of_six_cut_off(stage: Stage) -> Generator[None, None, None]:
    with Nats(stage.folder / "nats") as nats, TcpProxy(nats.nodes[0].port) as way:
        settings: dict[str, Any] = {"event_log_url": f"nats://127.0.0.1:{way.port}", **QUICK}
        with stage.serve(scraped=False, **settings), wanting(stage):
            stage.stack.target(stage.server.host, well=5)
            stage.seen("count(up == 1) == 6")
            yield
            way.partition()
            yield
            way.heal()
            yield


def majority_gone(nats: Nats) -> Generator[None, None, None]:
    """Kill all servers but the first, and start them again: the acts of a drill."""
    yield
    for node in nats.nodes[1:]:
        node.kill()
    yield
    for node in nats.nodes[1:]:
        node.start()
    yield


def _quorum_lost(stage: Stage) -> Generator[None, None, None]:
    with on_nats(stage, 3) as nats, wanting(stage):
        yield from majority_gone(nats)


def _server_frozen(stage: Stage) -> Generator[None, None, None]:
    with on_nats(stage, nats_timeout_s=20) as nats, contextlib.ExitStack() as stack:
        yield

        def freeze() -> None:
            nats.nodes[0].freeze()
            time.sleep(_HELD_S)  # it is slow for so long
            nats.nodes[0].signal(signal.SIGCONT)

        with stage.again(freeze, per_s=20):
            for _ in range(4):
                stack.enter_context(stage.again(stage.new_game))
            yield
            stack.close()
        yield


def _stream_full(stage: Stage) -> Generator[None, None, None]:
    with on_nats(stage, nats_max_bytes=1_000_000) as nats, wanting(stage):
        yield
        asyncio.run(_limit(nats.url, 1))
        yield
        asyncio.run(_limit(nats.url, 1_000_000))
        yield


async def _limit(url: str, max_bytes: int) -> None:
    """Another limit for the stream of the games' logs."""
    client = await nats_client.connect(url)
    info = await client.jetstream().stream_info("CODE_RACER")
    info.config.max_bytes = max_bytes
    await client.jetstream().update_stream(info.config)
    await client.close()


def _stream_nearly_full(stage: Stage) -> Generator[None, None, None]:
    with on_nats(stage, nats_max_bytes=1_000_000) as nats:
        yield
        asyncio.run(_limit(nats.url, int(stage.server.metric("event_log_bytes") * 1.05)))
        yield
        asyncio.run(_limit(nats.url, 1_000_000))
        yield


def _stream_deleted(stage: Stage) -> Generator[None, None, None]:
    with on_nats(stage) as nats:
        with wanting(stage):
            yield
            asyncio.run(_delete(nats.url))
            yield
        stage.server.kill()
        stage.server.start()  # whoever starts makes it anew
        until(lambda: stage.server.metric("event_log_connected"))
        yield


async def _delete(url: str) -> None:
    client = await nats_client.connect(url)
    await client.jetstream().delete_stream("CODE_RACER")
    await client.close()


def _rights_taken(stage: Stage) -> Generator[None, None, None]:
    settings: dict[str, Any] = {"nats_user": "app", "nats_password": "secret"}
    free = _USERS.format(password="secret", deny="")  # noqa: S106 - of the drill's own server
    with on_nats(stage, more=free, **settings) as nats, wanting(stage):
        yield
        nats.configure(_USERS.format(password="secret", deny='"game.>"'))  # noqa: S106 - the same
        yield
        nats.configure(free)
        yield


def _credentials_changed(stage: Stage) -> Generator[None, None, None]:
    settings: dict[str, Any] = {"nats_user": "app", "nats_password": "secret"}
    right = _USERS.format(password="secret", deny="")  # noqa: S106 - of the drill's own server
    with on_nats(stage, more=right, **settings) as nats, wanting(stage):
        yield
        nats.configure(_USERS.format(password="another", deny=""))  # noqa: S106 - the same
        yield
        nats.configure(right)
        yield


def _stream_edited(stage: Stage) -> Generator[None, None, None]:
    with on_nats(stage) as nats:
        yield
        asyncio.run(_discard(nats.url, "old"))
        stage.server.kill()
        stage.server.start()
        yield
        asyncio.run(_discard(nats.url, "new"))
        until(lambda: stage.server.metric("event_log_connected"))
        yield


async def _discard(url: str, which: str) -> None:
    client = await nats_client.connect(url)
    info = await client.jetstream().stream_info("CODE_RACER")
    info.config.discard = nats_client.js.api.DiscardPolicy(which)
    await client.jetstream().update_stream(info.config)
    await client.close()


def _clock_slow(stage: Stage) -> Generator[None, None, None]:
    with on_nats(stage, players=0):
        yield
        stage.server.kill()
        stage.server.module = "tools.harness.skewed"
        stage.server.start()
        yield
        stage.server.kill()
        stage.server.module = "app"
        stage.server.start()
        yield


@contextlib.contextmanager
def second_replica(stage: Stage, **settings: Any) -> Iterator[ServerProcess]:  # noqa: ANN401 - whatever a setting is
    """A second replica, scraped as the first is."""
    name = "second"
    with ServerProcess(stage.folder / name, replica=name, **{**FREE, **QUICK, **settings}) as second:
        until(lambda: second.metric("event_log_connected"))
        stage.stack.target(stage.server.host, second.host)
        yield second


def _live_lost(stage: Stage) -> Generator[None, None, None]:
    with contextlib.ExitStack() as stack:
        nats = stack.enter_context(Nats(stage.folder / "nats"))
        proxy = stack.enter_context(TcpProxy(nats.nodes[0].port))
        url = f"nats://127.0.0.1:{proxy.port}"
        stack.enter_context(stage.serve(event_log_url=url, **QUICK))
        second = stack.enter_context(second_replica(stage, event_log_url=nats.url, **UNLIMITED))
        game = stage.new_game()
        stack.enter_context(stage.player(game, "ann"))
        with _player(second, game, "bob") as bob:
            bob.until("player_joined")
            yield
            with stage.again(lambda: stage.toggle(bob, 4), 5), stage.again(lambda: proxy.lose_next(LIVE), 20):
                yield
            proxy.lose = None
            yield


@contextlib.contextmanager
def _player(server: ServerProcess, game: str, name: str) -> Iterator[Any]:
    from tools.harness.player import Player  # noqa: PLC0415 - here alone

    with Player(server, game, token(name), max_queue=None) as player:
        yield player


def _two_files(stage: Stage) -> Generator[None, None, None]:
    with stage.serve():
        yield
        with second_replica(stage):
            yield
        stage.stack.target(stage.server.host)
        yield


def _crowd_on_one(stage: Stage) -> Generator[None, None, None]:
    with on_nats(stage) as nats, second_replica(stage, event_log_url=nats.url) as second:
        yield
        stage.hold(_CROWD)
        yield
        stage.hold(_CROWD, second.ws_url)
        yield


_BURNT: Final = frozenset({"CodeRacerMessageBudgetBurn"})
"""Messages failed: that page is silenced while the cause is there, and may outlast it."""

DRILLS: Final = (
    Drill(
        "CodeRacerEventLogDown",
        _PAGE,
        "kill -9 the NATS server",
        _server_killed,
        "Takes appends",
        "event_log.lost",
        pages=_BURNT,
    ),
    Drill(
        "CodeRacerEventLogDown",
        _TICKET,
        "one of six replicas is cut off from NATS",
        _one_of_six_cut_off,
        "Takes appends",
        "event_log.lost",
        pages=_BURNT,  # of the six, it alone has players here
    ),
    Drill(
        "CodeRacerEventLogDown",
        _PAGE,
        "kill -9 two of three NATS servers: no quorum",
        _quorum_lost,
        "Takes appends",
        "event_log.lost",
        pages=_BURNT,
    ),
    Drill(
        "CodeRacerEventLogSlow",
        _TICKET,
        "SIGSTOP the NATS server for 0.3 s again and again",
        _server_frozen,
        "Append",
        None,
    ),
    Drill(
        "CodeRacerEventLogFull",
        _PAGE,
        "a limit that the stream has reached",
        _stream_full,
        "Troubles",
        "event_log.lost",
    ),
    Drill("CodeRacerEventLogStreamMissing", _PAGE, "delete the stream", _stream_deleted, "Troubles", "event_log.lost"),
    Drill(
        "CodeRacerEventLogDenied",
        _PAGE,
        "take the right to publish away",
        _rights_taken,
        "Troubles",
        "event_log.troubled",
        {"trouble": "denied"},
    ),
    Drill(
        "CodeRacerEventLogDenied",
        _PAGE,
        "change the password on the servers",
        _credentials_changed,
        "Troubles",
        "event_log.troubled",
        {"trouble": "denied"},
        pages=_BURNT,
    ),
    Drill(
        "CodeRacerEventLogMisconfigured",
        _TICKET,
        "restart with a stream that drops the old",
        _stream_edited,
        "Troubles",
        "event_log.troubled",
        {"trouble": "misconfigured"},
        # For want of another replica, it is; and players come again until they are let in: on a slow machine, often.
        pages=frozenset({"CodeRacerEventLogDown", "CodeRacerHandshakeBudgetBurn"}),
    ),
    Drill(
        "CodeRacerEventLogNearFull",
        _TICKET,
        "a limit just over what is stored",
        _stream_nearly_full,
        "Share of what it may take",
        None,
    ),
    Drill(
        "CodeRacerClockSkew",
        _TICKET,
        "a replica whose clock is five seconds slow",
        _clock_slow,
        "Clock",
        "clock.skewed",
    ),
    Drill(
        "CodeRacerEventLogGaps",
        _TICKET,
        "a proxy that loses what is told live",
        _live_lost,
        "Read again",
        None,
    ),
    Drill(
        "CodeRacerReplicasSplit",
        _PAGE,
        "a second replica with a file of its own",
        _two_files,
        "Replicas that others do not know",
        None,
    ),
    Drill(
        "CodeRacerReplicaImbalance",
        _TICKET,
        f"{_CROWD} connections to one of two",
        _crowd_on_one,
        "More than twice what the others have",
        None,
    ),
)
