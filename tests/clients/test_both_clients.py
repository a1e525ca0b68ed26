"""One table of hardships, both clients, a real server, a bad network between: nothing missing, nothing twice."""

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from app import __version__
from tools.harness.player import SOLUTION, Player
from tools.harness.proxy import FaultProxy
from tools.harness.server import ROOT, SOURCES, STEP_TIMEOUT_S, UNLIMITED, ServerProcess, until
from tools.harness.tokens import token

HERE = Path(__file__).parent
COMMANDS = {
    "python": [sys.executable, str(HERE / "driver.py")],
    "javascript": ["node", str(ROOT / "tests/node/driver.mjs")],
}
NO_SUCH_GAME = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2aff"


class Client:
    """A client in a process of its own; `said` keeps every line."""

    def __init__(self, language: str, url: str, game_id: str, mine: str, *fresh: str, **options: Any) -> None:
        config = {"url": url, "game_id": game_id, "token": mine, "fresh_tokens": fresh, "options": options}
        self._process = subprocess.Popen(
            [*COMMANDS[language], json.dumps(config)],
            cwd=ROOT / "tests/node" if language == "javascript" else ROOT,
            env=None if language == "javascript" else {"PYTHONPATH": SOURCES, "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: list[dict[str, Any]] = []
        self.output = ""
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            if kind is None:
                self.do("quit")
                self._process.wait(STEP_TIMEOUT_S)
            else:
                self._process.kill()
        self._reader.join(STEP_TIMEOUT_S)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(STEP_TIMEOUT_S)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """As a frozen tab or a laptop that sleeps."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def do(self, what: str, **arguments: Any) -> None:
        """Send a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        self._process.stdin.flush()

    def hear(self, kind: str, **fields: Any) -> Any:
        """Wait for the next line of a kind; its value, an object, has these fields."""
        while True:
            try:
                line = self._lines.get(timeout=STEP_TIMEOUT_S)
            except queue.Empty:
                raise AssertionError(f"the client says nothing more; it said: {self.output[-3000:]}") from None
            assert line is not None, f"the client has ended; it said: {self.output[-3000:]}"
            self.output += line
            assert line.startswith("{"), self._rest(line)
            said = json.loads(line)
            self.said.append(said)
            value = said.get(kind)
            if value is not None and all(value.get(key) == wanted for key, wanted in fields.items()):
                return value

    def _rest(self, line: str) -> str:
        self._process.kill()
        return line + "".join(rest for rest in iter(self._lines.get, None) if rest)

    def message(self, type: str, **data: Any) -> dict[str, Any]:
        """Wait for a message."""
        while True:
            message: dict[str, Any] = self.hear("message", type=type)
            if all(message["data"].get(key) == value for key, value in data.items()):
                return message

    @property
    def seqs(self) -> list[int]:
        """Of the durable events so far."""
        return [said["message"]["seq"] for said in self.said if "seq" in said.get("message", {})]

    def assert_whole(self) -> None:
        """Each event once, in order, none missing."""
        assert self.seqs
        assert self.seqs == list(range(self.seqs[0], self.seqs[0] + len(self.seqs)))


@pytest.fixture(params=COMMANDS)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), finished_linger_s=30, **UNLIMITED) as process:
        yield process


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[FaultProxy]:
    with FaultProxy(int(server.settings["PORT"])) as one:
        yield one


@contextmanager
def playing(
    language: str, server: ServerProcess, proxy: FaultProxy, *fresh: str, **options: Any
) -> Iterator[tuple[Client, str]]:
    """A client in a game of two, connected through the proxy."""
    game_id = server.new_game(token("host"))
    with Client(language, proxy.ws_url, game_id, token("ann"), *fresh, **options) as client:
        client.do("connect")
        client.message("player_joined", player_id="ann")
        yield client, game_id


def finish(client: Client, server: ServerProcess, game_id: str) -> None:
    """Race to the end against another player."""
    with Player(server, game_id, token("bob")) as bob:
        bob.send("ready")
        client.do("request", type="ready", data={"status": "ready"})
        client.message("game_started")
        client.do("request", type="submit_code", data={"code": SOLUTION})
        client.message("game_finished")
    client.assert_whole()


