"""The Python client for programs without asyncio, against a real server: what it does, and that it leaves no thread."""

import asyncio
import inspect
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import code_racer_client
from code_racer_client import Api, ClientError, ClientState, Disconnected, Presence, Present, Refused, Rejected, SyncApi
from code_racer_client.sync import Options, SyncGameWebSocket
from tools.harness.player import SOLUTION
from tools.harness.server import SOURCES, STEP_TIMEOUT_S, ServerProcess, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as process:
        yield process


@pytest.fixture(autouse=True)
def _no_thread_is_left(server: ServerProcess) -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    until(lambda: set(threading.enumerate()) <= before)
    until(lambda: server.metric("ws_connections") == 0)


def visit(server: ServerProcess, **options: Any) -> SyncGameWebSocket:
    """A client of a guest in a game of its own, which waits for another player."""
    guest = server.guest("ann")
    return SyncGameWebSocket(server.new_game(guest["token"]), guest["token"], server.ws_url, **options)


def test_two_race_and_a_handler_asks_and_waits(server: ServerProcess) -> None:
    ann, bob = server.guest("ann"), server.guest("bob")
    game_id = server.new_game(ann["token"])
    heard: queue.Queue[object] = queue.Queue()
    with (
        SyncGameWebSocket(game_id, ann["token"], server.ws_url) as first,
        SyncGameWebSocket(game_id, bob["token"], server.ws_url) as second,
    ):

        def submit(_: object) -> None:
            seq = second.request("submit_code", {"code": SOLUTION}, timeout_s=STEP_TIMEOUT_S)
            judged = second.wait_for("submission_judged", since=seq, timeout_s=STEP_TIMEOUT_S)
            heard.put(judged["data"]["verdict"])

        second.once("game_started", submit)
        for game in (first, second):
            game.request("ready", {"status": "ready"}, timeout_s=STEP_TIMEOUT_S)
        assert heard.get(timeout=STEP_TIMEOUT_S) == "accepted"
        finished = first.wait_for("game_finished", since=0, timeout_s=STEP_TIMEOUT_S)
        assert finished["data"]["winner"] == bob["player_id"]
        assert first.welcome is not None
        assert (first.state, first.is_connected) == (ClientState.OPEN, True)
        assert first.send_message("ping", {"timestamp": 1}) == "sent"
        with pytest.raises(Rejected):
            first.request("ready", {"status": "ready"})


def test_two_meet_and_see_who_is_there_with_nothing_of_asyncio(server: ServerProcess) -> None:
    api = SyncApi(server.http_url + "/")
    ann, bob = api.guest("Ann"), api.guest("Bob")
    api.token = ann["token"]
    game_id = api.create_game(min_players=2)["game_id"]
    assert api.game(game_id)["host_id"] == ann["player_id"]
    assert api.problems()
    assert api.ticket()["ticket"]
    with pytest.raises(Refused) as refused:
        api.submission(game_id, 1)
    assert (refused.value.status, refused.value.reason) == (404, "not_found")
    seen: queue.Queue[list[tuple[str, bool, bool]]] = queue.Queue()
    game = SyncGameWebSocket(game_id, ann["token"], api.ws_url)

    def note(players: tuple[Present, ...]) -> None:
        game.request("ping", {"timestamp": 1})  # it may wait
        seen.put([(one.name, one.ready, one.connected) for one in players])

    presence = Presence(game, note)
    with game:
        assert [seen.get(timeout=STEP_TIMEOUT_S) for _ in range(2)] == [[], [("Ann", False, True)]]
        with SyncGameWebSocket(game_id, bob["token"], api.ws_url) as other:
            other.request("ready", {"status": "ready"})
            other.request("leave", {})
        came = [seen.get(timeout=STEP_TIMEOUT_S) for _ in range(3)]
        presence.close()
        game.request("ready", {"status": "ready"})
    assert [players[1:] for players in came] == [[("Bob", False, True)], [("Bob", True, True)], []]
    assert [one.player_id for one in presence.players] == [ann["player_id"]]
    assert presence.get(bob["player_id"]) is None
    assert seen.empty()
    again = SyncGameWebSocket(game_id, ann["token"], api.ws_url)
    with pytest.raises(TypeError):
        again.last_seq = -1
    again.last_seq = game.last_seq
    with again:
        assert again.welcome is not None
        assert again.welcome["data"]["resumed"]


