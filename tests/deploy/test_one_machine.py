"""Several server processes on one machine, as docs/replicas.md has it: the shipped configurations, real programs."""

import os
import subprocess
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.nats import NATS_SERVER, Nats
from tests.support.nginx import Nginx, ThroughProxy
from tests.support.player import Player
from tests.support.server import ROOT, ServerProcess, free_port, until

pytestmark = pytest.mark.timeout(180)
SITE = (ROOT / "deploy/nginx/one-machine.conf").read_text()
NATS_CONF = ROOT / "deploy/nats/nats.conf"


def test_the_shipped_nats_configuration_is_one() -> None:
    environment = os.environ | {"SERVER_NAME": "nats-0", "NATS_PASSWORD": "a", "NATS_ADMIN_PASSWORD": "b"}
    done = subprocess.run(
        [NATS_SERVER, "-t", "-c", NATS_CONF], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sync_interval: always" in NATS_CONF.read_text()


def test_the_rights_of_the_shipped_nats_configuration_are_enough(tmp_path: Path) -> None:
    text = NATS_CONF.read_text()
    accounts = text[text.index("accounts {") : text.index("max_payload")].replace("$NATS_PASSWORD", "secret")
    with ExitStack() as stack:
        nats = stack.enter_context(Nats(tmp_path / "nats", more=accounts.replace("$NATS_ADMIN_PASSWORD", "other")))
        who = {"event_log_url": nats.url, "nats_user": "code-racer", "nats_password": "secret"}
        one, two = (stack.enter_context(ServerProcess(tmp_path / name, **who, replica=name)) for name in ("a", "b"))
        until(lambda: one.metric("replicas") == two.metric("replicas") == 2)
        ann, bob = one.guest("Ann"), two.guest("Bob")
        game = one.new_game(ann["token"])
        with Player(one, game, ann["token"]) as a, Player(two, game, bob["token"]) as b:
            a.send("ready")
            b.send("ready")
            b.until("game_started")
            a.send("progress", {"percent": 10})
            b.until("player_progress")
        assert one.metric("event_log_troubles_total", trouble="denied") == 0
        assert two.metric("event_log_troubles_total", trouble="denied") == 0


class Machine:
    """So many processes behind nginx with the shipped site; `base` is where players come."""

    def __init__(self, stack: ExitStack, folder: Path, count: int, **settings: object) -> None:
        nats = stack.enter_context(Nats(folder / "nats"))
        common = {"event_log_url": nats.url, "trusted_proxies": "127.0.0.1", "replica_ttl_s": 2, **settings}
        self.replicas = {
            name: stack.enter_context(ServerProcess(folder / name, replica=name, **common)) for name in "abc"[:count]
        }
        until(lambda: all(one.metric("replicas") == count for one in self.replicas.values()))
        self.port, self.log = free_port(), folder / "access.log"
        self.base = f"http://127.0.0.1:{self.port}"
        site = SITE.replace("listen 8080", f"listen 127.0.0.1:{self.port}")
        site = site.replace("/var/log/nginx/code-racer.log", str(self.log))
        hosts = [one.host for one in self.replicas.values()]
        for number in range(3):
            site = site.replace(f"127.0.0.1:{8081 + number} ", f"{hosts[number % count]} ")
        stack.enter_context(Nginx(folder / "nginx", site))
        until(lambda: httpx.get(f"{self.base}/").status_code == 200)

    def player(self, game: str, token: str, query: str = "") -> Player:
        """A player who comes through nginx; with a query, without a header."""
        options: dict[str, Any] = {"additional_headers": {}} if query else {}
        return Player(ThroughProxy(self.port), game, token, query, **options)  # type: ignore[arg-type] # as much of a server as a player needs

    def place(self, game: str, token: str, query: str = "") -> str:
        """Which process a player of a game comes to."""
        with self.player(game, token, query) as player:
            return str(player.until("welcome")["data"]["replica"])


def test_a_game_has_one_process_and_another_when_that_is_gone(tmp_path: Path) -> None:
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 3, sweep_interval_s=0.5)
        ann = httpx.post(f"{machine.base}/api/guests", json={"name": "Ann"}).json()
        headers = {"authorization": f"Bearer {ann['token']}"}
        games = [httpx.post(f"{machine.base}/api/games", json={}, headers=headers).json()["game_id"] for _ in range(12)]
        places: Counter[str] = Counter()
        for game in games:
            seen = {machine.place(game, one.guest(name)["token"]) for name, one in machine.replicas.items()}
            assert len(seen) == 1, "the players of a game meet in one process"
            places[seen.pop()] += 1
        assert len(places) > 1, "not all games are in one process"
        place = machine.place(games[0], ann["token"])
        with machine.player(games[0], ann["token"]) as player:
            machine.replicas[place].kill()
            assert player.until_closed()[0] == 1006
        assert machine.place(games[0], ann["token"]) != place
        for path in ("/metrics", "/readyz", "/version"):
            assert httpx.get(f"{machine.base}{path}").status_code == 404, "not for the public"
        machine.place(games[0], "", f"?token={ann['token']}")
        assert ann["token"] not in machine.log.read_text()
        assert f"/ws/{games[0]}" in machine.log.read_text()


def test_a_process_that_drains_is_passed_by(tmp_path: Path) -> None:
    with ExitStack() as stack:
        machine = Machine(stack, tmp_path, 2, drain_delay_s=0, drain_spread_s=30)
        leaving = machine.replicas["a"]
        tokens = [leaving.guest(name)["token"] for name in ("x", "y", "z")]
        games = [leaving.new_game(tokens[0]) for _ in range(40)]  # a third of them falls to it
        there = [game for game in games if machine.place(game, tokens[0]) == "a"]
        for token in tokens:
            stack.enter_context(Player(leaving, there[0], token))
        leaving.signal_term()
        leaving.wait_for_log("app.drain_progressed", phase="closing")
        assert {machine.place(game, tokens[0]) for game in there} == {"b"}
        leaving.kill()
