"""Moving from one log to another."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.eventlog import START, CopyFailed, EventLog, copy_log, open_event_log
from app.game import Join, SetReady
from tools.harness.games import GAME_ID, Game
from tools.harness.nats import Nats, log_settings
from tools.harness.player import SOLUTION, Player
from tools.harness.server import SOURCES, ServerProcess, until

pytestmark = pytest.mark.anyio
OTHER_ID = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a01"


async def filled(log: EventLog) -> EventLog:
    """A log with a game under way, of several commits, and one that is over."""
    await log.open()
    game = Game(min_players=1)
    cursor = (await log.append(GAME_ID, START, game.events[:])).cursor
    for command in (Join("ann", "Ann", "c1"), SetReady("ann", True, "m1")):
        cursor = (await log.append(GAME_ID, cursor, game.do(command))).cursor
    over = Game(waiting_ttl_ms=1)
    over.wait(1)
    await log.append(OTHER_ID, START, over.events)
    return log


async def test_all_games_are_copied_once_and_what_is_missing_later(tmp_path: Path) -> None:
    source = await filled(open_event_log(log_settings(f"sqlite:///{tmp_path / 'log.db'}"), "r1"))
    with Nats(tmp_path / "nats") as nats:
        target = open_event_log(log_settings(nats.url), "r1")
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
    source, target = (
        await filled(open_event_log(log_settings("memory:"), "r1")),
        open_event_log(log_settings("memory:"), "r1"),
    )
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
    environment = os.environ | server.settings | {"EVENT_LOG_URL": url, "PYTHONPATH": SOURCES}
    command = [sys.executable, "-m", "app", "copy-log", "--from", "sqlite:///var/code-racer.db"]
    done = subprocess.run(
        command, cwd=server.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 games, ")


def test_a_log_that_is_written_or_not_there_is_not_copied(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "server") as server:
        held = f"sqlite:///{server.folder}/var/code-racer.db"
        pid = f"process {server.pid} "
        elsewhere = f"sqlite:///{tmp_path}/target.db"
        for source, target in ((held, elsewhere), (elsewhere, held), (held, held)):
            if source == elsewhere:
                make_empty_log(tmp_path / "target.db")
            done = copy_command(tmp_path, source, target)
            assert (done.returncode, done.stdout) == (2, "")
            assert pid in done.stderr
            assert "Traceback" not in done.stderr
        server.new_game(server.guest("Ann")["token"])
    for missing in (f"sqlite:///{tmp_path}/none.db", f"sqlite:///{tmp_path}/none/none.db"):
        done = copy_command(tmp_path, missing, elsewhere)
        assert done.returncode == 1
        assert done.stderr.endswith("does not exist\n")
        assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("none*"))
    assert copy_command(tmp_path, held, elsewhere).stdout.startswith("1 games, 1 commits")


def test_a_stream_that_is_not_there_is_not_made_to_be_copied(tmp_path: Path) -> None:
    with Nats(tmp_path / "nats") as nats:
        for _ in range(2):
            done = copy_command(tmp_path, nats.url, f"sqlite:///{tmp_path}/target.db")
            assert done.returncode == 1
            assert "stream CODE_RACER" in done.stderr
            assert "Traceback" not in done.stderr


def make_empty_log(path: Path) -> None:
    """A log without games."""

    async def make() -> None:
        log = open_event_log(log_settings(f"sqlite:///{path}"), "r1")
        await log.open()
        await log.close()

    asyncio.run(make())


def copy_command(folder: Path, source: str, target: str) -> "subprocess.CompletedProcess[str]":
    """The command, from one URL to another."""
    environment = os.environ | {"EVENT_LOG_URL": target, "PYTHONPATH": SOURCES}
    command = [sys.executable, "-m", "app", "copy-log", "--from", source]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
