"""What docs/console.md is asked about: a race over two replicas, and players who have each their trouble."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from app.operator.service import OpsService
from tools.harness import fetch
from tools.harness.alertmanager import alertmanager, fire
from tools.harness.collector import Collector
from tools.harness.console import OPS_TOKEN, Pair, running_pair
from tools.harness.player import SOLUTION, Player
from tools.harness.server import ROOT, STEP_TIMEOUT_S, until
from tools.harness.tokens import token

DOCUMENT = (ROOT / "docs/console.md").read_text("utf-8")
HEIDI, LOU = "guest-1d0c7f2e-5b7a-4c55", "guest-8a61f0b3-94de-4e0f"
"""Of two players whose ids say nothing; an operator is told their names."""
SAMPLED = "4bf92f3577b34da6a3ce929d0e0e4736"
"""The one trace that its client asked for; nothing else is traced."""
TRACED = {
    "otel_traces_sampler": "parentbased_always_off",
    "trust_traceparent": True,
    "late_spans_per_s": 0,
    "slow_message_s": 0.000_001,
}


def rows_below(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@dataclass(frozen=True)
class Scene:
    """A race over two replicas, of which ann has played on one and bob on two; and those who cannot."""

    folder: Path
    pair: Pair
    collector: Collector
    instances: list[str]
    game: str
    open_game: str
    """A game of `host` that has not begun: there are those who say that it does not work."""
    ann: Player
    carols_game: str
    carol: Player
    """Carol's second window."""

    def comes_in(self, player_id: str) -> bool:
        """Whether a player who has her token gets into the open game; she leaves again."""
        try:
            with Player(self.pair.one, self.open_game, token(player_id)) as player:
                player.until("welcome")
        except InvalidStatus:
            return False
        return True


@contextlib.contextmanager
def race_with_troubles(folder: Path) -> Iterator[Scene]:
    """Ann races bob, and sends what is no message; carol opened it twice; dan's token has ended; an alert fires."""
    with contextlib.ExitStack() as stack:
        alerts = stack.enter_context(alertmanager(folder / "alertmanager"))
        fire(alerts, "Nobody is served.", alertname="CodeRacerDown", severity="critical")
        collector = stack.enter_context(Collector())
        settings = {"environment": "development", "alertmanager_url": alerts, **TRACED, **collector.settings}
        pair = stack.enter_context(running_pair(folder, **settings))
        game = pair.one.new_game(token("ann"))
        ann = stack.enter_context(Player(pair.one, game, token("ann")))
        bob = stack.enter_context(Player(pair.two, game, token("bob")))
        for player in (ann, bob):
            player.until("welcome")
        for player in (ann, bob):
            player.send("ready")
        ann.until("game_started")
        for _ in range(3):
            ann.send("nonsense")
            ann.until("error")
        ann.send("submit_code", {"code": SOLUTION}, traceparent=f"00-{SAMPLED}-00f067aa0ba902b7-01")
        ann.until("game_finished")
        bans = OpsService(pair.urls[1], OPS_TOKEN, "the test", STEP_TIMEOUT_S)
        bans.send("PUT", "/bans/mallory", body={"reason": "she cheats", "for_s": 3_600})
        open_game = pair.two.new_game(token("host"))
        _trouble(pair, open_game, stack)
        carols_game = pair.two.new_game(token("host"))
        windows = [stack.enter_context(Player(pair.two, carols_game, token("carol"))) for _ in range(2)]
        assert windows[0].until_closed()[0] == 4409
        yield Scene(folder, pair, collector, pair.instances, game, open_game, ann, carols_game, windows[1])


def _trouble(pair: Pair, game: str, stack: contextlib.ExitStack) -> None:
    """Bring five who say that it does not work, and one for whom it does; each has met what is theirs."""
    for wrong in (token("erin", secret="f" * 64), token("dan", -60)):
        with pytest.raises(InvalidStatus), Player(pair.two, game, wrong):
            pass
    slow = stack.enter_context(Player(pair.one, game, token("sam"), "?chaos=close:slow_consumer,close_ms:40"))
    assert slow.until_closed()[0] == 4430
    removed = stack.enter_context(Player(pair.one, game, token("rob")))
    removed.until("welcome")
    rob, host = f"{pair.two.http_url}/api/games/{game}/players/rob", {"authorization": f"Bearer {token('host')}"}
    until(lambda: fetch.delete(rob, headers=host).is_success)  # two hears a moment later that he has joined on one
    assert removed.until_closed()[0] == 4403
    lost = stack.enter_context(Player(pair.one, game, token(LOU, name="Lou")))
    lost.until("welcome")
    lost.drop()
    stack.enter_context(Player(pair.one, game, token(HEIDI, name="Heidi"))).until("welcome")
    until(lambda: pair.one.logged("ws.closed", player_id=LOU))


def only(rows: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """The one row with these fields."""
    (found,) = (row for row in rows if fields.items() <= row.items())
    return found
