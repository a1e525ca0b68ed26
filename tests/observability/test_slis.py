"""The five indicators of docs/slis.md, on a real Prometheus, after loads of which it is known what was bad."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import promql_parser
import pytest
from websockets.exceptions import InvalidStatus

from tools.harness.by_hand import ByHand
from tools.harness.player import WRONG, Player
from tools.harness.processes import children, freeze
from tools.harness.prometheus import prometheus, query
from tools.harness.server import UNLIMITED, ServerProcess, until
from tools.harness.tokens import token
from tools.harness.wire import CLOSE, PING

ROOT = Path(__file__).parents[2]
SLIS = dict(re.findall(r"\*\*(\d)\. .*?```promql\n(.*?)\n```", (ROOT / "docs/slis.md").read_text(), re.DOTALL))
ROOM = 10
REFUSED = 3
FAULTS = 2
PINGS = 200
QUICK_S = 0.05
THREE_DIGITS = 0.0005
ENDLESS = "def solve(numbers, limit):\n    while True:\n        pass\n"


@dataclass
class Played:
    """What the clients saw of a load, and what Prometheus says of it."""

    client: httpx.Client
    server: ServerProcess
    live_events: int
    slow_pings: int

    def indicator(self, number: int) -> float:
        """An indicator, as documented."""
        (answer,) = query(self.client, SLIS[str(number)])
        return float(answer["value"][1])


def answer_to(player: Player) -> float:
    """Send a ping and read up to its answer: seconds."""
    begin = time.perf_counter()
    player.send("ping", {"timestamp": 1})
    player.until("pong")
    return time.perf_counter() - begin


def live_events(player: Player) -> int:
    (welcome,) = (message for message in player.received if message["type"] == "welcome")
    return sum(message.get("seq", 0) > welcome["data"]["last_seq"] for message in player.received)


def play(server: ServerProcess, stack: ExitStack) -> tuple[int, int]:
    """Ten players; refusals, faults, a late leaving: how many live events came, and how many pings were slow."""
    game_id = server.new_game(token("host"), min_players=50, max_players=100)
    for _ in range(5):
        with pytest.raises(InvalidStatus):
            Player(server, game_id, "nonsense")
    players = [stack.enter_context(Player(server, game_id, token(f"p{number}"))) for number in range(ROOM)]
    players[-1].until("player_joined", player_id=f"p{ROOM - 1}")
    for _ in range(REFUSED):
        with pytest.raises(InvalidStatus):
            Player(server, game_id, token("late"))
    slow = sum(answer_to(players[0]) >= QUICK_S for _ in range(PINGS))
    for _ in range(4):
        players[0].ws.send("nonsense")
        players[0].until("error")
    for player in players[1 : 1 + FAULTS]:
        player.send("ready")
        assert player.until_closed() == (1011, "internal_error")
    for number in range(1, 1 + FAULTS):
        players[0].until("player_disconnected", player_id=f"p{number}")
    players[-1].send("leave")
    assert players[-1].until_closed() == (1000, "normal")
    for player in (players[0], *players[1 + FAULTS : -1]):
        player.until("player_left")
    return sum(map(live_events, players)), slow


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("slis")
    settings = {"max_connections": ROOM, "ping_interval_s": 3600, "event_log_url": "memory:"}
    with (
        ServerProcess(folder / "server", "tools.harness.laggard", **settings) as server,
        prometheus(folder, server) as client,
        ExitStack() as stack,
    ):
        live, slow = play(server, stack)
        until(lambda: query(client, f"sum(code_racer_event_delivery_seconds_count) == {live}"))
        yield Played(client, server, live, slow)


def test_there_are_five_and_each_parses() -> None:
    assert list(SLIS) == ["1", "2", "3", "4", "5"]
    for expr in SLIS.values():
        promql_parser.parse(expr)


def test_handshakes(played: Played) -> None:
    assert played.indicator(1) == pytest.approx(ROOM / (ROOM + REFUSED), abs=THREE_DIGITS)


def test_messages(played: Played) -> None:
    """Two faults and the leaving that took 0.3 s are bad; nonsense is not valid."""
    valid = PINGS + FAULTS + 1
    best, worst = PINGS / valid, (PINGS - played.slow_pings) / valid
    assert worst - THREE_DIGITS <= played.indicator(2) <= best + THREE_DIGITS


def test_deliveries(played: Played) -> None:
    """The leaving reached everybody who was left, 0.3 s late."""
    late = ROOM - FAULTS
    counted = played.server.metric("event_delivery_seconds_count", reader="prompt")
    assert counted == played.live_events
    best = 1 - late / counted
    worst = best - played.slow_pings * ROOM / counted
    assert worst - THREE_DIGITS <= played.indicator(3) <= best + THREE_DIGITS


def test_pings(tmp_path: Path) -> None:
    """Of seven, four are answered at once, one late, one not, one is under way at the end."""
    settings = {"ping_interval_s": 0.5, "ping_timeout_s": 3, "close_timeout_s": 0.2}
    with ServerProcess(tmp_path / "server", **settings) as server, prometheus(tmp_path, server) as client:
        game_id = server.new_game(token("host"), max_players=10)
        with ByHand(server, game_id, token("quick")) as quick:
            for _ in range(4):
                quick.pong(quick.next(PING))
            payload = quick.next(PING)
            time.sleep(1.1)  # longer than a good ping takes
            quick.pong(payload)
            quick.close()
        with ByHand(server, game_id, token("leaving")) as leaving:
            leaving.next(PING)
            leaving.close()
        with ByHand(server, game_id, token("silent")) as silent:
            silent.next(PING)
            silent.next(CLOSE)
        assert server.metric("ws_pings_total", outcome="abandoned") == 1
        until(lambda: query(client, 'sum(code_racer_ws_pings_total{outcome=~"answered|timeout"}) == 6'))
        (answer,) = query(client, SLIS["4"])
    assert float(answer["value"][1]) == pytest.approx(4 / 6, abs=THREE_DIGITS)


def test_verdicts(tmp_path: Path) -> None:
    """Of six, three come at once; two are late, as the worker stands still under one; one runs into its limit."""
    with (
        ServerProcess(tmp_path / "server", judge_processes=1, judge_time_limit_s=6, **UNLIMITED) as server,
        prometheus(tmp_path, server) as client,
        ExitStack() as stack,
    ):
        game_id = server.new_game(token("host"), min_players=2)
        ann, bob = (stack.enter_context(Player(server, game_id, token(name))) for name in ("ann", "bob"))
        bob.until("player_joined", player_id="bob")
        for player in (ann, bob):
            player.send("ready")
        ann.until("game_started")
        for _ in range(3):
            ann.send("submit_code", {"code": WRONG})
            ann.until("submission_judged")
        pids = children(server.pid)
        for pid in pids:
            freeze(pid)
        for player in (ann, bob):
            player.send("submit_code", {"code": WRONG}, id="late")
            player.until("ack", id="late")
        time.sleep(5.1)  # longer than a verdict may take
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        ann.until("submission_judged", player_id="bob")
        waited = server.metric("judge_wait_seconds_sum")
        assert 5 <= waited < server.metric("verdict_seconds_sum", outcome="wrong_answer")
        ann.send("submit_code", {"code": ENDLESS})
        ann.until("submission_judged")
        assert server.metric("verdict_seconds_count", outcome="time_limit") == 1
        until(lambda: query(client, "sum(code_racer_verdict_seconds_count) == 6"))
        (answer,) = query(client, SLIS["5"])
    assert float(answer["value"][1]) == pytest.approx(3 / 5, abs=THREE_DIGITS)