def test_both_faces_of_the_calls_over_http_are_the_same_but_for_waiting() -> None:
    def signatures(face: type) -> dict[str, list[str]]:
        calls = inspect.getmembers(face, inspect.isfunction)
        return {name: [str(inspect.signature(one)), str(one.__doc__)] for name, one in calls if name[0] != "_"}

    assert signatures(SyncApi) == signatures(Api)


def test_a_handler_that_thinks_while_more_comes_than_waits_for_it_and_then_asks_gets_its_answer(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("code_racer_client.dispatcher.MAX_WAITING", 5)
    answers: queue.Queue[int | None] = queue.Queue()
    thinking, go_on = threading.Event(), threading.Event()

    def think(_: object) -> None:
        thinking.set()
        go_on.wait()
        answers.put(game.request("ready", {"status": "not_ready"}))

    with visit(server) as game:
        game.once("player_ready", think)
        game.request("ready", {"status": "ready"})
        assert thinking.wait(STEP_TIMEOUT_S)
        for number in range(20):
            game.send_message("ping", {"timestamp": number})
        go_on.set()
        assert answers.get(timeout=STEP_TIMEOUT_S) == 4


def test_an_exception_leaves_nothing(server: ServerProcess) -> None:
    with pytest.raises(ZeroDivisionError), visit(server) as game:
        game.request("ready", {"status": 1 // 0})
    assert game.state is ClientState.CLOSED


def test_ctrl_c_ends_the_wait_and_leaves_nothing(server: ServerProcess) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), visit(server) as game:
            game.on("player_ready", lambda _: os.kill(os.getpid(), signal.SIGINT))
            game.send_message("ready", {"status": "ready"})
            game.wait_for("game_finished")
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_it_connects_leaves_nothing() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        game = SyncGameWebSocket("no-game", "t", "ws://127.0.0.1:1")
        game.on("retry", lambda _: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            game.connect()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_refusal_is_raised_and_leaves_nothing(server: ServerProcess) -> None:
    with pytest.raises(Refused) as refused, SyncGameWebSocket("nonsense", "t", server.ws_url):
        pass
    assert refused.value.reason == "invalid_game_id"


def test_a_wait_that_is_bounded_ends_and_the_connection_goes_on(server: ServerProcess) -> None:
    with visit(server) as game:
        with pytest.raises(TimeoutError):
            game.wait_for("game_finished", timeout_s=0.01)
        assert game._loop is not None
        before = len(asyncio.all_tasks(game._loop))
        with pytest.raises(TimeoutError):
            game.wait_closed(timeout_s=0.01)
        until(lambda: game._loop is not None and len(asyncio.all_tasks(game._loop)) <= before)
        assert game.request("ready", {"status": "ready"}) == 3
    unreachable = SyncGameWebSocket("no-game", "t", "ws://127.0.0.1:1")
    with pytest.raises(TimeoutError):
        unreachable.connect(timeout_s=0.01)


def test_who_waits_elsewhere_is_told_of_the_end(server: ServerProcess) -> None:
    told: queue.Queue[object] = queue.Queue()

    def wait(game: SyncGameWebSocket) -> None:
        with pytest.raises(ClientError) as error:
            game.wait_for("game_finished")
        told.put(str(error.value))

    with visit(server) as game:
        thread = threading.Thread(target=wait, args=(game,))
        thread.start()
        until(lambda: game._client._subscriptions._waiters)
    assert told.get(timeout=STEP_TIMEOUT_S) == "disconnected"
    thread.join()
    with pytest.raises(ClientError, match="disconnected"):
        game.send_message("ping", {"timestamp": 1})
    with pytest.raises(ClientError, match="another visit"):
        game.connect()


def test_a_handler_may_disconnect(server: ServerProcess) -> None:
    game = visit(server)
    gone = threading.Event()

    def leave(_: object) -> None:
        game.disconnect()
        gone.set()

    game.once("player_ready", leave)
    game.connect()
    game.send_message("ready", {"status": "ready"})
    assert gone.wait(STEP_TIMEOUT_S)
    assert game.state is ClientState.CLOSED


def test_what_a_handler_raises_is_told_and_one_that_is_taken_off_is_called_no_more(server: ServerProcess) -> None:
    faults: queue.Queue[object] = queue.Queue()
    called: list[object] = []
    with visit(server) as game:
        game.on("fault", lambda event: faults.put(type(event["error"])))
        game.on("pong", called.append)
        game.off("pong", called.append)
        game.on("player_ready", lambda _: 1 // 0)
        game.request("ready", {"status": "ready"})
        assert faults.get(timeout=STEP_TIMEOUT_S) is ZeroDivisionError
    assert called == []


def test_the_server_ends_it(server: ServerProcess) -> None:
    with visit(server) as game:
        game.send_message("leave", {})
        with pytest.raises(Disconnected) as ended:
            game.wait_closed(timeout_s=STEP_TIMEOUT_S)
        assert ended.value.code == 1000


def test_a_fresh_token_may_take_its_time(server: ServerProcess) -> None:
    """It is had in a thread in which waiting holds up nothing."""
    guest = server.guest("ann")

    def fresh() -> str:
        with pytest.raises(ClientError, match="not connected"):
            game.send_message("ping", {"timestamp": 1})
        return str(guest["token"])

    game = SyncGameWebSocket(server.new_game(guest["token"]), "stale", server.ws_url, refresh_token=fresh)
    game.connect(timeout_s=STEP_TIMEOUT_S)
    game.disconnect()


def test_its_options_are_those_of_the_asyncio_client() -> None:
    named = set(inspect.signature(code_racer_client.GameWebSocket).parameters)
    ours = {*Options.__annotations__, *inspect.signature(SyncGameWebSocket).parameters} - {"options"}
    assert named - ours == {"sleep"}
    assert ours - named == set()


def test_a_fresh_token_that_is_no_function_is_told_at_once() -> None:
    a_token: Any = "marked.old.token"
    with pytest.raises(TypeError, match=r"^refresh_token is no function$"):
        SyncGameWebSocket("id", a_token, "ws://127.0.0.1:1", refresh_token=a_token)


def test_a_callback_that_waits_for_itself_is_told(server: ServerProcess) -> None:
    told: queue.Queue[object] = queue.Queue()

    def debug(*_: object) -> None:
        for call in (lambda: game.send_message("ping", {"timestamp": 1}), game.connect, game.disconnect):
            try:
                call()
            except ClientError as error:
                told.put(str(error))

    game = visit(server, debug=debug)
    with game:
        assert [told.get(timeout=STEP_TIMEOUT_S) for _ in range(3)] == ["this waits for itself"] * 3
        assert game.request("ready", {"status": "ready"}) == 3


NEVER_RETURNS = """
import sys
import threading

from code_racer_client import SyncGameWebSocket

called, never = threading.Event(), threading.Event()
game = SyncGameWebSocket(*sys.argv[1:], pong_timeout_s=0.2)
game.on("welcome", lambda _: (called.set(), never.wait()))
game.connect()
called.wait()
game.disconnect()
print(game.state)
"""


def test_a_handler_that_never_returns_keeps_no_program_from_ending(server: ServerProcess) -> None:
    guest = server.guest("ann")
    asked = server.new_game(guest["token"]), guest["token"], server.ws_url
    done = subprocess.run(
        [sys.executable, "-c", NEVER_RETURNS, *asked],
        env=os.environ | {"PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        timeout=STEP_TIMEOUT_S,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("closed\n", "", 0)


def test_what_is_asked_before_there_is_a_connection_waits_for_it(server: ServerProcess) -> None:
    game = visit(server, queue=1)
    answers: queue.Queue[int | None] = queue.Queue()
    assert game.send_message("ready", {"status": "ready"}) == "queued"
    with pytest.raises(ClientError, match="1 messages wait"):
        game.send_message("ready", {"status": "ready"})
    asking = threading.Thread(target=lambda: answers.put(game.request("ready", {"status": "not_ready"})))
    asking.start()
    until(lambda: len(game._client._keeper.requests.unanswered) == 2)
    with game:
        assert answers.get(timeout=STEP_TIMEOUT_S) == 4
    asking.join()


def test_who_never_connects_may_disconnect_all_the_same(server: ServerProcess) -> None:
    game = visit(server)
    game.disconnect()
    assert game.state is ClientState.CLOSED
    game.disconnect()
    with pytest.raises(ClientError, match="another visit"):
        game.connect()


def test_sys_exit_in_a_handler_is_a_fault_like_others(server: ServerProcess) -> None:
    faults: queue.Queue[object] = queue.Queue()
    with visit(server) as game:
        game.on("fault", lambda event: faults.put(str(event["error"])))
        game.on("player_ready", lambda _: sys.exit(1))
        game.request("ready", {"status": "ready"})
        assert faults.get(timeout=STEP_TIMEOUT_S) == "sys.exit ends no program from here"
        assert game.request("ready", {"status": "not_ready"}) == 4
