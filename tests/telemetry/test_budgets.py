"""What a connection costs in the log, and a replica in series: measured on a real server, held to what is promised."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.config import CONFIG
from tools.harness.player import SOLUTION, Player
from tools.harness.server import ServerProcess, until
from tools.harness.tokens import token

LOG = {name: CONFIG.number("CodeRacerLogBudget", name) for name in ("quiet_bytes", "racing_bytes")}
SERIES = CONFIG.number("CodeRacerSeriesBudget", "series")
QUIET, GAMES = 20, 5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, max_games_per_player=100) as process:
        yield process


def written(server: ServerProcess) -> int:
    """Bytes of the log so far, once the server has told them all."""
    until(lambda: server.metric("log_bytes_total") == size(server))
    return size(server)


def size(server: ServerProcess) -> int:
    return sum(len(line.encode()) + 1 for line in tuple(server.lines))


def test_a_connection_that_only_comes_and_goes_stays_in_its_budget(server: ServerProcess) -> None:
    game = server.new_game(token("host"), max_players=QUIET)
    before = written(server)
    for number in range(QUIET):
        with Player(server, game, token(f"player-{number}")) as player:
            player.until("welcome")
        server.wait_for_log("ws.closed", skip=number)
    each = (written(server) - before) / QUIET
    assert each <= LOG["quiet_bytes"], f"{each:.0f} bytes of log a connection"
    assert each > LOG["quiet_bytes"] / 2, "the budget is no longer what it costs"


def test_a_player_of_a_race_stays_in_its_budget(server: ServerProcess) -> None:
    before = written(server)
    for number in range(GAMES):
        game = server.new_game(token("host"))
        with Player(server, game, token(f"ann-{number}")) as ann, Player(server, game, token(f"bob-{number}")) as bob:
            for one in (ann, bob):
                one.send("ready", {"status": "ready"})
            ann.until("game_started")
            ann.send("submit_code", {"code": SOLUTION})
            for one in (ann, bob):
                one.until("game_finished")
        server.wait_for_log("ws.closed", skip=2 * number + 1)
    each = (written(server) - before) / (2 * GAMES)
    assert each <= LOG["racing_bytes"], f"{each:.0f} bytes of log a player"
    assert each > LOG["racing_bytes"] / 2, "the budget is no longer what it costs"


def test_a_replica_stays_in_its_budget_of_series(server: ServerProcess) -> None:
    series = server.metric("metric_series")
    assert series <= SERIES, f"{series:.0f} series a replica"
    assert series > SERIES / 2, "the budget is no longer what it costs"
