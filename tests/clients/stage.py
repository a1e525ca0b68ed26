"""Where rows are played: a process with the client of a language, and a network for each row that is under way."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from math import nan
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.clients.table.row import JAVASCRIPT, Row
from tools.harness.player import Player
from tools.harness.proxy import FaultProxy
from tools.harness.server import ROOT, STEP_TIMEOUT_S, UNLIMITED, ServerProcess
from tools.harness.tokens import token

SETTINGS: Final[dict[str, Any]] = {
    **UNLIMITED,
    "max_replacements_per_minute": 20,
    "max_games_per_player": 100_000,
    "api_requests_per_player_per_second": 0,
}
FLOOD: Final = 1_100
"""Messages that are no events: more than wait for a handler in Python."""
ROWS_A_GAME: Final = 10
"""Of those that do not look at what the game has had before."""
TOGETHER_TIMEOUT_S: Final = 120
"""For the next of many to end: each may wait half a minute before it tries again."""
CLIENTS: Final = ROOT / "clients"
CALLS: Final = frozenset({
    "connect", "disconnect", "ask", "request", "request in 20 ms", "request given up", "request of what cannot be sent",
    "send", "ping", "batch a ping", "turn", "hide", "show", "online", "offline", "pageshow", "jump", "once and off",
    "request twice with one id", "nothing has come", "ask by name",
    "cancel connect", "two events in one turn", "opened", "go on", "fetching",
})  # fmt: skip
NETWORK: Final = frozenset({
    "cut", "meet", "mute", "refuse", "swallow", "freeze", "heal", "lose", "double", "close", "goodbye", "come",
    "replace", "say", "flood",
})  # fmt: skip

Told = dict[str, Any]


class Stage:
    """A process that plays rows, so many side by side; each has a proxy and a game of its own."""

    def __init__(self, language: str, server: ServerProcess, lanes: int = 1, client: Path = CLIENTS) -> None:
        self._server = server
        self._stack = ExitStack()
        self._lanes = lanes
        self._free: list[_Lane] = []
        self._command, self._environment = _how_to_run(language, client)
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()

    def __enter__(self) -> Self:
        self._free = [_Lane(self._server, self._stack) for _ in range(self._lanes)]
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()
        self._stack.close()

    def play(self, rows: Iterable[Row], patience_s: float = STEP_TIMEOUT_S) -> Iterator[tuple[Row, Told | None]]:
        """What was told of each, in the order in which they end; None of those that come to no end.

        The process ends then, and another is made.
        """
        assert self._process is not None
        waiting = list(reversed(list(rows)))
        playing: dict[int, tuple[Row, _Lane]] = {}
        number = 0
        while waiting or playing:
            while waiting and self._free:
                row, lane = waiting.pop(), self._free.pop()
                number += 1
                playing[number] = row, lane
                self._say(lane.prepare(row) | {"id": number})
            try:
                said = self._hear(patience_s)
            except queue.Empty:
                said = {}
            if "network" in said:
                playing[said["id"]][1].do(said["network"])
                self._say({"id": said["id"], "done": True})
            elif "told" in said:
                row, lane = playing.pop(said["id"])
                self._leave(lane)
                yield row, said["told"]
            else:
                yield from ((row, said or None) for row, _ in playing.values())
                for _, lane in playing.values():
                    self._leave(lane)
                playing.clear()
                self._kill()
                self._start()

    def play_together(self, row: Row, many: int, *meetings: Callable[[FaultProxy], None]) -> list[Told]:
        """What was told of a row that so many play over one network; in its steps all meet so many times."""
        (lane,) = self._free
        for number in range(many):
            self._say(lane.prepare(row) | {"id": number, "token": token(f"player-{number}")})
        for meeting in meetings:
            came = [self._hear(TOGETHER_TIMEOUT_S) for _ in range(many)]
            assert all("network" in said for said in came), came
            meeting(lane.proxy)
            for number in range(many):
                self._say({"id": number, "done": True})
        return [self._hear(TOGETHER_TIMEOUT_S)["told"] for _ in range(many)]

    def tell(self, **what: str) -> None:
        """Tell the process something that is about no row."""
        self._say(what)

    def finish(self) -> list[str]:
        """Let the process end; what went wrong in it that can be said of no row, and whatever else it has printed."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        rest = list(iter(lambda: self._lines.get(timeout=STEP_TIMEOUT_S), None))
        return (
            [] if self._process.wait(STEP_TIMEOUT_S) == 0 and not rest else [*rest, f"exit {self._process.returncode}"]
        )

    # ---------------------------------------------------------------- inside

    def _start(self) -> None:
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=os.environ | self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=_read, args=(self._process, self._lines), daemon=True)
        self._reader.start()

    def _kill(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(STEP_TIMEOUT_S)
        self._reader.join(STEP_TIMEOUT_S)
        if not self._process.stdin.closed:
            self._process.stdin.close()

    def _say(self, what: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def _hear(self, patience_s: float) -> dict[str, Any]:
        line = self._lines.get(timeout=patience_s)
        if line is None or not line.startswith("{"):
            return {"loose": [line]}
        said: dict[str, Any] = json.loads(line)
        return said

    def _leave(self, lane: "_Lane") -> None:
        lane.leave()
        self._free.append(lane)


class _Lane:
    """A network, and a game behind it."""

    def __init__(self, server: ServerProcess, stack: ExitStack) -> None:
        self.proxy = stack.enter_context(FaultProxy(int(server.settings["PORT"])))
        self._server = server
        self._game_id = ""
        self._played = 0
        self._others = ExitStack()

    def prepare(self, row: Row) -> dict[str, Any]:
        """All that the process has to know of a row."""
        if not row.more.get("is_random") or self._played % ROWS_A_GAME == 0:
            self._game_id = self._server.new_game(token("host"))
        self._played += 1
        more = {"token": token("ann")} | row.more
        if "fresh" in more:
            more["fresh"] = [token("ann") if one == "fresh" else one for one in more["fresh"]]
        if "answer" in more:
            self.proxy.answering = _answer(*more["answer"])
        return {
            "url": f"ws://localhost:{self.proxy.port}" if row.more.get("by_name") else self.proxy.ws_url,
            "game_id": row.more.get("before_id", "") + self._game_id,
            "steps": [_step(step) for step in row.steps.split(", ")],
            "handlers": row.handlers,
            "options": row.options,
            **more,
        }

    def leave(self) -> None:
        """The row is over."""
        self._others.close()
        self.proxy.heal()

    def do(self, what: str) -> None:
        """What the network does next."""
        word, _, rest = what.partition(" ")
        proxy = self.proxy
        if word in {"refuse", "swallow"}:
            proxy.refusing, proxy.swallowing = word == "refuse", word == "swallow"
            proxy.cut()
        elif word == "mute":
            proxy.muted = True
        elif what.startswith("cut at"):
            proxy.cut_instead_of(f'"{rest.removeprefix("at ")}"'.encode())
        elif word in {"lose", "double"}:
            (proxy.lose_next if word == "lose" else proxy.double_next)(f'"{rest}"'.encode())
        elif word in {"close", "goodbye", "come"}:
            proxy.say(_ended(word, rest))
        elif word == "say":
            proxy.say(_frame(1, rest.replace(";", ",").encode()))
        elif word == "flood":
            proxy.say(_frame(1, b'{"type": "player_progress", "data": {}}') * FLOOD)
        elif word == "replace":
            self._others.enter_context(Player(self._server, self._game_id, token("ann"))).until("welcome")
        else:
            {"cut": proxy.cut, "freeze": proxy.freeze, "heal": proxy.heal}[word]()


def _how_to_run(language: str, client: Path) -> tuple[list[str], dict[str, str]]:
    if language == JAVASCRIPT:
        return ["node", str(ROOT / "tests/node/play.mjs")], {"CLIENT": str(client / "javascript/client.js")}
    paths = os.pathsep.join((str(client / "python"), str(ROOT)))
    return [sys.executable, str(ROOT / "tests/clients/play.py")], {"PYTHONPATH": paths}


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)


def _step(step: str) -> dict[str, Any]:
    calls = step.split("+")
    if set(calls) <= CALLS:
        return {"calls": calls}
    return {"network": step} if step.split(" ", maxsplit=1)[0] in NETWORK else {"hears": step}


def _answer(status: str, type: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {type}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return (head + body).encode()


def _ended(how: str, code: str) -> bytes:
    """A close frame (RFC 6455 section 5.5.1), after what our server says before one; or without, as of others."""
    if how == "come":  # back
        return _said(1012, reconnect=True) + _frame(8, (1012).to_bytes(2, "big"))
    return (_said(int(code), reconnect=False) if how == "goodbye" else b"") + _frame(8, int(code).to_bytes(2, "big"))


def _said(code: int, *, reconnect: bool) -> bytes:
    data = {"code": code, "reason": "a reason", "reconnect": reconnect, "retry_after_ms": 7_000 if reconnect else 0}
    return _frame(1, json.dumps({"type": "disconnect", "data": data}).encode())


def _frame(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    return bytes([0x80 | opcode, *([length] if length < 126 else [126, *length.to_bytes(2, "big")])]) + payload


def wrong(row: Row, told: Told | None) -> list[str]:
    """In what a client does not do as a row says."""
    if told is None or "heard" not in told:
        return [f"what it waited for did not come: {told}"]
    delays = [nan if delay is None else delay for delay, _ in told["waits"]]
    told = told | {
        "attempts": [attempt for _, attempt in told["waits"]],
        "delays": delays,
        "are_spread": _are_spread(delays),
        "backs_off_after_the_first": delays[:1] == [0] and all(delays[1:]),
        "end_codes": [code for code, _, _ in told["ends"]],
    }
    expected = {"faults": [], "logged": [], "loose": [], "left": []} | row.expected
    if row.heard is not None:
        others = {"welcome", "pong", "player_ready", "token_expiring", "answered"}
        told["heard"] = [name for name in told["heard"] if name not in others]
        expected["heard"] = row.heard.split()
    found = [f"{name}: {told[name]}, not {value}" for name, value in expected.items() if told[name] != value]
    if told["seqs"] != list(range(told["seqs"][0], told["seqs"][-1] + 1) if told["seqs"] else ()):
        found.append(f"the events are not whole: {told['seqs']}")
    if not all(0 <= delay <= 90 for delay in told["delays"]):
        found.append(f"delays: {told['delays']}")
    if "marked" in json.dumps(told):
        found.append(f"the token is told: {told}")
    return found


def _are_spread(delays: list[float]) -> bool:
    """Whether a wait of a second that was asked for is kept, at most half as much more, and not always the same."""
    return all(1 <= delay <= 1.5 for delay in delays) and len(set(delays)) == len(delays)


def play_one(stage: Stage, row: Row) -> None:
    """Play a row; raises AssertionError where the client does otherwise."""
    ((_, told),) = stage.play([row])
    found = wrong(row, told)
    assert not found, f"{found}\n{json.dumps(told)[:3000]}"
