"""A deploy that players do not notice: two replicas behind nginx are restarted in turn while a hundred bots race."""

import asyncio
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from app.client.bot import PROBLEM
from code_racer_client import GameWebSocket
from tests.cluster import checker
from tests.cluster.chaos import read_log
from tests.cluster.racing import Racer
from tests.deploy.machine import Machine
from tools.harness.server import ROOT, SECRET, until
from tools.harness.tokens import token

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
GAMES, PLAYERS = 25, 4
RACE_S = 12.0
SETTINGS: dict[str, Any] = {
    "reconnect_grace_s": 60,
    "finished_linger_s": 60,
    "max_games_per_player": 1_000,
    "api_requests_per_player_per_second": 0,
    "drain_delay_s": 0.5,
    "drain_game_wait_s": 1,
    "drain_spread_s": 2,
    "judge_processes": 1,
}


def started_games(machine: Machine) -> int:
    """Games that run."""
    return sum(len(one.logged("game.started")) for one in machine.replicas.values())


async def test_a_hundred_bots_race_on_through_a_rolling_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        machine = await asyncio.to_thread(Machine, stack, tmp_path, 2, **SETTINGS)
        monkeypatch.setenv("SSL_CERT_FILE", str(machine.site.certificates.ca))
        racers = []
        for game in range(GAMES):
            wishes = {"problem": PROBLEM, "min_players": PLAYERS, "max_players": PLAYERS}
            game_id = await asyncio.to_thread(machine.new_game, **wishes)
            for player in range(PLAYERS):
                name = f"bot-{game}-{player}"
                ws = GameWebSocket(game_id, token(name), machine.site.ws_url, max_reconnect_attempts=20)
                racers.append(Racer(name, ws, RACE_S))
        races = [asyncio.create_task(racer.race()) for racer in racers]
        await asyncio.to_thread(until, lambda: started_games(machine) >= GAMES)
        began = time.monotonic()
        await asyncio.to_thread(machine.roll)
        took_s = time.monotonic() - began
        ends = await asyncio.gather(*races)
        assert all(end["data"]["winner"] for end in ends), "every race has its winner"
        logs = await read_log(
            machine.replicas["a"].settings["EVENT_LOG_URL"], {racer.ws.game_id for racer in racers}, 1
        )
        assert checker.violations(logs, [racer.history() for racer in racers]) == []
        handshakes = [
            line
            for line in map(json.loads, machine.site.log.read_text().splitlines())
            if line["path"].startswith("/ws/")
        ]
    reconnects = sum(racer.ws.metrics.reconnect_count for racer in racers)
    refused = [line for line in handshakes if line["status"] != 101]
    passed_on = [line for line in handshakes if "," in line["upstream"]]
    print(  # noqa: T201 - a measurement
        f"{len(racers)} bots, {took_s:.1f} s to restart both, {reconnects} reconnects, {len(handshakes)} handshakes, of"
        f" which nginx passed {len(passed_on)} on to the other replica; {len(refused)} were refused and tried again"
    )
    assert reconnects >= len(racers) // 2, "those on the replica that left were moved"
    last = {line["path"]: line["status"] for line in handshakes}
    assert set(last.values()) == {101}, "who was refused came back"
    assert len(handshakes) == len(racers) + reconnects, "no attempt of anybody got lost on the way"


def canary_of_each(machine: Machine) -> subprocess.CompletedProcess[str]:
    """The gate: a race on each replica."""
    each = [option for one in machine.replicas.values() for option in ("--each", one.http_url)]
    return subprocess.run(
        [sys.executable, "-m", "app", "canary", "--once", *each],
        cwd=ROOT,
        env={"PATH": "/usr/bin", "LOG_FILE": "", "JWT_SECRET": SECRET},
        capture_output=True,
        text=True,
        check=False,
    )


def roll_gated(machine: Machine, secret: str) -> list[str]:
    """Deploy a secret, one replica after the other, for as long as the canary can race on each; those that have it."""
    deployed = []
    for name, one in machine.replicas.items():
        one.stop()
        one.settings["JWT_SECRET"] = secret
        one.start()
        one.until_ready()
        deployed.append(name)
        if canary_of_each(machine).returncode:
            break
    return deployed


def test_a_replica_with_a_wrong_secret_stops_the_deploy(tmp_path: Path) -> None:
    """It is ready, and well by its own lights: readiness alone would let the deploy go on to the last replica."""
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 2, drain_delay_s=0, drain_game_wait_s=0, drain_spread_s=0)
        assert roll_gated(machine, SECRET) == ["a", "b"], "a deploy that changes nothing goes through"
        assert roll_gated(machine, SECRET[::-1]) == ["a"]
        told = [json.loads(line) for line in canary_of_each(machine).stdout.splitlines()]
    by_url = {line["url"]: (line["event"], line.get("outcome"), line.get("step")) for line in told}
    assert by_url == {
        machine.replicas["a"].http_url: ("canary.failed", "refused", "game"),
        machine.replicas["b"].http_url: ("canary.raced", None, None),
    }
