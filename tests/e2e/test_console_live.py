"""What the console tells of a running service besides its lists: hot, closes, slow, live, diagnostics."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tools.harness import fetch
from tools.harness.player import Player
from tools.harness.server import UNLIMITED, ServerProcess, until
from tools.harness.tokens import token

CODE = "def solve(numbers, limit):\n    return 'submitted-code-is-nobodys-business'\n"
MAX_WATCHERS = 3


class Watching:
    """One who watches, from a thread; the answer stays open until the block ends."""

    def __init__(self, server: ServerProcess) -> None:
        self.events: list[tuple[str, Any]] = []
        self.is_over = threading.Event()
        self._is_left = False
        self._stream = httpx.stream("GET", f"{server.http_url}/ops/api/watch", verify=fetch.trust())
        self.answer: httpx.Response = self._stream.__enter__()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        name = ""
        for line in self.answer.iter_lines():
            if self._is_left:
                break
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                self.events.append((name, json.loads(value)))
        self._stream.__exit__(None, None, None)
        self.is_over.set()

    def told(self, name: str) -> list[Any]:
        return [data for event, data in self.events if event == name]

    def join(self) -> None:
        assert self.is_over.wait(30)
        self._thread.join()

    def leave(self) -> None:
        """Watch no more; the next event, within a second, ends it."""
        self._is_left = True
        self.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"slow_message_s": 1e-9, "ops_max_watchers": MAX_WATCHERS, **UNLIMITED}
    with ServerProcess(tmp_path_factory.mktemp("console"), **settings) as server:
        yield server


@pytest.fixture
def player(server: ServerProcess) -> Iterator[Player]:
    """One who plays, has sent a few messages, code among them, and one that is nonsense."""
    game_id = server.new_game(token("host"), min_players=1)
    with Player(server, game_id, token("ann")) as player:
        player.send("nonsense")
        player.until("error")
        player.send("ready", {"status": "ready"})
        player.until("game_started")
        player.send("submit_code", {"code": CODE, "language": "python"})
        player.until("submission_result")
        yield player


def ask(server: ServerProcess, path: str, **parameters: Any) -> Any:
    answer = fetch.get(f"{server.http_url}/ops/api/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    assert "submitted-code" not in answer.text
    assert "eyJ" not in answer.text
    return answer.json()


@pytest.mark.usefixtures("player")
def test_who_is_hot(server: ServerProcess) -> None:
    first = ask(server, "hot")["rows"][0]
    assert (first["player_id"], first["kind"], first["address"]) == ("ann", "connection", "127.0.0.1")
    assert first["count"] > 3
    (game,) = ask(server, "hot", by="errors", kind="game")["rows"]
    assert game["key"] == first["game_id"]
    assert ask(server, "hot", by="messages", over_s=0.01)["rows"] == []


def test_why_she_was_disconnected(server: ServerProcess, player: Player) -> None:
    player.ws.send(b"binary")
    assert player.until_closed()[0] == 1003
    (close,) = ask(server, "closes", player="ann", limit=1)["rows"]
    assert (close["kind"], close["code"], close["reason"]) == ("close", 1003, "binary_unsupported")
    assert (close["initiator"], close["address"]) == ("server", "127.0.0.1")
    assert close["duration_s"] > 0
    assert server.wait_for_log("ws.closed", connection_id=close["connection_id"])["code"] == 1003
    assert "ann" in {row["key"] for row in ask(server, "hot", by="reconnects")["rows"]}


def test_who_was_refused(server: ServerProcess) -> None:
    fetch.get(f"{server.http_url}/ws/{'0' * 8}", headers={"upgrade": "websocket", "connection": "upgrade"})
    refusals = [row for row in ask(server, "closes")["rows"] if row["kind"] == "refusal"]
    assert refusals
    assert refusals[0]["address"] == "127.0.0.1"
    assert server.wait_for_log("ws.refused", outcome=refusals[0]["reason"])["detail"] == refusals[0]["detail"]
    assert ask(server, "hot", by="refusals")["rows"][0]["key"] == "127.0.0.1"


@pytest.mark.usefixtures("player")
def test_which_messages_were_slow(server: ServerProcess) -> None:
    slow = ask(server, "slow")
    assert slow["slow_s"] == 1e-9
    assert {"ready", "submit_code"} <= {row["type"] for row in slow["rows"]}
    durations = [row["duration_s"] for row in slow["rows"]]
    assert durations == sorted(durations, reverse=True)
    assert {row["player_id"] for row in slow["rows"]} == {"ann"}


@pytest.mark.parametrize(
    "query",
    ["hot?by=weight", "hot?kind=team", "hot?over_s=61", "hot?over_s=-1", "hot?by=outbox&over_s=1",
     "hot?by=refusals&kind=player", "closes?limit=0", "closes?limit=201", f"closes?player={'x' * 257}"],
)  # fmt: skip
def test_what_is_asked_for_wrongly_is_answered_with_a_problem(server: ServerProcess, query: str) -> None:
    answer = fetch.get(f"{server.http_url}/ops/api/{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_who_watches_is_told_how_the_replica_is_alone_and_one_too_many_is_refused(
    server: ServerProcess, player: Player
) -> None:
    watching = [Watching(server) for _ in range(MAX_WATCHERS)]
    try:
        refused = fetch.get(f"{server.http_url}/ops/api/watch")
        assert refused.status_code == 429
        assert "OPS_MAX_WATCHERS" in refused.json()["detail"]
        player.ws.send(b"binary")
        player.until_closed()
        before = len(watching[0].told("replica"))
        until(lambda: all(len(one.told("replica")) > before + 2 for one in watching))
        for one in watching:
            assert one.answer.headers["content-type"].startswith("text/event-stream")
            assert one.answer.headers["cache-control"] == "no-store"
            assert one.told("replica")[0]["connections"] >= 0
            assert {name for name, _ in one.events} == {"replica"}, "what nobody reads costs who is watched"
    finally:
        for one in watching:
            one.leave()
    until(lambda: _can_watch(server))


def _can_watch(server: ServerProcess) -> bool:
    with httpx.stream("GET", f"{server.http_url}/ops/api/watch", verify=fetch.trust()) as answer:
        return answer.status_code == 200


def test_where_its_tasks_and_threads_are(server: ServerProcess) -> None:
    tasks = ask(server, "diagnostics/tasks")
    assert "sweep" in {group["name"] for group in tasks["groups"]}
    assert any("app/realtime/overload.py" in place for group in tasks["groups"] for place in group["stack"])
    assert "log-writer" in {thread["name"] for thread in ask(server, "diagnostics/threads")["threads"]}
    garbage = ask(server, "diagnostics/gc")
    assert garbage["generations"]
    assert garbage["is_enabled"], "it is not while a server is made"
    assert ask(server, "diagnostics/descriptors")["kinds"]["socket"] >= 1
    until(lambda: ask(server, "diagnostics/lag")["worst_s"])


def test_a_profile_shows_what_the_service_does(server: ServerProcess, player: Player) -> None:
    is_over = threading.Event()

    def play() -> None:
        while not is_over.is_set():
            for _ in range(200):
                player.send("ping", {"timestamp": 1})
            for _ in range(200):
                player.until("pong")

    playing = threading.Thread(target=play)
    playing.start()
    try:
        answer = fetch.post(
            f"{server.http_url}/ops/api/diagnostics/profile", json={"seconds": 2, "reason": "it is slow"}
        )
    finally:
        is_over.set()
        playing.join()
    assert answer.status_code == 200, answer.text
    profile = answer.json()
    assert profile["looks"] > 0
    server.wait_for_log("operator.acted", action="profile", outcome="done", reason="it is slow")
    assert "app/realtime/connection/inbox.py:Inbox.take" in profile["collapsed"]
    assert "Inbox.take" in profile["svg"]
    assert "submitted-code" not in answer.text


def test_memory_is_told_by_the_line_that_took_it(server: ServerProcess) -> None:
    url = f"{server.http_url}/ops/api/diagnostics"
    answer = fetch.post(f"{url}/memory", json={"seconds": 0.1, "reason": "it grows"})
    assert answer.status_code == 200
    assert answer.json()["blocks"] > 0
    server.wait_for_log("operator.acted", action="trace_memory", outcome="done", reason="it grows")
    for seconds in (0, 61, "long"):
        assert fetch.post(f"{url}/profile", json={"seconds": seconds, "reason": "it is slow"}).status_code == 400


def test_a_second_profile_waits_for_nobody(server: ServerProcess) -> None:
    url = f"{server.http_url}/ops/api/diagnostics/profile"
    first = threading.Thread(target=lambda: fetch.post(url, json={"seconds": 2, "reason": "first"}))
    first.start()
    until(lambda: "Sampler.run" in json.dumps(ask(server, "diagnostics/threads")))
    second = fetch.post(url, json={"seconds": 1, "reason": "second"})
    first.join()
    assert second.status_code == 409
    for outcome, reason in (("done", "first"), ("refused", "second")):
        server.wait_for_log("operator.acted", operator="development", outcome=outcome, reason=reason)
    assert "a profile" in second.json()["detail"]


def test_a_signal_writes_the_cheap_ones_to_the_log(server: ServerProcess) -> None:
    os.kill(server.pid, signal.SIGUSR2)
    told = server.wait_for_log("app.diagnosed")
    assert told["tasks"] > 3
    assert told["descriptors"]["socket"] >= 1
    sweep = server.wait_for_log("app.stack", kind="task", name="sweep")
    assert "app/realtime/room/sweeper.py" in sweep["stack"]
    assert server.wait_for_log("app.stack", kind="thread", name="log-writer")


def test_a_flood_of_that_signal_is_answered_now_and_then(server: ServerProcess) -> None:
    server.until_all_is_logged()
    before = len(server.logged("app.diagnosed"))
    for _ in range(20):
        os.kill(server.pid, signal.SIGUSR2)
        ask(server, "diagnostics/lag")
    server.until_all_is_logged()
    assert len(server.logged("app.diagnosed")) - before < 10


def test_streams_and_profiles_end_with_the_service(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, ops_port=0).start()
    watching = Watching(server)
    until(lambda: watching.told("replica"))
    answers: list[httpx.Response] = []
    url = f"{server.http_url}/ops/api/diagnostics/profile"
    profiling = threading.Thread(
        target=lambda: answers.append(fetch.post(url, json={"seconds": 60, "reason": "it is slow"}))
    )
    profiling.start()
    until(lambda: "Sampler.run" in json.dumps(ask(server, "diagnostics/threads")))
    assert server.stop() == 0
    profiling.join()
    watching.join()
    assert answers[0].json()["seconds"] < 60
    worse = [record for record in server.records() if record["level"] in {"warning", "error"}]
    assert {record["event"] for record in worse} == {"operator.acted"}
