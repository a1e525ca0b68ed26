"""Bots race through deploys in good order, on the rules' own clock: nobody is woken.

CI takes a minute and one deploy, `make soak` an hour and three (SOAK_MINUTES, SOAK_DEPLOYS).
"""

import asyncio
import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from alerts.drills.drill import FACTORS
from alerts.drills.excuses import Excuses
from alerts.drills.late import rules_named
from alerts.drills.stack import SCRAPE_S, WATCHDOG, Notice, Stack
from alerts.model import Alert
from app.client.bot import PROBLEM
from code_racer_client import GameWebSocket
from tests.cluster.racing import Racer
from tests.deploy.machine import Machine
from tools.harness.canary import canary
from tools.harness.machine import Witness
from tools.harness.tokens import token

MINUTES: Final = float(os.environ.get("SOAK_MINUTES", "1"))
DEPLOYS: Final = int(os.environ.get("SOAK_DEPLOYS", "1"))
SCRAPED_EVERY_S: Final = 15.0
"""As in deploy/kubernetes/monitoring."""
PACE: Final = round(SCRAPED_EVERY_S / SCRAPE_S)
TABLES, PLAYERS = 3, 2
RACE_S: Final = 5.0
SETTINGS: Final[dict[str, Any]] = {
    "judge_processes": 1,
    "max_games_per_player": 1_000,
    "api_requests_per_player_per_second": 0,
}

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(int(60 * MINUTES) + 600)]


async def test_deploys_in_good_order_page_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        machine = await asyncio.to_thread(Machine, stack, tmp_path, 2, **SETTINGS)
        monkeypatch.setenv("SSL_CERT_FILE", str(machine.site.certificates.ca))
        bird = await asyncio.to_thread(stack.enter_context, canary(machine.site.base, "--every-s", "15"))
        witness = Witness(tmp_path)
        stack.enter_context(witness.looking())
        watch = Stack(tmp_path / "watch", dict.fromkeys(FACTORS, float(PACE)), PACE)
        await asyncio.to_thread(stack.enter_context, watch.running())
        watch.target(*(one.host for one in machine.replicas.values()), canary=bird.host)
        over = time.monotonic() + 60 * MINUTES
        tables = [asyncio.create_task(race_until(over, machine, table)) for table in range(TABLES)]
        for _ in range(DEPLOYS):
            await asyncio.sleep(60 * MINUTES / (DEPLOYS + 1))  # when a deploy begins, as the test has it
            await asyncio.to_thread(machine.roll)
        races = sum(await asyncio.gather(*tables))
        told = [one for one in watch.listener.notices if one.status == "firing" and one.name != WATCHDOG]
        fired = watch.query('max_over_time(ALERTS{alertstate="firing", severity="critical"}[2h])')
        seen = watch.query('count_over_time(ALERTS{alertname="CodeRacerWatchdog"}[2h])')
        pages = [one for one in told if one.severity == "critical"]
        excuses = Excuses(watch, witness)
        machines = {one.name for one in pages if all(excuses.hold_for(rule, one) for rule in rules_of(one))}
    tickets = sorted({one.name for one in told if one.severity == "warning"})
    print(  # noqa: T201 - a measurement
        f"{races} races in {MINUTES:g} minutes, {DEPLOYS} deploys; tickets: {tickets or 'none'};"
        f" pages that the machine caused: {sorted(machines) or 'none'}"
    )
    assert races >= TABLES
    assert float(seen[0]["value"][1]) > 1, "the rules were evaluated"
    assert {one.name for one in pages} - machines == set()
    assert {one["metric"]["alertname"] for one in fired} - machines == set()


def rules_of(notice: Notice) -> list[Alert]:
    return rules_named(notice.name, notice.severity)


async def race_until(over: float, machine: Machine, table: int) -> int:
    """Have players race at a table, one game after the other; return how many games there were."""
    games = 0
    while time.monotonic() < over:
        wishes = {"problem": PROBLEM, "min_players": PLAYERS, "max_players": PLAYERS}
        game_id = await asyncio.to_thread(machine.new_game, **wishes)
        names = [f"bot-{table}-{player}" for player in range(PLAYERS)]
        sockets = [GameWebSocket(game_id, token(name), machine.site.ws_url) for name in names]
        racers = [Racer(name, ws, RACE_S) for name, ws in zip(names, sockets, strict=True)]
        ends = await asyncio.gather(*(racer.race() for racer in racers))
        assert all(end["data"]["winner"] for end in ends)
        games += 1
    return games
