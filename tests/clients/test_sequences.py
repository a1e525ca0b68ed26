"""The rules of docs/clients.md, row by row: what an application calls, and what becomes of the client by it.

The JavaScript client plays each row against a real server, through a network that can be cut. A row is over when
nothing keeps its process alive: no socket, no timer, no request.
"""

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tools.harness.proxy import FaultProxy
from tools.harness.server import ROOT, STEP_TIMEOUT_S, UNLIMITED, ServerProcess
from tools.harness.tokens import token

THROWN = "the application's own"
PROBLEM = "application/problem+json"
BAD_TOKEN = "the token has a character that no token has"


@dataclass(frozen=True)
class Row:
    """One row: `steps` are calls (with ``+`` in one turn), cuts, or what is waited for next; `expected` comes of it.

    `heard` are the states and own events, in order; None: not looked at. A handler misbehaves the first time it is
    called with what `handlers` names.
    """

    name: str
    steps: str
    heard: str | None = None
    handlers: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    expected: dict[str, Any] = field(default_factory=dict)


def _fault(type: str) -> dict[str, Any]:
    return {"faults": [f"{type}: {THROWN}"]}


AROUND_A_CUT = "connecting open waiting retry reconnecting open closed"
CUT = "connect, welcome, pong, cut, waiting, open, disconnect, closed"

CALLS = (
    Row(
        "what is begun and ended in one turn makes no socket of its own",
        "connect+disconnect+connect, open, disconnect, closed",
        "connecting closed connecting open closed",
        expected={"sockets": 1},
    ),
    Row(
        "nor while a ticket is fetched",
        "connect+disconnect+connect, open, disconnect, closed",
        options={"auth": "ticket"},
        expected={"sockets": 1},
    ),
    Row(
        "nor while the token is renewed",
        "connect, end, connect+disconnect+connect, open, disconnect, closed",
        more={"token": "marked.old.token", "fresh": ["no.better.token", "fresh", "fresh"]},
        expected={"sockets": 3},
    ),
    Row(
        "who disconnects when told of connecting is not connected",
        "connect, closed",
        "connecting closed",
        {"connecting": "disconnect"},
        expected={"sockets": 0},
    ),
    Row(
        "who disconnects when told that the connection is lost stays away",
        "connect, welcome, cut, closed",
        "connecting open waiting closed",
        {"waiting": "disconnect"},
        expected={"sockets": 1},
    ),
    Row(
        "nor does who is told of the next try come back",
        "connect, welcome, cut, closed",
        "connecting open waiting retry closed",
        {"retry": "disconnect"},
        expected={"sockets": 1},
    ),
    Row(
        "who disconnects is handed on no more, and asks for it again another time",
        "connect, welcome, two events in one turn, closed",
        handlers={"player_ready": "disconnect"},
        expected={"answers": [2, 1, 1]},
    ),
    Row(
        "who does not want to wait tries at once",
        "connect, welcome, cut, retry, connect, open, disconnect, closed",
        AROUND_A_CUT,
        more={"waits_stay": True},
        expected={"sockets": 2},
    ),
    Row(
        "who begins anew when told that the connection is lost has one socket",
        "connect, welcome, cut, waiting, open, disconnect, closed",
        "connecting open waiting closed connecting open closed",
        {"waiting": "disconnect and connect"},
        more={"waits_stay": True},
        expected={"sockets": 2},
    ),
    Row(
        "who begins anew at the end of it all has all tries again",
        "refuse, connect, end, retry, end",
        "connecting waiting retry connecting closed end connecting waiting retry connecting closed end",
        {"end": "connect"},
        {"maxReconnectAttempts": 1},
        expected={"attempts": [1, 1]},
    ),
    Row(
        "after an end about the token the next begins with a fresh one",
        "connect, end, connect, open, disconnect, closed",
        more={"token": "marked.old.token", "fresh": ["no.better.token", "fresh"]},
        expected={"sockets": 3},
    ),
    Row(
        "one may ask from within a handler",
        "connect, answered, disconnect, closed",
        handlers={"connecting": "request"},
        expected={"answers": ["number"]},
    ),
)

HANDLERS = (
    *(
        Row(f"a handler that {act}s at {at} stops nothing", CUT, AROUND_A_CUT, {at: act}, expected=_fault(type))
        for at, type in (
            ("connecting", "state"),
            ("open", "state"),
            ("waiting", "state"),
            ("retry", "retry"),
            ("welcome", "welcome"),
            ("pong", "pong"),
        )
        for act in ("throw", "reject")
    ),
    Row("a handler that never returns stops nothing", CUT, AROUND_A_CUT, {"waiting": "never"}),
    Row(
        "a handler that throws at the open connection holds up no request",
        "connect, request, disconnect, closed",
        handlers={"open": "throw"},
        expected={"answers": ["number"], **_fault("state")},
    ),
    Row(
        "a handler that throws at the end stops no other",
        "refuse, connect, end",
        handlers={"end": "throw", "closed": "throw"},
        options={"maxReconnectAttempts": 0},
        expected={"faults": [f"state: {THROWN}", f"end: {THROWN}"]},
    ),
    Row(
        "where nobody listens for faults they are on the console",
        CUT,
        AROUND_A_CUT,
        {"waiting": "throw"},
        more={"hears_faults": False},
        expected={"errors": [f"Code Racer: what was called for state failed: Error: {THROWN}"]},
    ),
    Row(
        "a handler of faults that throws is a fault too",
        CUT,
        AROUND_A_CUT,
        {"waiting": "throw"},
        more={"hears_faults": "badly"},
        expected={"errors": ["Code Racer: what was called for fault failed: Error: and another"], **_fault("state")},
    ),
    Row("once is once, and off is never", "once and off, connect, pong, disconnect", expected={"answers": ["once"]}),
)

