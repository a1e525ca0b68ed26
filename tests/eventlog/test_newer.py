"""An event that this version does not know, as a newer one writes it: nothing is passed over, the other games go on."""

import asyncio
import sqlite3
from pathlib import Path

import nats
import pytest
from websockets.exceptions import InvalidStatus

from app.eventlog.nats.streams import log_subject
from tools.harness.nats import Nats
from tools.harness.player import Player
from tools.harness.server import ServerProcess

NEWER = b'[{"type":"spectator_joined","seq":%d,"at":1795869296000,"player_id":"x"}]'


def refused(server: ServerProcess, game_id: str, token: str) -> None:
    """The game is refused as what another replica may serve; another game is played."""
    with pytest.raises(InvalidStatus) as handshake, Player(server, game_id, token):
        pass
    assert handshake.value.response.status_code == 503
    with Player(server, server.new_game(token), token) as elsewhere:
        elsewhere.until("welcome")


def test_a_game_with_a_newer_event_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    server = ServerProcess(tmp_path / "server", event_log_url=f"sqlite:///{file}")
    with server:
        token = server.guest("Ann")["token"]
        game_id = server.new_game(token)
    with sqlite3.connect(file) as db:
        db.execute("INSERT INTO commits VALUES (?, 2, ?)", (game_id, NEWER % 2))
        db.execute("UPDATE games SET last_seq = 2 WHERE game_id = ?", (game_id,))
    db.close()
    with server:
        refused(server, game_id, token)
        assert "newer release" in server.wait_for_log("app.fault", where="game", game_id=game_id)["error"]
        assert server.metric("event_log_troubles_total", trouble="unreadable") > 0


def test_players_of_a_running_game_are_sent_elsewhere_when_a_newer_replica_goes_on_with_it(tmp_path: Path) -> None:
    with Nats(tmp_path / "nats", 1) as log:
        settings = {"event_log_url": log.url, "sweep_interval_s": 1}
        with ServerProcess(tmp_path / "server", **settings) as server:
            server.until_ready()
            token = server.guest("Ann")["token"]
            game_id = server.new_game(token)
            with Player(server, game_id, token) as player:
                seq = player.until("player_joined")["seq"]
                asyncio.run(published(log.url, log_subject(game_id), NEWER % (seq + 1)))
                assert player.until_closed()[0] == 1011
            refused(server, game_id, token)


async def published(url: str, subject: str, data: bytes) -> None:
    """As another replica would."""
    client = await nats.connect(url)
    await client.jetstream().publish(subject, data)
    await client.close()
