"""Moving from one log to another."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.eventlog import START, CopyFailed, EventLog, copy_log, open_event_log
from app.eventlog.nats import NatsConfig
from app.game import Join, SetReady
from tests.support.games import GAME_ID, Game
from tests.support.nats import Nats
from tests.support.player import SOLUTION, Player
from tests.support.server import ROOT, ServerProcess, until

pytestmark = pytest.mark.anyio
OTHER_ID = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a01"


async def filled(log: EventLog) -> EventLog:
    """A log with a game under way, of several commits, and one that is over."""
    await log.open()
    game = Game(min_players=1)
    cursor = await log.append(GAME_ID, START, game.events[:])
    for command in (Join("ann", "Ann", "c1"), SetReady("ann", True, "m1")):
        cursor = await log.append(GAME_ID, cursor, game.do(command))
    over = Game(waiting_ttl_ms=1)
    over.wait(1)
    await log.append(OTHER_ID, START, over.events)
    return log


async def test_all_games_are_copied_once_and_what_is_missing_later(tmp_path: Path) -> None:
    source = await filled(open_event_log(f"sqlite:///{tmp_path / 'log.db'}"))
    with Nats(tmp_path / "nats") as nats:
        target = open_event_log(nats.url, NatsConfig((nats.url,), "r1"))
        await target.open()
        copied = await copy_log(source, target)
        assert (copied.games, copied.commits) == (2, 4)
        for game_id in (GAME_ID, OTHER_ID):
            there, here = await target.read(game_id), await source.read(game_id)
            assert [commit.events for commit in there] == [commit.events for commit in here]
        assert (await copy_log(source, target)).commits == 0
        last = (await source.read(GAME_ID))[-1]
        game = Game(min_players=1)
        for command in (Join("ann", "Ann", "c1"), SetReady("ann", True, "m1")):
            game.do(command)
        await source.append(GAME_ID, last.cursor, game.do(SetReady("ann", False)))
        assert (await copy_log(source, target)).commits == 1
        await target.close()
    await source.close()


async def test_a_game_that_went_another_way_is_left_alone(tmp_path: Path) -> None:
    source, target = await filled(open_event_log("memory:")), open_event_log("memory:")
    other = Game(min_players=2)
    await target.append(GAME_ID, START, other.events)
    with pytest.raises(CopyFailed, match=GAME_ID):
        await copy_log(source, target)
    assert len(await target.read(GAME_ID)) == 1
    del tmp_path


def test_a_race_goes_on_after_the_move(tmp_path: Path) -> None:
    with Nats(tmp_path / "nats") as nats:
        server = ServerProcess(tmp_path / "server").start()
        ann = server.guest("Ann")
        game = server.new_game(ann["token"], min_players=1)
        with Player(server, game, ann["token"], "?last_seq=0") as player:
            player.send("ready", {"status": "ready"})
            player.until("game_started")
            seen = player.events
        server.stop()
        copy(server, nats.url)
        server.settings["EVENT_LOG_URL"] = nats.url
        with server:
            until(lambda: server.metric("event_log_connected"))
            with Player(server, game, ann["token"], f"?last_seq={seen[-1]['seq']}") as player:
                player.send("submit_code", {"code": SOLUTION})
                player.until("game_finished", winner=ann["player_id"])
                seqs = [event["seq"] for event in (*seen, *player.events)]
            assert seqs == list(range(1, len(seqs) + 1))


def copy(server: ServerProcess, url: str) -> None:
    """As the guide says."""
    environment = os.environ | server.settings | {"EVENT_LOG_URL": url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "app", "copy-log", "--from", "sqlite:///var/code-racer.db"]
    done = subprocess.run(
        command, cwd=server.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 games, ")