def test_a_client_says_what_it_is_also_when_it_comes_back(language: str, tmp_path: Path) -> None:
    """Its own name and version, another's where it is told so, none; what the service's URL has besides is kept."""
    ours = f"code-racer-{language}/{__version__}"
    with (
        ServerProcess(tmp_path, client_releases="race-web/1.4.0", **UNLIMITED) as server,
        FaultProxy(int(server.settings["PORT"])) as proxy,
    ):
        with playing(language, server, proxy) as (client, _):
            proxy.cut()
            client.message("welcome", resumed=True)
        with playing(language, server, proxy, client="race-web/1.4.0"):
            pass
        with playing(language, server, proxy, client=""):
            pass
        game_id = server.new_game(token("host"))
        with Client(language, f"{server.ws_url}?client=race-web/1.4.0&key=a%20b", game_id, token("ann")) as client:
            client.do("connect")
            client.message("welcome")
        counted = server.metrics()
        by_client = {
            key.split('"')[1]: count
            for key, count in counted.items()
            if key.startswith("code_racer_ws_client_connections_total") and count
        }
    nameless = "python" if language == "python" else "none"
    assert by_client == {ours: 2, "race-web/1.4.0": 2, nameless: 1}


def test_what_the_player_met_is_told(language: str, tmp_path: Path) -> None:
    """The first time: attempts that failed, and all the waiting; when it comes back: how long it was away."""
    with (
        ServerProcess(tmp_path, **UNLIMITED) as server,
        FaultProxy(int(server.settings["PORT"])) as proxy,
        Client(language, proxy.ws_url, server.new_game(token("host")), token("ann")) as client,
    ):
        proxy.refusing, proxy.delay_s = True, 0.02
        client.do("connect")
        until(lambda: proxy.accepted)
        proxy.refusing = False
        client.message("player_joined", player_id="ann")
        client.do("request", type="ready", data={"status": "not_ready"})
        client.hear("answer")  # what is sent after hello is answered after it
        ours = {"client": f"code-racer-{language}/{__version__}"}
        assert server.metric("ws_client_hellos_total", **ours, arrival="first") == 1
        failed = server.metric("ws_client_failed_attempts_total", **ours)
        assert 1 <= failed < proxy.accepted
        opened_s, joined_s = (server.metric(f"ws_client_{step}_seconds_sum") for step in ("open", "join"))
        assert 0.04 <= opened_s < joined_s
        assert server.metric("ws_client_outage_seconds_count") == 0
        proxy.cut()
        client.message("welcome", resumed=True)
        client.do("request", type="ready", data={"status": "not_ready"})
        client.hear("answer")
        assert server.metric("ws_client_hellos_total", **ours, arrival="again") == 1
        assert server.metric("ws_client_join_seconds_count") == 1
        assert server.metric("ws_client_outage_seconds_count") == 1
        assert server.metric("ws_client_outage_seconds_sum") >= 0.06
        assert server.metric("ws_errors_total", code="not_allowed") == 0


def test_a_replica_of_a_release_before_hello_is_not_told_what_it_does_not_understand(
    language: str, tmp_path: Path
) -> None:
    """Else a rolling deploy, in which new clients meet old replicas, looks like a release of broken clients."""
    with (
        ServerProcess(tmp_path, "tools.harness.before_hello", **UNLIMITED) as server,
        Client(language, server.ws_url, server.new_game(token("host")), token("ann")) as client,
    ):
        client.do("connect")
        welcome = client.message("welcome")
        assert "accepts" not in welcome["data"]
        client.do("request", type="ready", data={"status": "not_ready"})
        client.hear("answer")  # what is sent after the welcome is answered after it
        assert server.metric("ws_connections") == 1
        assert server.metric("ws_errors_total", code="unknown_type") == 0
        assert server.metric("ws_troubled_connections_total", trouble="not_understood") == 0


def test_a_slow_network(language: str, server: ServerProcess, proxy: FaultProxy) -> None:
    proxy.delay_s = 0.02
    with playing(language, server, proxy) as (client, game_id):
        finish(client, server, game_id)
        client.do("metrics")
        metrics = client.hear("metrics")
    assert metrics["connection_count"] == 1
    assert metrics["message_count"] >= len(client.seqs)
    assert metrics["rtt_s"] >= (0.04 if language == "python" else 40)
    assert (metrics["error_count"], metrics["reconnect_count"], metrics["resume_count"]) == (0, 0, 0)


def test_a_cut_in_mid_race(language: str, server: ServerProcess, proxy: FaultProxy) -> None:
    with playing(language, server, proxy) as (client, game_id):
        with Player(server, game_id, token("bob")) as bob:
            bob.until("player_joined", player_id="bob")
            client.message("player_joined", player_id="bob")
            proxy.cut()
            bob.send("ready")
            client.message("player_reconnected", player_id="ann")
        finish(client, server, game_id)
        client.do("metrics")
        metrics = client.hear("metrics")
    assert (metrics["connection_count"], metrics["reconnect_count"], metrics["resume_count"]) == (2, 1, 1)


def test_a_connection_that_looks_alive_and_is_not(language: str, server: ServerProcess, proxy: FaultProxy) -> None:
    with playing(language, server, proxy, ping_interval_s=0.2, pong_timeout_s=3) as (client, game_id):
        client.message("pong")
        proxy.freeze()
        client.message("welcome", resumed=True)
        finish(client, server, game_id)


