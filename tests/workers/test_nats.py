"""Workers on a NATS: each is a replica of it, and a process on another machine plays along."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.workers.test_served import a_game_of_each, accepted_elsewhere
from tools.harness.nats import Nats
from tools.harness.player import SOLUTION, Player
from tools.harness.server import ServerProcess
from tools.harness.workers import WORKERS, Supervised

pytestmark = pytest.mark.long

TIMES = 10
"""The kernel chooses who accepts; as good as never does it choose the game's own so often."""


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    with Nats(tmp_path / "nats") as running:
        yield running


@pytest.fixture
def workers(tmp_path: Path, nats: Nats) -> Iterator[Supervised]:
    with Supervised(tmp_path / "here", event_log_url=nats.url, replica_ttl_s=2) as running:
        yield running


@pytest.fixture
def elsewhere(tmp_path: Path, nats: Nats) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "elsewhere", event_log_url=nats.url, replica_ttl_s=2) as running:
        running.until_ready()
        yield running


def test_players_behind_the_workers_and_elsewhere_race_to_the_end(
    workers: Supervised, elsewhere: ServerProcess
) -> None:
    ann, bob = workers.guest("ann"), elsewhere.guest("bob")
    for game_id in a_game_of_each(workers, ann["token"]):
        with Player(workers, game_id, ann["token"]) as near, Player(elsewhere, game_id, bob["token"]) as far:
            near.until("player_joined", player_id=bob["player_id"])
            for player in (near, far):
                player.send("ready")
            for player in (near, far):
                player.until("game_started")
            for player in (near, far):
                player.send("submit_code", {"code": SOLUTION})
            assert near.until("game_finished")["data"] == far.until("game_finished")["data"]
            both = [[event["seq"] for event in player.events] for player in (near, far)]
            assert all(seqs == list(range(seqs[0], seqs[0] + len(seqs))) for seqs in both), "none missed, none twice"
    assert elsewhere.metrics()["code_racer_replicas"] == WORKERS + 1


def test_a_connection_goes_to_the_games_worker_all_the_same(workers: Supervised) -> None:
    """So that players of one game on this machine are told by memory, not over the network."""
    token = workers.guest("ann")["token"]
    games = a_game_of_each(workers, token)
    before = accepted_elsewhere(workers)
    for game_id in games * TIMES:
        with Player(workers, game_id, token) as player:
            player.until("welcome")
    assert accepted_elsewhere(workers) > before


def test_a_worker_that_is_killed_loses_nothing_that_was_told(workers: Supervised) -> None:
    ann, bob = workers.guest("ann"), workers.guest("bob")
    games = a_game_of_each(workers, ann["token"])
    with ExitStack() as stack:
        seats = {
            game_id: [stack.enter_context(Player(workers, game_id, one["token"])) for one in (ann, bob)]
            for game_id in games
        }
        for both in seats.values():
            both[0].until("player_joined", player_id=bob["player_id"])
            for player in both:
                player.send("ready")
            for player in both:
                player.until("game_started")
        pid = workers.pids()[1]
        os.kill(pid, signal.SIGKILL)
        workers.until_followed(1, pid)
        for player in seats[games[1]]:
            player.send("submit_code", {"code": SOLUTION})
        seats[games[1]][0].until("game_finished")
        last = [both.events[-1]["seq"] for both in seats[games[0]]]
    query = f"?last_seq={min(last)}"
    with Player(workers, games[0], ann["token"], query) as one, Player(workers, games[0], bob["token"], query) as other:
        for player in (one, other):
            player.until("welcome")
            player.send("submit_code", {"code": SOLUTION})
        one.until("game_finished")
        seqs = [event["seq"] for event in one.events]
        assert seqs == list(range(min(last) + 1, min(last) + 1 + len(seqs)))