REQUESTS = (
    Row(
        "a request outlives a cut",
        "connect, welcome, cut, ask, answered, disconnect",
        expected={"answers": ["number"]},
    ),
    Row("a request waits as long as told", "request in 20 ms", expected={"answers": ["TimeoutError"]}),
    Row("a request that was given up is not sent", "request given up", expected={"answers": ["AbortError"]}),
    Row(
        "what cannot be sent is not sent again and again",
        "request with what is no JSON, connect, open, disconnect, closed",
        expected={"answers": ["TypeError"]},
    ),
    Row(
        "the end of the connection is the end of its requests",
        "refuse, connect, ask, retry, disconnect, closed",
        expected={"answers": ["the connection has ended: disconnected"]},
    ),
)

TOKENS = (
    *(
        Row(
            f"a token that ends in {tail!r} is refused here",
            "connect, end",
            "connecting closed end",
            options={"auth": auth},
            more={"token": f"marked.bad.token{tail}"},
            expected={"sockets": 0, "ends": [{"code": 401, "reason": "unauthorized", "detail": BAD_TOKEN}]},
        )
        for tail, auth in (("=", "subprotocol"), ("\n", "subprotocol"), (" x", "subprotocol"), ("\nx", "ticket"))
    ),
    Row(
        "a token with such a character is replaced where it can be",
        "connect, open, disconnect, closed",
        more={"token": "marked.bad.token=", "fresh": ["fresh"]},
        expected={"sockets": 1},
    ),
    Row(
        "a platform that refuses to make the socket ends it, and says nothing of the token",
        "connect, end",
        more={"socket": "throws"},
        expected={
            "ends": [{"code": 0, "reason": "", "detail": "the platform refuses to make the WebSocket (SyntaxError)"}]
        },
    ),
    Row(
        "a network that is away while the token is renewed comes back",
        "connect, open, disconnect, closed",
        "connecting waiting retry connecting waiting retry connecting open closed",
        more={"token": "marked.old.token", "fresh": ["no network", "no network", "fresh"]},
        expected={"sockets": 2, "faults": ["refreshToken: the network is away"] * 2},
    ),
    Row(
        "a renewal that never ends is tried again",
        "connect, open, disconnect, closed",
        options={"openTimeoutMs": 1_000},
        more={"token": "marked.bad.token=", "fresh": ["never", "fresh"]},
        expected={"faults": ["refreshToken: no answer"]},
    ),
    Row(
        "whoever is logged out is told",
        "connect, end",
        "connecting closed end",
        more={"token": "marked.old.token", "fresh": ["logged out"]},
        expected={"end_codes": [401]},
    ),
)

ANSWERS = (
    *(
        Row(
            f"{status} {body or 'nothing'} in the server's place is no answer of ours",
            "connect, retry, retry, disconnect, closed",
            options={"auth": auth},
            more={"gateway": {"status": status, "type": type, "body": body}},
            expected={"ends": [], "attempts": [1, 2]},
        )
        for status, type, body, auth in (
            (200, "text/html", "<html>", "subprotocol"),
            (200, "application/json", "null", "ticket"),
            (201, "application/json", "{}", "ticket"),
            (401, "text/html", "<html>", "subprotocol"),
            (401, PROBLEM, '{"status": 401, "detail": "log in"}', "ticket"),
            (404, PROBLEM, '{"status": 404, "title": "Not Found"}', "subprotocol"),
            (404, PROBLEM, '{"status": 404, "reason": {"of": "theirs"}}', "ticket"),
            (409, PROBLEM, '{"reason": "conflict of theirs"}', "subprotocol"),
            (429, "application/json", '{"retry_after_ms": 5}', "subprotocol"),
            (502, "text/html", "<html>", "ticket"),
            *(
                (503, PROBLEM, f'{{"reason": "draining", "retry_after_ms": {broken}}}', "subprotocol")
                for broken in ('"soon"', "-1", "0", "1e300", "null", "[5]")
            ),
        )
    ),
    Row(
        "what is ours and final is the end, and says why",
        "connect, end",
        more={"gateway": {"status": 409, "type": PROBLEM, "body": '{"reason": "game_full", "detail": "it is full"}'}},
        expected={"ends": [{"code": 409, "reason": "game_full", "detail": "it is full"}]},
    ),
    Row(
        "an upgrade whose refusal no close follows is told all the same",
        "connect, end",
        more={"token": "marked.old.token", "socket": "tells no close"},
        expected={"end_codes": [401]},
    ),
)