def test_a_frame_that_got_lost_is_noticed_by_the_gap(language: str, server: ServerProcess, proxy: FaultProxy) -> None:
    with playing(language, server, proxy) as (client, game_id):
        proxy.lose_next(b'"player_ready"')
        client.do("send", type="ready", data={"status": "ready"})
        until(lambda: proxy.lose is None)
        client.do("send", type="ready", data={"status": "not_ready"})
        client.message("player_ready", status="ready")
        client.message("player_ready", status="not_ready")
        finish(client, server, game_id)


def test_a_frame_that_came_twice_is_handed_on_once(language: str, server: ServerProcess, proxy: FaultProxy) -> None:
    with playing(language, server, proxy) as (client, game_id):
        proxy.double_next(b'"player_ready"')
        client.do("request", type="ready", data={"status": "ready"})
        client.hear("answer")
        assert proxy.double is None
        finish(client, server, game_id)


def test_a_request_whose_answer_got_lost_is_applied_once(
    language: str, server: ServerProcess, proxy: FaultProxy
) -> None:
    with playing(language, server, proxy) as (client, game_id):
        proxy.cut_instead_of(b'"ack"')
        client.do("request", type="ready", data={"status": "ready"})
        seq = client.hear("answer")["seq"]
        ready = [said["message"] for said in client.said if said.get("message", {}).get("type") == "player_ready"]
        assert [message["seq"] for message in ready] == [seq]
        assert proxy.accepted >= 2
        finish(client, server, game_id)


def test_nobody_answers(language: str, proxy: FaultProxy) -> None:
    proxy.refusing = True
    with Client(language, proxy.ws_url, NO_SUCH_GAME, token("ann"), max_reconnect_attempts=3) as client:
        client.do("connect")
        client.hear("end")
    waits = [said["waits_s"] for said in client.said if "waits_s" in said]
    assert len(waits) == 3
    assert all(0 <= wait <= 2**attempt for attempt, wait in enumerate(waits, start=1))


def test_a_network_that_swallows_everything(language: str, proxy: FaultProxy) -> None:
    proxy.swallowing = True
    options = {"max_reconnect_attempts": 1, "open_timeout_s": 0.3}
    with Client(language, proxy.ws_url, NO_SUCH_GAME, token("ann"), **options) as client:
        client.do("connect")
        assert client.hear("end")["code"] == 0
    assert proxy.accepted >= 2


@pytest.mark.parametrize(
    ("game_id", "mine", "code", "says"),
    [
        (NO_SUCH_GAME, "good", 404, "no such game"),
        (NO_SUCH_GAME, "marked-nonsense", 401, "malformed"),
        ("no-uuid", "good", 400, "no UUID"),
    ],
)
def test_a_refusal_is_final_and_says_why(
    language: str, proxy: FaultProxy, game_id: str, mine: str, code: int, says: str
) -> None:
    with Client(language, proxy.ws_url, game_id, token("ann") if mine == "good" else mine) as client:
        client.do("connect")
        end = client.hear("end")
    assert end["code"] == code
    assert says in end["detail"]
    assert "marked-nonsense" not in client.output


def test_being_replaced_is_final(language: str, server: ServerProcess, proxy: FaultProxy) -> None:
    with playing(language, server, proxy) as (client, game_id), Player(server, game_id, token("ann")):
        assert client.hear("end")["code"] == 4409


def test_leaving_is_final_and_a_wait_the_server_asked_for_is_no_attempt(language: str, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, restart_hint_s=0.5).start()
    game_id = server.new_game(token("host"))
    with (
        FaultProxy(int(server.settings["PORT"])) as proxy,
        Client(language, proxy.ws_url, game_id, token("ann"), max_reconnect_attempts=0) as client,
    ):
        client.do("connect")
        client.message("player_joined", player_id="ann")
        proxy.refusing = True
        server.stop()
        told = client.message("disconnect")["data"]
        assert told["code"] == 1012
        assert client.hear("waits_s") == pytest.approx(told["retry_after_ms"] / 1000, abs=0.001)
        end = client.hear("end")
        assert end["code"] in {0, 1006}, "no attempt was left once nobody asked to wait"
    server.start()
    with Client(language, server.ws_url, game_id, token("ann")) as client:
        client.do("connect")
        client.message("welcome")
        client.do("request", type="leave", data={})
        assert client.hear("end")["code"] == 1000
    assert server.stop() == 0


