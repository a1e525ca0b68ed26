"""`serve --workers 2` behind one port, as players and operators meet it."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.workers import Share
from tools.harness import fetch
from tools.harness.player import SOLUTION, Player
from tools.harness.server import START_TIMEOUT_S, ServerProcess
from tools.harness.workers import WORKERS, Supervised

FAR = "203.0.113.7"
NUMBERS = range(WORKERS)
TRIES = 500
"""The kernel chooses who accepts; that it chose the same one so often is a fault."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    with Supervised(tmp_path_factory.mktemp("served"), trusted_proxies="127.0.0.1") as running:
        yield running


def a_game_of_each(service: ServerProcess, token: str) -> list[str]:
    """Make games through the port until each worker has one."""
    found: dict[int, str] = {}
    for _ in range(TRIES):
        game_id = service.new_game(token, min_players=2)
        found.setdefault(Share(0, WORKERS).owner(game_id), game_id)
        if len(found) == WORKERS:
            break
    return [found[number] for number in NUMBERS]


def accepted_elsewhere(service: Supervised) -> float:
    """How many connections were handed over."""
    return sum(
        service.figures_of(1 + number)['code_racer_worker_handovers_total{outcome="taken"}'] for number in NUMBERS
    )


def test_the_address_that_a_proxy_names_is_kept_over_the_hand_over(service: Supervised) -> None:
    token = service.guest("ann")["token"]
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": FAR}
    games = a_game_of_each(service, token)
    before = accepted_elsewhere(service)
    for tried in range(TRIES):
        for game_id in games:
            with Player(service, game_id, token, additional_headers=headers) as player:
                player.until("welcome")
            assert service.wait_for_log("ws.opened", game_id=game_id, skip=tried)["client"] == FAR
        if accepted_elsewhere(service) > before:
            break
    assert accepted_elsewhere(service) > before


def test_a_race_goes_on_over_a_reload_whichever_worker_has_it(service: Supervised) -> None:
    ann, bob = service.guest("ann"), service.guest("bob")
    games = a_game_of_each(service, ann["token"])
    last_seqs: dict[tuple[str, str], int] = {}
    with ExitStack() as stack:
        for game_id in games:
            both = [stack.enter_context(Player(service, game_id, one["token"])) for one in (ann, bob)]
            both[0].until("player_joined", player_id=bob["player_id"])
            for player in both:
                player.send("ready")
            for player, one in zip(both, (ann, bob), strict=True):
                player.until("game_started")
                last_seqs[game_id, one["player_id"]] = player.events[-1]["seq"]
        os.kill(service.pid, signal.SIGHUP)
        service.wait_for_log("supervisor.reloaded", timeout_s=2 * START_TIMEOUT_S)
    for game_id in games:
        query = f"?last_seq={last_seqs[game_id, ann['player_id']]}"
        with Player(service, game_id, ann["token"], query) as player:
            player.send("submit_code", {"code": SOLUTION})
            player.until("submission_judged", verdict="accepted")
            seqs = [event["seq"] for event in player.events]
            first = last_seqs[game_id, ann["player_id"]] + 1
            assert seqs == list(range(first, first + len(seqs)))


def test_a_scrape_of_the_main_port_says_which_worker_it_shows(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, workers=WORKERS, replica="here") as service:
        service.wait_for_log("supervisor.started", timeout_s=START_TIMEOUT_S)
        text = fetch.get(f"{service.http_url}/metrics").text
        (build,) = [line for line in text.splitlines() if line.startswith("code_racer_build_info{")]
        assert any(f'replica="here-{1 + number}"' in build for number in NUMBERS)
        assert service.stop() == 0