OUTAGES = (
    Row(
        "it goes on trying",
        "refuse, connect" + ", retry" * 12 + ", heal, open, disconnect, closed",
        expected={"ends": []},
    ),
    Row("it gives up when told to", "refuse, connect, end", "connecting closed end", options={"giveUpAfterMs": 1}),
    Row(
        "it never gives up when told so",
        "refuse, connect" + ", retry" * 6 + ", disconnect, closed",
        options={"giveUpAfterMs": 0},
        expected={"ends": []},
    ),
)

SIGNS = (
    *(
        Row(
            f"{sign} ends the wait",
            f"connect, welcome, cut, retry, {sign}, open, disconnect, closed",
            AROUND_A_CUT,
            more={"waits_stay": True},
        )
        for sign in ("online", "pageshow", "show", "jump")
    ),
    *(
        Row(f"{sign} has an open connection looked at", f"connect, open, pong, {sign}, pong, disconnect")
        for sign in ("online", "pageshow", "show", "jump")
    ),
    Row(
        "that the network is gone is told at once, and costs no try",
        "connect, welcome, offline, waiting, retry, online, open, disconnect, closed",
        AROUND_A_CUT,
        more={"waits_stay": True},
        expected={"sockets": 2, "attempts": [0]},
    ),
    Row(
        "to be hidden ends no wait",
        "connect, welcome, cut, retry, hide, disconnect, closed",
        "connecting open waiting retry closed",
        more={"waits_stay": True},
    ),
    Row(
        "what the server asked to wait is waited",
        "connect, retry, online, disconnect, closed",
        "connecting waiting retry closed",
        more={
            "waits_stay": True,
            "gateway": {"status": 503, "type": PROBLEM, "body": '{"reason": "draining", "retry_after_ms": 60000}'},
        },
        expected={"attempts": [0]},
    ),
)

TABLE = (*CALLS, *HANDLERS, *REQUESTS, *TOKENS, *ANSWERS, *OUTAGES, *SIGNS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), max_games_per_player=1_000, **UNLIMITED) as process:
        yield process


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[FaultProxy]:
    with FaultProxy(int(server.settings["PORT"])) as one:
        yield one


def play(row: Row, server: ServerProcess, proxy: FaultProxy) -> dict[str, Any]:
    """Play to the end; what was told."""
    more = {"token": token("ann")} | row.more
    if "fresh" in more:
        more["fresh"] = [token("ann") if one == "fresh" else one for one in more["fresh"]]
    config = {
        "url": proxy.ws_url,
        "game_id": server.new_game(token("host")),
        "steps": row.steps.split(", "),
        "handlers": row.handlers,
        "options": row.options,
        **more,
    }
    with subprocess.Popen(
        ["node", str(ROOT / "tests/node/sequences.mjs"), json.dumps(config)],
        cwd=ROOT / "tests/node", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(STEP_TIMEOUT_S, process.kill)
        watchdog.start()
        for line in process.stdout:
            assert line.startswith("{"), line + process.stdout.read()
            said: dict[str, Any] = json.loads(line)
            if "told" in said:
                watchdog.cancel()
                told: dict[str, Any] = said["told"]
                return told
            network = said["network"]
            if network != "heal":
                proxy.refusing = network == "refuse"
                proxy.cut()
            proxy.refusing = network == "refuse"
            process.stdin.write("done\n")
            process.stdin.flush()
    raise AssertionError("what it waited for did not come, or something keeps it alive")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_row(server: ServerProcess, proxy: FaultProxy, row: Row) -> None:
    told = play(row, server, proxy)
    states = [name for name in told["heard"] if name not in {"welcome", "pong", "player_ready", "answered"}]
    told["attempts"] = [wait["attempt"] for wait in told["waits"]]
    told["end_codes"] = [end["code"] for end in told["ends"]]
    assert row.heard is None or states == row.heard.split()
    assert {name: told[name] for name in row.expected} == row.expected
    quiet = {"faults": [], "errors": [], "loose": [], "listeners": 0}
    assert {name: told[name] for name in quiet} == quiet | {name: told[name] for name in row.expected if name in quiet}
    assert all(0 <= wait["delayMs"] <= 90_000 for wait in told["waits"])
    assert "marked" not in json.dumps(told)


def test_a_wait_that_was_asked_of_all_alike_is_spread(server: ServerProcess, proxy: FaultProxy) -> None:
    """Never less than was asked for, at most half as much more, and not the same each time."""
    body = '{"reason": "draining", "retry_after_ms": 1000}'
    gateway = {"status": 503, "type": PROBLEM, "body": body}
    steps = "connect" + ", retry" * 8 + ", disconnect, closed"
    told = play(Row("spread", steps, more={"gateway": gateway}), server, proxy)
    waits = [wait["delayMs"] for wait in told["waits"]]
    assert all(1_000 <= wait <= 1_500 for wait in waits)
    assert len(set(waits)) == 8
