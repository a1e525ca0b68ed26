"""Several server processes on one machine, as docs/replicas.md has it: the shipped configurations, real programs."""

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

from tools.harness.nats import NATS_SERVER, Nats
from tools.harness.player import Player
from tools.harness.server import ROOT, ServerProcess, until

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
            for player in (a, b):
                player.until("game_started")
            a.send("progress", {"percent": 10})
            b.until("player_progress")
        assert one.metric("event_log_troubles_total", trouble="denied") == 0
        assert two.metric("event_log_troubles_total", trouble="denied") == 0
