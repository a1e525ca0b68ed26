"""The number of series does not depend on what clients do: thousands of games, players, types and closes add none."""

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from app.settings import load_settings
from app.telemetry.catalogue import OTHER, Metrics
from app.telemetry.metrics import MetricStore
from tools.harness.server import STEP_TIMEOUT_S, UNLIMITED, ServerProcess, until
from tools.harness.tokens import token
from tools.harness.wire import TEXT, close_frame, frame, upgrade

T = TypeVar("T")
MANY = int(os.environ.get("SOAK_SERIES", "2000"))
"""As many as there are codes that a client may close with; `make soak` has more."""
CLIENTS = 8
FREE = {
    **UNLIMITED,
    "event_log_url": "memory:",
    "max_games_per_player": 1_000_000,
    "api_requests_per_player_per_second": 0,
    "handshakes_per_second": 0,
    "max_invalid_messages_per_minute": 1_000_000,
    "reconnect_grace_s": 0,
}


def make_games(server: ServerProcess, count: int) -> list[str]:
    with httpx.Client(base_url=server.http_url, headers={"authorization": f"Bearer {token('host')}"}) as client:
        return [client.post("/api/games", json={}).json()["game_id"] for _ in range(count)]


def visit(server: ServerProcess, game_id: str, number: int) -> None:
    """A player, a game and a type of its own, and one of the 2,000 codes a client may close with."""
    with socket.create_connection(("127.0.0.1", int(server.settings["PORT"])), STEP_TIMEOUT_S) as one:
        odd = frame(TEXT, f'{{"type":"odd-{number}"}}'.encode())
        hello = upgrade(
            f"/ws/{game_id}?x{number}=1", f"Authorization: Bearer {token(f'player-{number}')}", f"X-{number}: 1"
        )
        one.sendall(hello)
        one.recv(65_536)
        one.sendall(odd + close_frame(3000 + number % 2000))
        while one.recv(65_536):
            pass


@pytest.mark.long
@pytest.mark.timeout(600)
def test_thousands_of_everything_add_no_series(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, **FREE) as server:
        before = server.metrics()
        games = [one for part in _in_parallel(lambda _: make_games(server, MANY // CLIENTS), CLIENTS) for one in part]
        _in_parallel(lambda number: visit(server, games[number], number), MANY)
        until(lambda: server.metric("ws_connections") == 0)
        after = server.metrics()
        assert after.keys() == before.keys()
        assert after["code_racer_metric_series"] == before["code_racer_metric_series"] == len(after)
        assert server.metric("game_transitions_total", to="waiting") == MANY
        assert server.metric("ws_handshakes_total", outcome="accepted") == MANY
        assert server.metric("ws_messages_total", direction="in", type=OTHER) == MANY
        assert server.metric("ws_closes_total", code="0", reason="other", initiator="client") == MANY
        assert after["code_racer_faults_total"] == 0


def _in_parallel(work: Callable[[int], T], count: int) -> list[T]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(work, range(count)))


def test_label_values_of_the_configuration_are_capped_and_counted() -> None:
    store = MetricStore()
    limited = MetricStore(store.series + 10)
    counter = limited.counter(Metrics.PROBLEM_SUBMISSIONS)
    limited.configure(Metrics.PROBLEM_SUBMISSIONS, ((f"p{number}", "accepted") for number in range(5)))
    for number in range(MANY):
        counter.inc((f"p{number}", "accepted"))
    assert limited.series == store.series + 10
    assert counter.values["p0", "accepted"] == counter.values["p9", "accepted"] == 1
    assert counter.values[OTHER, "accepted"] == MANY - 10
    assert limited.overflows == MANY - 10
    assert sum(counter.values.values()) == MANY, "nothing is lost by the cap"
    with pytest.raises(TypeError, match="not open"):
        limited.configure(Metrics.MESSAGES, [("in", "dance")])
    with pytest.raises(KeyError):
        limited.counter(Metrics.MESSAGES).inc(("in", "dance"))


def test_the_cap_is_told_beside_the_number(tmp_path: Path) -> None:
    assert load_settings().max_metric_series >= 2 * MetricStore().series, "room for what may come"
    with ServerProcess(tmp_path, max_metric_series=1_000) as server:
        assert server.metric("metric_series_limit") == 1_000
        assert server.metric("metric_series_overflows_total") > 0, "the problems did not fit"
        assert server.metric("metric_series") == len(server.metrics())