def test_a_fetch_that_never_settles_holds_up_no_client(server: ServerProcess) -> None:
    """Where an upgrade fails, a browser's client asks why; that is how it asks."""
    options = {"max_reconnect_attempts": 0, "open_timeout_s": 0.3, "deaf_fetch": True}
    with Client("javascript", server.ws_url, NO_SUCH_GAME, token("ann"), **options) as client:
        client.do("connect")
        assert client.hear("end") == {"code": 0, "detail": "no answer"}


def test_a_client_that_stood_still_comes_back_when_it_was_told_to(language: str, tmp_path: Path) -> None:
    """It answered no ping, and was closed; what it was told before that waits for it."""
    with ServerProcess(tmp_path, ping_interval_s=0.5, ping_timeout_s=3, close_timeout_s=60) as server:
        game_id = server.new_game(token("host"))
        with Client(language, server.ws_url, game_id, token("ann"), max_reconnect_attempts=0) as client:
            client.do("connect")
            client.message("player_joined", player_id="ann")
            with client.standing_still():
                server.wait_for_log("ws.closed", reason="ping_timeout")
            told = client.message("disconnect", reason="ping_timeout")["data"]
            assert (told["code"], told["reconnect"]) == (1011, True)
            assert 1_000 <= told["retry_after_ms"] <= 5_000
            assert client.hear("waits_s") == pytest.approx(told["retry_after_ms"] / 1000, abs=0.001)
            client.message("player_reconnected", player_id="ann")
            client.assert_whole()


def test_a_token_that_runs_out_is_renewed_on_the_open_connection(language: str, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, token_expiring_notice_s=3, jwt_leeway_s=0) as server:
        game_id = server.new_game(token("host"))
        with Client(language, server.ws_url, game_id, token("ann", 6), token("ann", 600)) as client:
            client.do("connect")
            client.hear("refreshed")
            server.wait_for_log("ws.authenticated", player_id="ann", kind="refresh")
            finish(client, server, game_id)
        assert not server.logged("ws.closed", reason="token_expired")


def test_a_refused_token_is_replaced_once(language: str, server: ServerProcess, proxy: FaultProxy) -> None:
    game_id = server.new_game(token("host"))
    with Client(language, proxy.ws_url, game_id, token("ann", -60), token("ann")) as client:
        client.do("connect")
        client.hear("refreshed")
        client.message("player_joined", player_id="ann")
    with Client(language, proxy.ws_url, game_id, token("ann", -60), token("ann", -50), token("ann")) as client:
        client.do("connect")
        assert client.hear("end")["code"] == 401
    assert [said for said in client.said if "refreshed" in said] == [{"refreshed": True}]


def test_many_small_messages_go_in_few_frames_and_wait_for_the_connection(
    language: str, server: ServerProcess, proxy: FaultProxy
) -> None:
    with playing(language, server, proxy) as (client, _):
        before = server.metric("ws_messages_total", direction="in", type="batch")
        pings = [{"type": "ping", "data": {"timestamp": number}} for number in range(1000, 1025)]
        client.do("batch", messages=pings)
        for number in range(1000, 1025):
            client.message("pong", timestamp=number)
        assert server.metric("ws_messages_total", direction="in", type="batch") - before in {3, 4}
        proxy.cut()
        client.do("batch", messages=pings[:5])
        for number in range(1000, 1005):
            client.message("pong", timestamp=number)


def test_the_pool_closes_what_it_evicts(language: str, server: ServerProcess, proxy: FaultProxy) -> None:
    games = [server.new_game(token("host")) for _ in range(6)]
    seen = len(server.logged("ws.closed", player_id="pooled", code=1000))
    with Client(language, proxy.ws_url, games[0], token("pooled")) as client:
        client.do("pool", games=games)
        assert client.hear("pool") == games[1:]
    server.wait_for_log("ws.closed", player_id="pooled", game_id=games[0], code=1000)
    until(lambda: len(server.logged("ws.closed", player_id="pooled", code=1000)) == seen + 6)


@pytest.mark.parametrize("auth", ["subprotocol", "ticket", "message", "query"])
def test_each_way_a_browser_can_send_its_token(server: ServerProcess, proxy: FaultProxy, auth: str) -> None:
    with playing("javascript", server, proxy, auth=auth) as (client, game_id):
        proxy.cut()
        client.message("welcome", resumed=True)
        finish(client, server, game_id)


@pytest.mark.parametrize("auth", ["subprotocol", "ticket", "message", "query"])
def test_each_way_learns_that_the_token_is_no_good(server: ServerProcess, proxy: FaultProxy, auth: str) -> None:
    game_id = server.new_game(token("host"))
    with Client("javascript", proxy.ws_url, game_id, token("ann", -600), auth=auth) as client:
        client.do("connect")
        end = client.hear("end")
    assert end["code"] == (4401 if auth == "message" else 401)
