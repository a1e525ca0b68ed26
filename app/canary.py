"""The canary: two players who race on a service again and again, as players would, and measure what they meet.

It uses what players use, from where it stands: names, certificates, proxies, the front door. What the service measures
of itself it cannot see (a wrong route, an expired certificate); the canary sees that, and nothing else.
"""

import asyncio
import contextlib
import functools
import math
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import product
from typing import Final
from urllib.parse import urlsplit

from prometheus_client import start_http_server

from app.client.bot import PROBLEM, SOLUTION
from app.protocol import OWN_RELEASES
from app.telemetry.catalogue import CANARY_METRICS, CanaryMetrics, Events
from app.telemetry.metrics import MetricStore
from app.vocabulary import CanaryOutcome, ClientName
from code_racer_client import Api, ClientError, Disconnected, GameWebSocket, Refused, Rejected
from code_racer_client.message import JsonMessage

PLAYERS: Final = 2
NO_UPGRADE: Final = "refused with 426: the proxy before the service does not pass Upgrade on"
RECONNECTS: Final = 6
"""Tries of a player in a row: three may all come while a single server starts again. The race's time bounds them."""
AT_ONCE: Final = 4
"""Races at the same time, where there is one for each replica."""
MAX_REPLICAS: Final = 100
"""Replicas that are counted each; what becomes of races on more of them is counted as that of `other`."""
Write = Callable[..., None]
"""Writes a log line: an event of the catalogue and its fields."""


class CannotListen(Exception):  # noqa: N818 - it says what happened
    """The metrics cannot be served where they were wanted."""


