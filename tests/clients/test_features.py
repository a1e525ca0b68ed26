"""What the clients offer beside staying connected, the same in both languages: the queue, waiting, debugging."""

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from code_racer_client import GameWebSocket
from tests.clients.features import Scenarios
from tests.clients.left import nothing_left
from tools.harness.proxy import FaultProxy
from tools.harness.server import ROOT, STEP_TIMEOUT_S, UNLIMITED, ServerProcess
from tools.harness.tokens import token

pytestmark = pytest.mark.anyio

LOST = {"python": "disconnected with 1006", "javascript": "the connection was lost"}
EXPECTED: dict[str, dict[str, Any]] = {
    "kept": {
        "answers": ["queued", False, "queued", False, "queued", "sent"],
        "heard": ["ready", "not_ready", "ready", "not_ready", "ready", "not_ready"],
        "acks": 5,  # of three that waited, and of two requests: none is sent twice
    },
    "bounded": {"answers": ["queued", "queued", False, "queued", "queued", False]},
    "unbidden": {"answers": [False]},
    "dropped": {"type": "ready", "data": {"status": "ready"}, "error": "Error", "after": False},
    "rejected": {"code": "invalid_data"},
    "since": {"answers": ["ready", "not_ready", "TimeoutError", "TimeoutError", "ready", "ready", "over"]},
    "cut_short": {"answers": ["over"]},
    "measured": {"is_ours": True},
    "nowhere": {"refused": 9},
    "unsendable": {"kind": "TypeError"},
    "mistaken": {"kinds": ["TypeError"], "last": None, "least": "idle"},
    "unwelcome": {"attempt": 1},
    "present": {
        "seen": ["", "ann", "ann bob", "ann bob+", "ann bob+?", "ann bob+", "ann"],
        "last": ["ann"],
        "bob": None,
    },
    "resumed": {"resumed": True, "players": ["ann"]},
    "asked": {
        "names": ["Ann", True, True, "running-total", True],
        "problems": True,
        "refusals": [
            ["Refused", 404, "not_found"],
            ["Refused", 404, "not_found"],
            ["Refused", 404, "not_found"],
            ["Refused", 400, "bad_request"],
            ["Refused", 401, "unauthorized"],
            ["Refused", 502, ""],
            ["Refused", 403, ""],
            ["Refused", 401, "unauthorized"],
            ["Refused", 302, ""],
        ],
        "ticket": 302,
        "late": True,
        "given": True,
        "foreign": True,
    },
    "debugged": {"told": [True] * 8, "kept": [False] * 3, "why": [1006, LOST]},
}


def expected(name: str, language: str) -> dict[str, Any]:
    """What is to come of a scenario; what is an Error there is a ClientError here."""
    came = dict(EXPECTED[name])
    if name == "dropped" and language == "python":
        came["error"] = "ClientError"
    if name == "asked" and language == "python":  # it has no tickets to connect with
        del came["ticket"]
    if name == "debugged":
        came["why"] = [1006, LOST[language]]
    return came


class Network:
    """What lies between, as a scenario wants it."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy

    def be(self, how: str) -> None:
        """Refuse or swallow everything from now on, let through again, or cut what there is."""
        self._proxy.refusing = how == "refuse"
        self._proxy.swallowing = how == "swallow"
        if how != "heal":
            self._proxy.cut()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), max_games_per_player=1_000, **UNLIMITED) as process:
        yield process


@pytest.fixture(scope="module")
def proxy(server: ServerProcess) -> Iterator[FaultProxy]:
    with FaultProxy(int(server.settings["PORT"])) as one:
        yield one


class _Gateway(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/elsewhere":  # as a document of ours, also of tickets
            self._answer(HTTPStatus.OK, b'{"game_id": "theirs", "ticket": "theirs"}')
        elif self.path.startswith("/moved"):
            self._answer(HTTPStatus.FOUND, b"")
        elif self.path.startswith("/waf/api"):
            self._answer(HTTPStatus.FORBIDDEN, b'{"status": 403, "reason": "forbidden"}')
        else:
            self._answer(HTTPStatus.BAD_GATEWAY, b"<html>bad gateway</html>")

    def do_POST(self) -> None:
        if self.path.startswith("/moved"):
            self._answer(HTTPStatus.FOUND, b"")
        else:
            self._answer(HTTPStatus.OK, b'{"of": "theirs"}')

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(status)
        if status is HTTPStatus.FOUND:
            other_origin = self.headers["host"].replace("127.0.0.1", "localhost")
            self.send_header("location", f"http://{other_origin}/elsewhere")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    """What answers in the service's place."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Gateway) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}"
        one.shutdown()


@pytest.mark.parametrize("name", EXPECTED)
async def test_in_python(server: ServerProcess, proxy: FaultProxy, gateway: str, name: str) -> None:
    network = Network(proxy)

    async def be(how: str) -> None:
        await asyncio.to_thread(network.be, how)

    game_id = server.new_game(token("host"))
    await asyncio.to_thread(lambda: None)  # its thread stays
    async with nothing_left(proxy.port):
        scenarios = Scenarios(proxy.ws_url, token("ann"), token("bob"), gateway, be)
        came = await getattr(scenarios, name)(game_id)
        assert scenarios.ws is not None
        await scenarios.ws.disconnect()
    assert came == expected(name, "python")


async def test_a_message_that_the_service_wants_later_does_not_hold_up_the_end() -> None:
    waits = asyncio.Event()

    async def sleep(_: float) -> None:
        waits.set()
        await asyncio.Event().wait()

    ws = GameWebSocket("id", token("ann"), "ws://127.0.0.1:1", queue=2, sleep=sleep)
    dropped: list[str] = []
    ws.on("dropped", lambda event: dropped.append(str(event["error"])))
    async with nothing_left(), asyncio.timeout(STEP_TIMEOUT_S):
        assert await ws.send_message("ready", {}, id="one") == "queued"
        ws._keeper.requests.on_error({"id": "one", "code": "rate_limited", "retry_after_ms": 600_000})
        await waits.wait()
        assert await ws.send_message("leave", {}) == "queued"
        await ws.disconnect()
    assert dropped == ["disconnected", "disconnected"]


async def test_a_message_that_waits_has_its_place_at_once() -> None:
    ws = GameWebSocket("id", token("ann"), "ws://127.0.0.1:1", queue=1)
    await ws.send_message("ready", {})
    assert len(ws._keeper.requests.unanswered) == 1
    await ws.disconnect()


@pytest.fixture(scope="module")
def came_in_node(server: ServerProcess, proxy: FaultProxy, gateway: str) -> dict[str, Any]:
    """One process for all of them; it ends by itself, as nothing is left to wait for."""
    network, came = Network(proxy), {}
    config = {
        "url": proxy.ws_url,
        "token": token("ann"),
        "other": token("bob"),
        "gateway": gateway,
        "games": {name: server.new_game(token("host")) for name in EXPECTED},
    }
    with subprocess.Popen(
        ["node", "features.mjs", json.dumps(config)],
        cwd=ROOT / "tests/node", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(STEP_TIMEOUT_S, process.kill)
        watchdog.start()
        for line in process.stdout:
            assert line.startswith("{"), line + process.stdout.read()
            said = json.loads(line)
            if "network" in said:
                network.be(said["network"])
                process.stdin.write("done\n")
                process.stdin.flush()
            else:
                came[said["name"]] = said["came"]
        watchdog.cancel()
    return came


@pytest.mark.parametrize("name", EXPECTED)
def test_in_javascript(came_in_node: dict[str, Any], name: str) -> None:
    assert came_in_node.get(name) == expected(name, "javascript")
