"""What an application may do with the Python client, and when: a real server, a proxy that fails, and nothing left."""

import asyncio
import contextlib
import functools
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import pytest
from websockets.asyncio.server import ServerConnection, serve

from app.protocol import Close, encode, problem_details
from app.refusals import REFUSALS, Refusal
from code_racer_client import ClientError, ClientState, Disconnected, GameWebSocket, Refused, Unusable
from code_racer_client.dispatcher import MAX_WAITING
from tests.clients.left import nothing_left
from tools.harness.player import Player
from tools.harness.proxy import FaultProxy
from tools.harness.server import STEP_TIMEOUT_S, UNLIMITED, ServerProcess, until
from tools.harness.tokens import token

pytestmark = pytest.mark.anyio

Message = dict[str, Any]
P = ParamSpec("P")
FOR_EVER = 3_600.0


class Stage:
    """A client of a game behind the proxy, and what its application is told."""

    def __init__(self, server: ServerProcess, proxy: FaultProxy) -> None:
        self.server = server
        self.proxy = proxy
        self.game_id = server.new_game(token("host"))
        self.waits_for_ever = False
        self.waiting = asyncio.Event()
        self.ws = self.client()

    def client(self, mine: str | None = None, **options: Any) -> GameWebSocket:
        """A client whose waits are told and short."""
        own = token("ann") if mine is None else mine
        ws = GameWebSocket(self.game_id, own, self.proxy.ws_url, sleep=self._sleep, pong_timeout_s=5, **options)
        self.states: list[str] = []
        self.told: list[tuple[str, Message]] = []
        self.seqs: list[int] = []
        ws.on("state", lambda data: self.states.append(data["state"]))
        for type in ("retry", "end", "fault"):
            ws.on(type, functools.partial(self._keep, type))
        ws.on("*", lambda message: self.seqs.append(message["seq"]) if "seq" in message else None)
        return ws

    def _keep(self, type: str, data: Message) -> None:
        self.told.append((type, data))

    def of(self, type: str) -> list[Message]:
        """What was told of one of the client's own events."""
        return [data for told, data in self.told if told == type]

    async def _sleep(self, _: float) -> None:
        self.waiting.set()
        await asyncio.sleep(FOR_EVER if self.waits_for_ever else 0.01)  # the backoff

    async def ready(self, status: str = "ready") -> int | None:
        """An event of the game."""
        return await self.ws.request("ready", {"status": status})

    def ready_by_another(self) -> None:
        """An event of the game that is another's."""
        with Player(self.server, self.game_id, token("bob")) as bob:
            bob.send("ready", {"status": "ready"})
            bob.until("player_ready", player_id="bob")

    def assert_whole(self) -> None:
        """Each event once, in order, none missing."""
        assert self.seqs
        assert self.seqs == list(range(self.seqs[0], self.seqs[0] + len(self.seqs)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("server")
    with ServerProcess(folder, max_replacements_per_minute=20, max_games_per_player=1_000, **UNLIMITED) as process:
        yield process


@pytest.fixture
def stage(server: ServerProcess) -> Iterator[Stage]:
    with FaultProxy(int(server.settings["PORT"])) as proxy:
        yield Stage(server, proxy)


def scene(test: Callable[Concatenate[Stage, P], Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """After each test the application disconnects, and nothing is left."""

    @functools.wraps(test)
    async def play(stage: Stage, *arguments: P.args, **named: P.kwargs) -> None:
        async with asyncio.timeout(STEP_TIMEOUT_S * 2), nothing_left():
            await test(stage, *arguments, **named)
            await stage.ws.disconnect()
            assert stage.ws.state is ClientState.CLOSED

    return play


# ---------------------------------------------------------------- connect and disconnect


@scene
async def test_the_states_are_told_in_order(stage: Stage) -> None:
    assert stage.ws.state == "idle"
    await stage.ws.connect()
    assert str(stage.ws.state) == "open"
    stage.proxy.cut()
    await stage.ws.wait_for("player_reconnected")
    await stage.ws.disconnect()
    assert stage.states == ["connecting", "open", "waiting", "reconnecting", "open", "closed"]
    assert [retry["attempt"] for retry in stage.of("retry")] == [1]
    assert not stage.of("end")


@scene
async def test_connect_disconnect_connect_makes_one_socket(stage: Stage) -> None:
    calls = [asyncio.create_task(call) for call in (stage.ws.connect(), stage.ws.disconnect(), stage.ws.connect())]
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert done[2] is None
    assert stage.ws.state is ClientState.OPEN
    await stage.ready()
    assert stage.proxy.accepted <= 2
    await asyncio.to_thread(stage.server.wait_for_log, "ws.opened", game_id=stage.game_id)
    assert len(stage.server.logged("ws.opened", game_id=stage.game_id)) == 1


@scene
async def test_two_that_connect_at_once_share_the_connection(stage: Stage) -> None:
    await asyncio.gather(stage.ws.connect(), stage.ws.connect())
    await stage.ws.connect()
    await stage.ready()
    assert stage.proxy.accepted == 1


@scene
async def test_to_disconnect_what_is_not_connected_is_nothing(stage: Stage) -> None:
    await stage.ws.disconnect()
    await stage.ws.connect()
    await stage.ws.disconnect()
    await stage.ws.disconnect()
    assert stage.states == ["closed", "connecting", "open", "closed"]


@scene
async def test_to_connect_while_it_waits_is_to_try_at_once(stage: Stage) -> None:
    stage.waits_for_ever = True
    await stage.ws.connect()
    stage.proxy.cut()
    await stage.waiting.wait()
    await stage.ws.connect()
    assert stage.states == ["connecting", "open", "waiting", "reconnecting", "open"]


@pytest.mark.parametrize("ended_by", ["disconnect", "cancel", "time"])
async def test_a_connection_over_which_nothing_comes_is_given_up(ended_by: str) -> None:
    waiting = asyncio.Event()

    async def say_nothing(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async def sleep(_: float) -> None:
        waiting.set()
        await asyncio.sleep(FOR_EVER)  # the backoff

    async with nothing_left(), serve(say_nothing, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with nothing_left():
            ws = GameWebSocket("g", token("ann"), url, sleep=sleep, open_timeout_s=2 if ended_by == "time" else 30)
            connecting = asyncio.create_task(ws.connect())
            if ended_by == "time":
                await waiting.wait()
            else:
                await eventually(lambda: ws.is_connected)
            if ended_by == "cancel":
                connecting.cancel()
            else:
                await ws.disconnect()
            (error,) = await asyncio.gather(connecting, return_exceptions=True)
            assert isinstance(error, asyncio.CancelledError if ended_by == "cancel" else ClientError)
    assert ws.state is ClientState.CLOSED


@pytest.mark.parametrize("how", ["swallowing", "refusing"])
@pytest.mark.parametrize("ended_by", ["disconnect", "cancel"])
@scene
async def test_an_attempt_that_is_no_longer_wanted_leaves_nothing(stage: Stage, how: str, ended_by: str) -> None:
    """In its handshake, and waiting for the next."""
    setattr(stage.proxy, how, True)
    stage.waits_for_ever = True
    connecting = asyncio.create_task(stage.ws.connect())
    if how == "refusing":
        await stage.waiting.wait()
        assert stage.ws.state is ClientState.WAITING
    else:
        await eventually(lambda: stage.proxy.accepted > 0)
    async with nothing_left_of(connecting):
        if ended_by == "cancel":
            connecting.cancel()
        else:
            await stage.ws.disconnect()
    with pytest.raises(asyncio.CancelledError if ended_by == "cancel" else ClientError):
        await connecting
    assert stage.ws.state is ClientState.CLOSED
    assert stage.states[-1] == "closed"


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what another thread or process does."""
    await asyncio.to_thread(until, condition)


@contextlib.asynccontextmanager
async def nothing_left_of(connecting: asyncio.Task[None]) -> AsyncIterator[None]:
    """What `connect` began ends with it, before the application calls anything else."""
    yield
    await asyncio.wait({connecting})
    for _ in range(5):
        await asyncio.sleep(0)  # turns in which what was cancelled ends
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not [name for name in names if name.startswith(("game ", "pings", "handlers", "token"))]


@scene
async def test_who_waits_is_told_when_it_is_over(stage: Stage) -> None:
    await stage.ws.connect()
    stage.waits_for_ever = True
    stage.proxy.cut()
    await stage.waiting.wait()
    waiting = [asyncio.create_task(call) for call in (stage.ws.wait_for("never"), stage.ready())]
    closed = asyncio.create_task(stage.ws.wait_closed())
    await asyncio.sleep(0)  # one turn: they wait from now on
    await stage.ws.disconnect()
    for one in waiting:
        with pytest.raises(ClientError, match="disconnected"):
            await one
    await closed
    with pytest.raises(ClientError, match="disconnected"):
        await stage.ready()


@scene
async def test_what_no_handler_has_seen_is_asked_for_again(stage: Stage) -> None:
    """A handler held the events up when the application disconnected."""
    held = asyncio.Event()

    async def hold(_: Message) -> None:
        held.set()
        await asyncio.sleep(FOR_EVER)  # never returns

    await stage.ws.connect()
    stage.ws.once("player_ready", hold)
    held_seq = await stage.ready()
    await held.wait()
    await asyncio.to_thread(stage.ready_by_another)
    await stage.ready("not_ready")
    await stage.ws.disconnect()
    await stage.ws.connect()
    back = await stage.ws.wait_for("player_reconnected", since=0)
    await stage.ready()
    assert back["seq"] in stage.seqs
    assert held_seq not in stage.seqs, "its handlers have been ended"
    stage.seqs = sorted([*stage.seqs, held_seq or 0])
    stage.assert_whole()


# ---------------------------------------------------------------- handlers


@scene
async def test_what_a_handler_raises_is_told_and_ends_nothing(stage: Stage) -> None:
    errors: list[BaseException] = [ValueError("a"), asyncio.CancelledError("b"), KeyError("c")]
    heard: list[str] = []

    def first(_: Message) -> None:
        raise errors[0]

    async def second(_: Message) -> None:
        raise errors[1]

    def third(_: Message) -> None:
        raise errors[2]

    await stage.ws.connect()
    for handler in (first, second, lambda message: heard.append(message["type"])):
        stage.ws.on("player_ready", handler)
    stage.ws.on("*", third)
    await stage.ready()
    await stage.ready("not_ready")
    types = {type for type, _ in stage.told}
    assert heard == ["player_ready", "player_ready"]
    assert types == {"fault"}
    faults = [(fault["error"], fault["type"]) for fault in stage.of("fault") if fault["type"] == "player_ready"]
    assert faults == [(error, "player_ready") for error in errors] * 2
    assert stage.ws.state is ClientState.OPEN


@scene
async def test_where_nobody_listens_to_faults_they_are_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    def raising(_: Message) -> None:
        raise ValueError("the application's own")

    ws = GameWebSocket(stage.game_id, token("ann"), stage.proxy.ws_url)
    ws.on("state", raising)
    with caplog.at_level(logging.ERROR, "code_racer_client"):
        await ws.connect()
        ws.on("fault", raising)
        await ws.disconnect()
    assert [record.name for record in caplog.records] == ["code_racer_client"] * 3
    assert all("the application's own" in str(record.exc_info) for record in caplog.records)


@scene
async def test_a_handler_may_ask_and_wait(stage: Stage) -> None:
    answers: asyncio.Queue[int | None] = asyncio.Queue()

    async def ask(_: Message) -> None:
        answers.put_nowait(await stage.ready("not_ready"))
        other = asyncio.create_task(stage.ws.wait_for("pong"))
        await asyncio.sleep(0)  # one turn: it waits from now on
        await stage.ws.send_message("ping", {"timestamp": 1})
        answers.put_nowait((await other)["data"]["timestamp"])

    await stage.ws.connect()
    stage.ws.once("player_ready", ask)
    seq = await stage.ready()
    assert seq is not None
    assert await answers.get() == seq + 1
    assert await answers.get() == 1
    stage.assert_whole()


@scene
async def test_a_handler_that_never_returns_holds_up_only_handlers(stage: Stage) -> None:
    async def hold(_: Message) -> None:
        await asyncio.sleep(FOR_EVER)  # never returns

    stage.ws.on("player_joined", hold)
    await stage.ws.connect()
    await stage.ready()
    stage.proxy.cut()
    await stage.ws.wait_for("player_reconnected")
    await stage.ready("not_ready")
    await stage.ws.disconnect()
    assert stage.states[-1] == "closed"


@scene
async def test_a_handler_may_disconnect(stage: Stage) -> None:
    returned = asyncio.Event()

    async def leave(_: Message) -> None:
        await asyncio.wait_for(stage.ws.disconnect(), STEP_TIMEOUT_S)
        returned.set()

    stage.ws.on("player_joined", leave)
    with contextlib.suppress(ClientError):  # it may be over before `connect` has looked
        await stage.ws.connect()
    await returned.wait()
    assert stage.ws.state is ClientState.CLOSED
    await asyncio.to_thread(stage.server.wait_for_log, "ws.closed", game_id=stage.game_id, code=1000)


@scene
async def test_a_handler_of_the_end_may_connect_again(stage: Stage) -> None:
    again = asyncio.Event()

    async def connect(_: Message) -> None:
        await stage.ws.connect()
        again.set()

    await stage.ws.connect()
    stage.ws.once("end", connect)
    with await asyncio.to_thread(Player, stage.server, stage.game_id, token("ann")):  # replaces it
        await again.wait()
    assert stage.of("end")[0]["code"] == 4409
    await stage.ready()
    assert stage.states == ["connecting", "open", "closed", "reconnecting", "open"]


@scene
async def test_a_handler_is_called_once_or_no_more(stage: Stage) -> None:
    heard: list[str] = []

    def other(_: Message) -> None:
        heard.append("other")

    stage.ws.once("player_ready", lambda _: heard.append("once"))
    stage.ws.on("player_ready", other)
    await stage.ws.connect()
    await stage.ready()
    stage.ws.off("player_ready", other)
    stage.ws.off("never", other)
    await stage.ready("not_ready")
    assert heard == ["once", "other"]


@scene
async def test_where_too_much_waits_for_handlers_reading_waits_and_that_is_said_once(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_WAITING == 1_000
    most = 20
    monkeypatch.setattr("code_racer_client.dispatcher.MAX_WAITING", most)
    held, go_on = asyncio.Event(), asyncio.Event()

    async def hold(_: Message) -> None:
        held.set()
        await go_on.wait()

    stage.ws.once("player_joined", hold)
    await stage.ws.connect()
    await held.wait()
    heard: list[float] = []
    stage.ws.on("pong", lambda message: heard.append(message["data"]["timestamp"]))
    with caplog.at_level(logging.WARNING, "code_racer_client"):
        for number in range(3 * most):
            await stage.ws.send_message("ping", {"timestamp": number})
        asked = asyncio.create_task(stage.ready())
        await eventually(lambda: bool(caplog.records))
        assert stage.ws.metrics.message_count < most + 5
        go_on.set()
        await asked
        await eventually(lambda: 3 * most - 1 in heard)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert [number for number in heard if number < 3 * most] == list(range(3 * most))


# ---------------------------------------------------------------- requests


@scene
async def test_a_request_may_have_a_time_limit(stage: Stage) -> None:
    await stage.ws.connect()
    stage.waits_for_ever = True
    stage.proxy.cut()
    await stage.waiting.wait()
    with pytest.raises(TimeoutError):
        await stage.ws.request("ready", {"status": "ready"}, timeout_s=0.01)


@scene
async def test_an_event_that_has_come_can_be_waited_for(stage: Stage) -> None:
    await stage.ws.connect()
    first = await stage.ready()
    second = await stage.ready("not_ready")
    assert (await stage.ws.wait_for("player_ready", since=0))["seq"] == first
    assert (await stage.ws.wait_for("player_ready", since=first))["seq"] == second
    third = asyncio.create_task(stage.ws.wait_for("player_ready", since=second))
    await asyncio.sleep(0)  # one turn: it waits from now on
    assert (await stage.ready(), (await third)["seq"]) == (stage.ws.last_seq, stage.ws.last_seq)


# ---------------------------------------------------------------- tokens


@scene
async def test_to_connect_after_an_end_starts_afresh_with_a_fresh_token(stage: Stage) -> None:
    fresh = iter([token("ann", -60), token("ann", -50), token("ann")])
    stage.ws = stage.client(token("ann", -60), refresh_token=lambda: next(fresh))
    with pytest.raises(Refused, match="401"):
        await stage.ws.connect()
    await stage.ws.connect()
    assert stage.states == ["connecting", "closed", "connecting", "open"]
    assert not stage.of("retry")


@scene
async def test_a_renewal_that_fails_is_a_lost_connection(stage: Stage) -> None:
    errors = [OSError("the identity provider is away"), OSError("still")]

    async def renew() -> str:
        if errors:
            raise errors.pop()
        return token("ann")

    stage.ws = stage.client(token("ann", -60), refresh_token=renew)
    await stage.ws.connect()
    assert [retry["attempt"] for retry in stage.of("retry")] == [1, 2]
    assert [fault["type"] for fault in stage.of("fault")] == ["refresh_token", "refresh_token"]


@scene
async def test_a_renewal_that_never_ends_is_a_lost_connection(stage: Stage) -> None:
    answers = [FOR_EVER, 0.0]

    async def renew() -> str:
        await asyncio.sleep(answers.pop(0))  # the identity provider
        return token("ann")

    stage.ws = stage.client(token("ann", -60), refresh_token=renew, open_timeout_s=2)
    await stage.ws.connect()
    assert stage.of("retry")
    assert not answers


@scene
async def test_the_application_may_say_that_there_will_be_no_fresh_token(stage: Stage) -> None:
    def renew() -> str:
        raise Refused(401, "logged out")

    stage.ws = stage.client(token("ann", -60), refresh_token=renew)
    with pytest.raises(Refused, match="logged out"):
        await stage.ws.connect()
    assert not stage.of("retry")
    assert stage.of("end") == [{"code": 401, "reason": "", "detail": "logged out"}]


async def test_a_renewal_that_is_under_way_ends_with_the_connection() -> None:
    asked = asyncio.Event()

    async def renew() -> str:
        asked.set()
        await asyncio.sleep(FOR_EVER)  # the identity provider
        return ""

    async def expire(connection: ServerConnection) -> None:
        for type, data in (("welcome", {"last_seq": 0}), ("token_expiring", {"expires_at": 1})):
            await connection.send(json.dumps({"type": type, "data": data}))
        await asked.wait()
        await connection.close(Close.REPLACED.code)

    async with nothing_left(), serve(expire, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with nothing_left():
            ws = GameWebSocket("g", token("ann"), url, refresh_token=renew)
            await ws.connect()
            with pytest.raises(Disconnected, match="4409"):
                await ws.wait_closed()


@scene
async def test_who_renews_may_find_that_nobody_wants_to_connect_any_more(stage: Stage) -> None:
    async def renew() -> str:
        await stage.ws.disconnect()
        return token("ann")

    stage.ws = stage.client(token("ann", -60), refresh_token=renew)
    with pytest.raises(ClientError, match="disconnected"):
        await stage.ws.connect()
    await stage.ws.disconnect()  # when the other is done
    assert stage.states == ["connecting", "closed"]
    assert stage.proxy.accepted == 1


@pytest.mark.parametrize("bad", ["marked nonsense", "marked\r\nX-Injected: nonsense", "marked=.nonsense"])
@scene
async def test_a_token_that_cannot_be_one_is_told_at_once(stage: Stage, bad: str) -> None:
    stage.ws = stage.client(bad)
    with pytest.raises(Refused, match="a character that no token has") as raised:
        await stage.ws.connect()
    assert "marked" not in str(raised.value)
    assert stage.proxy.accepted == 0
    assert [(end["code"], end["reason"]) for end in stage.of("end")] == [(401, "unauthorized")]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ws://", "ws://[::1", "ws://127.0.0.1:99999999", "race"])
@scene
async def test_what_is_no_url_of_a_service_is_told_at_once(stage: Stage, url: str) -> None:
    ws = GameWebSocket(stage.game_id, token("ann"), url)
    with pytest.raises(Unusable, match="no URL"):
        await ws.connect()


# ---------------------------------------------------------------- answers


PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("status", "kind", "body", "is_final"),
    [
        ("200 OK", "text/html", "<html>log in</html>", False),
        ("302 Found\r\nlocation: http://portal.example/login", "text/html", "", False),
        ("302 Found\r\nlocation: ws://127.0.0.1:99999999/", "text/html", "", False),
        ("404 Not Found", "text/html", "default backend - 404", False),
        ("403 Forbidden", PROBLEM, '{"status": 403, "detail": "blocked", "reason": "waf"}', False),
        ("401 Unauthorized", PROBLEM, '{"status": 401, "detail": "sign in"}', False),
        ("404 Not Found", PROBLEM, '{"detail": "x", "reason": "no_such_game", "retry_after_ms": "soon"}', False),
        ("404 Not Found", PROBLEM, '["reason"]', False),
        ("403 Forbidden", PROBLEM, "[" * 100_000, False),
        ("503 Service Unavailable", PROBLEM, '{"detail": "x", "reason": "draining"}', False),
        ("429 Too Many Requests", PROBLEM, '{"detail": "x", "reason": "rate_limited", "retry_after_ms": 5}', False),
        ("404 Not Found", PROBLEM, '{"detail": "x", "reason": "no_such_game", "later": {}}', True),
        ("409 Conflict", PROBLEM, '{"detail": "x", "reason": "game_full"}', True),
        ("101 Switching Protocols", "text/html", "", False),
        ("no HTTP", "text/html", "", False),
    ],
)
async def test_only_our_own_answers_are_final(status: str, kind: str, body: str, *, is_final: bool) -> None:
    assert await ends_after(status, kind, body) is is_final


@pytest.mark.parametrize("row", REFUSALS.values(), ids=lambda row: row.outcome)
async def test_which_of_them_are_final_is_what_the_table_of_refusals_says(row: Refusal) -> None:
    body = encode(problem_details(row.status, "x", row.outcome)).decode()
    assert await ends_after(f"{row.status.value} x", PROBLEM, body) is row.is_final


async def ends_after(status: str, kind: str, body: str) -> bool:
    """Whether the client takes an answer to its handshake as final; else it waits to try again."""
    answer = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    waiting = asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await asyncio.sleep(FOR_EVER)  # the backoff

    async with nothing_left():
        portal = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{portal.sockets[0].getsockname()[1]}"
        ws = GameWebSocket("g", token("ann"), url, sleep=sleep)
        calls = [asyncio.create_task(call) for call in (ws.connect(), waiting.wait())]
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        is_final = calls[0] in done
        await ws.disconnect()
        calls[1].cancel()
        with pytest.raises(Refused if is_final else ClientError):
            await calls[0]
        portal.close()
        await portal.wait_closed()
    return is_final