class RaceFailed(Exception):  # noqa: N818 - it says what happened
    """A race did not end as it should: how, and at which step."""

    def __init__(self, outcome: CanaryOutcome, step: str, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.step = step


@dataclass(frozen=True, slots=True)
class CanaryConfig:
    """Which service the canary races on, how often, and where it serves its metrics.

    With `each` it races on every address that the names of `urls` have: on each replica behind a headless service.
    `tokens` makes a token for each name; None: the service has guests.
    """

    urls: tuple[str, ...]
    each: bool
    every_s: float
    timeout_s: float
    host: str
    port: int
    tokens: Callable[[tuple[str, ...]], tuple[str, ...]] | None


@dataclass(slots=True)
class _Race:
    """One race as far as it has come; times in seconds."""

    api: Api
    step: str = ""
    game_id: str | None = None
    sockets: list[GameWebSocket] = field(default_factory=list)
    handshakes_s: list[float] = field(default_factory=list)
    lacks_upgrade: bool = False
    message_s: float = 0.0
    delivery_s: float = 0.0


class Canary:
    """Plays races on a service, one after the other, and measures them."""

    def __init__(self, config: CanaryConfig, write: Write) -> None:
        self._config = config
        self._write = write
        self._last_ok = 0.0
        self._certificate_end = math.inf
        self.store = MetricStore(metrics=CANARY_METRICS)
        self.store.max_series = self.store.series + MAX_REPLICAS * len(CanaryOutcome)
        self.store.read_gauge(CanaryMetrics.LAST_OK, lambda: self._last_ok)
        self.store.read_gauge(CanaryMetrics.CERTIFICATE_END, lambda: self._certificate_end)

    async def run(self) -> None:
        """Race every `every_s` seconds, from beginning to beginning, until cancelled; metrics are served meanwhile.

        Raises:
            CannotListen: there is no serving metrics where they were wanted.
        """
        config = self._config
        try:
            server, thread = start_http_server(config.port, config.host, self.store.registry)
        except OSError as error:
            raise CannotListen(f"cannot listen on {config.host}:{config.port}: {error.strerror}") from None
        address = f"http://{config.host}:{server.server_port}/metrics"
        self._write(Events.CANARY_STARTED, url=" ".join(config.urls), every_s=config.every_s, address=address)
        try:
            while True:
                began = time.monotonic()
                await self.race_on_all()
                await asyncio.sleep(max(0.0, began + config.every_s - time.monotonic()))
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    async def race_on_all(self) -> bool:
        """Run a race on all there is to race on, a few at a time; return whether each ended as it should."""
        urls = [url for name in self._config.urls for url in (await _addresses(name) if self._config.each else (name,))]
        replicas = tuple(self._replica(url) for url in urls)
        self.store.configure(CanaryMetrics.RACES, product(replicas, CanaryOutcome))
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(url: str) -> CanaryOutcome:
            async with limit:
                return await self.race(url)

        return set(await asyncio.gather(*map(one, urls))) == {CanaryOutcome.OK}

    def _replica(self, url: str) -> str:
        """Name the replica that is raced on; empty where it may be any of them."""
        return urlsplit(url).netloc if self._config.each else ""

    async def race(self, url: str) -> CanaryOutcome:
        """Run one race, measured and logged; return how it ended."""
        race, began = _Race(Api(url.rstrip("/"), timeout_s=self._config.timeout_s)), time.monotonic()
        try:
            await self._play(race)
        except RaceFailed as failed:
            outcome = failed.outcome
            self._write(
                Events.CANARY_FAILED,
                url=race.api.url,
                outcome=outcome,
                step=failed.step,
                detail=str(failed),
                game_id=race.game_id,
            )
        else:
            outcome = CanaryOutcome.OK
            self._succeeded(race, time.monotonic() - began)
        self.store.counter(CanaryMetrics.RACES).inc((self._replica(url), outcome))
        reconnects = sum(one.metrics.reconnect_count for one in race.sockets)
        self.store.counter(CanaryMetrics.RECONNECTS).inc(by=reconnects)
        for seconds in race.handshakes_s:
            self.store.histogram(CanaryMetrics.HANDSHAKE).observe(seconds)
        ends = [one.metrics.certificate_end_s for one in race.sockets if one.metrics.certificate_end_s is not None]
        self._certificate_end = min(ends, default=self._certificate_end)
        return outcome

    def _succeeded(self, race: _Race, duration_s: float) -> None:
        self._last_ok = time.time()
        self.store.histogram(CanaryMetrics.RACE).observe(duration_s)
        self.store.histogram(CanaryMetrics.MESSAGE).observe(race.message_s)
        self.store.histogram(CanaryMetrics.DELIVERY).observe(race.delivery_s)
        self._write(
            Events.CANARY_RACED,
            url=race.api.url,
            game_id=race.game_id,
            duration_s=round(duration_s, 3),
            handshake_s=round(max(race.handshakes_s), 4),
            message_s=round(race.message_s, 4),
            delivery_s=round(race.delivery_s, 4),
        )

    async def _play(self, race: _Race) -> None:
        """Play a race within `timeout_s`. Raises RaceFailed."""
        try:
            async with asyncio.timeout(self._config.timeout_s), contextlib.AsyncExitStack() as stack:
                await self._steps(race, stack)
        except TimeoutError:
            detail = f"not done after {self._config.timeout_s:g} s"
            raise RaceFailed(CanaryOutcome.TIMEOUT, race.step, detail) from None
        except Refused as error:
            raise RaceFailed(CanaryOutcome.REFUSED, race.step, str(error)) from None
        except Disconnected as error:
            raise RaceFailed(CanaryOutcome.LOST, race.step, str(error)) from None
        except Rejected as error:
            raise RaceFailed(CanaryOutcome.WRONG, race.step, str(error)) from None
        except ClientError as error:
            if race.lacks_upgrade:
                raise RaceFailed(CanaryOutcome.REFUSED, race.step, NO_UPGRADE) from None
            outcome = CanaryOutcome.LOST if len(race.handshakes_s) == PLAYERS else CanaryOutcome.UNREACHABLE
            raise RaceFailed(outcome, race.step, str(error)) from None

    async def _steps(self, race: _Race, stack: contextlib.AsyncExitStack) -> None:
        race.step = "token"
        # new ones each time: no limit per player fills up with games that did not end
        names = tuple(f"canary-{secrets.token_hex(4)}" for _ in range(PLAYERS))
        tokens = await self._tokens(race.api, names)
        race.step = "game"
        race.api.token = tokens[0]
        game = await race.api.create_game(problem=PROBLEM, min_players=PLAYERS, max_players=PLAYERS)
        race.game_id = str(game["game_id"])
        for token in tokens:
            race.step = "handshake"
            ws = GameWebSocket(
                race.game_id,
                token,
                race.api.ws_url,
                max_reconnect_attempts=RECONNECTS,
                client=OWN_RELEASES[ClientName.CANARY],
            )
            race.sockets.append(ws)
            ws.on("retry", functools.partial(_note_lost_upgrade, race, ws))
            began = time.perf_counter()
            await stack.enter_async_context(ws)
            race.handshakes_s.append(time.perf_counter() - began)
        first, second = race.sockets
        types = ("game_started", "submission_judged", "game_finished")
        listening = [asyncio.create_task(second.wait_for(type), name=type) for type in types]  # before it happens
        stack.push_async_callback(_cancel, listening)
        started, judged, over = listening
        race.step = "message"
        race.message_s, race.delivery_s = await _measure_message(first, second)
        race.step = "start"
        await second.request("ready", {"status": "ready"})
        await started
        race.step = "judge"
        await first.request("submit_code", {"code": SOLUTION})
        _expect("the verdict", (await judged)["data"]["verdict"], "accepted", race.step)
        race.step = "finish"
        _expect("the winner", (await over)["data"]["winner"], _player_id(first), race.step)

    async def _tokens(self, api: Api, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return a token for each player. Raises RaceFailed and ClientError."""
        if self._config.tokens is None:
            return tuple([str((await api.guest(name))["token"]) for name in names])
        try:
            return self._config.tokens(names)
        except OSError as error:
            detail = f"cannot read {error.filename}: {error.strerror}"
            raise RaceFailed(CanaryOutcome.REFUSED, "token", detail) from None


async def _note_lost_upgrade(race: _Race, ws: GameWebSocket, retry: JsonMessage) -> None:
    """Give up where what stands between passes no Upgrade on: the client would wait until it does."""
    if retry["code"] == HTTPStatus.UPGRADE_REQUIRED:
        race.lacks_upgrade = True
        await ws.disconnect()


async def _addresses(url: str) -> tuple[str, ...]:
    """Return a URL for each address that a URL's name has; as it is where the name has none: a race tells of that."""
    parts = urlsplit(url)
    port = parts.port or 80
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return (url,)
    hosts = dict.fromkeys(str(address[0]) for *_, address in found)
    netlocs = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in hosts)
    return tuple(parts._replace(netloc=netloc).geturl() for netloc in netlocs)


async def _cancel(tasks: list[asyncio.Task[JsonMessage]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _measure_message(first: GameWebSocket, second: GameWebSocket) -> tuple[float, float]:
    """Return how long a message of the first takes until its ack, and until its event is with the second."""
    loop = asyncio.get_running_loop()
    delivered: asyncio.Future[float] = loop.create_future()

    def on_ready(message: JsonMessage) -> None:
        if message["data"]["player_id"] == _player_id(first) and not delivered.done():
            delivered.set_result(time.perf_counter())

    second.on("player_ready", on_ready)
    began = time.perf_counter()
    await first.request("ready", {"status": "ready"})
    acknowledged = time.perf_counter()
    return acknowledged - began, await delivered - began


def _player_id(ws: GameWebSocket) -> str:
    return str(ws.welcome["data"]["player"]["player_id"]) if ws.welcome else ""


def _expect(what: str, found: object, wanted: object, step: str) -> None:
    if found != wanted:
        raise RaceFailed(CanaryOutcome.WRONG, step, f"{what} is {found}, not {wanted}")


async def run_canary(config: CanaryConfig, write: Write, *, once: bool) -> bool:
    """Race once, or until cancelled; return whether the last races ended as they should. Raises CannotListen."""
    canary = Canary(config, write)
    if once:
        return await canary.race_on_all()
    await canary.run()
    return True
