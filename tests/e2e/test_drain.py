"""The drain: SIGTERM against a real process, phase by phase."""

import asyncio
import contextlib
import datetime as dt
import json
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tools.harness import fetch
from tools.harness.player import Player
from tools.harness.server import UNLIMITED, ServerProcess, until
from tools.harness.tokens import token

pytestmark = pytest.mark.anyio


def moment(record: dict[str, Any]) -> float:
    return dt.datetime.fromisoformat(record["timestamp"]).timestamp()


def told(player: Player) -> dict[str, Any]:
    assert player.until_closed() == (1012, "draining")
    assert player.received[-1]["type"] == "disconnect"
    return dict(player.received[-1]["data"])


def test_readiness_fails_at_once_while_connections_are_still_taken(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, drain_delay_s=60).start()
    game_id = server.new_game(token("host"))
    with Player(server, game_id, token("a")) as early:
        early.until("player_joined", player_id="a")
        os.kill(server.pid, signal.SIGTERM)
        until(lambda: fetch.get(f"{server.http_url}/readyz").status_code == 503)
        assert fetch.get(f"{server.http_url}/readyz").json()["failed"] == ["not_draining"]
        assert fetch.get(f"{server.http_url}/livez").status_code == 200
        assert server.metric("draining") == 1
        assert server.metric("ready") == 0
        with Player(server, game_id, token("b")) as late:
            late.until("player_joined", player_id="b")
            os.kill(server.pid, signal.SIGTERM)  # the second one hurries
            waits = {told(early)["retry_after_ms"], told(late)["retry_after_ms"]}
            assert min(waits) > 0
    assert server.wait() == 0
    phases = [record["phase"] for record in server.logged("app.drain_progressed")]
    assert phases == ["delay", "games", "closing", "scrape", "done"]


def test_then_new_ones_are_refused_and_a_game_near_its_end_finishes(tmp_path: Path) -> None:
    settings = {"drain_game_wait_s": 600, "drain_spread_s": 0, "restart_hint_s": 60, "finished_linger_s": 60}
    server = ServerProcess(tmp_path, **settings).start()
    near = server.new_game(token("host"), min_players=1, time_limit_s=5)
    waiting = server.new_game(token("host"))
    with Player(server, near, token("racer")) as racer, Player(server, waiting, token("idler")) as idler:
        racer.send("ready")
        racer.until("game_started")
        idler.until("player_joined", player_id="idler")
        os.kill(server.pid, signal.SIGTERM)
        server.wait_for_log("app.drain_progressed", phase="games", games=1)
        with pytest.raises(InvalidStatus) as refused, Player(server, waiting, token("late")):
            pass
        assert refused.value.response.status_code == 503
        assert int(refused.value.response.headers["retry-after"]) >= 1
        assert json.loads(refused.value.response.body or b"")["reason"] == "draining"
        headers = {"authorization": f"Bearer {token('x')}"}
        answers = [fetch.post(f"{server.http_url}/api/games", headers=headers) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {503}
        waits_ms = [answer.json()["retry_after_ms"] for answer in answers]
        assert min(waits_ms) > 500_000, "it goes on for ten minutes, as the drain has them wait for games"
        assert max(waits_ms) - min(waits_ms) > 10_000, "they come back over the minute for which all are told to wait"
        assert [int(answer.headers["retry-after"]) for answer in answers] == [-(-ms // 1000) for ms in waits_ms]
        racer.send("ping", {"timestamp": 1})
        racer.until("pong")
        racer.until("game_finished")
        told(racer)
        told(idler)
    assert server.wait() == 0
    finished, closing = server.logged("game.finished")[0], server.wait_for_log("app.drain_progressed", phase="closing")
    assert server.records().index(finished) < server.records().index(closing)


def test_waiting_games_go_first_races_last(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, drain_spread_s=1).start()
    race = server.new_game(token("host"), min_players=1)
    waiting = server.new_game(token("host"))
    with Player(server, race, token("racer")) as racer:
        racer.send("ready")
        racer.until("game_started")
        with Player(server, waiting, token("idler")) as idler:
            idler.until("player_joined", player_id="idler")
            os.kill(server.pid, signal.SIGTERM)
            told(idler)
            told(racer)
    assert server.wait() == 0
    assert [record["player_id"] for record in server.logged("ws.closed")] == ["idler", "racer"]


async def test_connections_end_evenly_spread_each_with_a_time_of_its_own(tmp_path: Path) -> None:
    """The server's promise, whatever the machine: the k-th of n is not ended before k/n of the time has passed."""
    count, spread_s = 200, 2.0
    server = ServerProcess(tmp_path, drain_spread_s=spread_s, restart_hint_s=2, finished_linger_s=60)
    await asyncio.to_thread(server.start)
    game_id = await asyncio.to_thread(server.new_game, token("host"), max_players=100)
    games = [game_id, *[await asyncio.to_thread(server.new_game, token("host"), max_players=100) for _ in range(3)]]

    async def member(number: int) -> int:
        headers = {"Authorization": f"Bearer {token(f'p{number}')}"}
        url = f"{server.ws_url}/ws/{games[number % len(games)]}"
        async with connect(url, additional_headers=headers, proxy=None) as ws:
            last: dict[str, Any] = {}
            with contextlib.suppress(ConnectionClosed):
                while True:
                    last = json.loads(await ws.recv())
            assert ws.close_code == 1012
            return int(last["data"]["retry_after_ms"])

    members = [asyncio.create_task(member(number)) for number in range(count)]
    await asyncio.to_thread(until, lambda: server.metric("ws_connections") == count)
    os.kill(server.pid, signal.SIGTERM)
    waits = await asyncio.gather(*members)
    assert await asyncio.to_thread(server.wait) == 0
    begin = moment(server.wait_for_log("app.drain_progressed", phase="closing"))
    closed = sorted(moment(record) for record in server.logged("ws.closed", reason="draining"))
    assert len(closed) == count
    for number, end in enumerate(closed):
        assert end - begin >= spread_s * number / count - 0.05, f"number {number} of {count} was told too early"
    assert len(set(waits)) > count * 0.9, "nobody is told to come back with the others"
    assert min(waits) >= 2000, "a lone replica is not back before its restart"


def test_a_peer_that_does_not_read_cannot_hold_the_drain_up(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, close_timeout_s=0.3).start()
    with Player(server, server.new_game(token("host")), token("stuck")) as player:
        player.until("player_joined", player_id="stuck")
        player.ws.protocol.recv_frame = lambda *_: None  # type: ignore[method-assign] # a client that is stuck
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait() == 0
    assert server.wait_for_log("ws.closed", player_id="stuck")["reason"] == "draining"
    assert server.records()[-1]["event"] == "app.stopped"


def test_the_last_figures_are_scraped_before_the_end(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, scrape_wait_s=600).start()
    with Player(server, server.new_game(token("host")), token("a")) as player:
        player.until("player_joined", player_id="a")
        server.metrics()
        os.kill(server.pid, signal.SIGTERM)
        told(player)
    server.wait_for_log("app.drain_progressed", phase="scrape")
    assert server.metric("ws_closes_total", code="1012", reason="draining", initiator="server") == 1
    assert server.wait() == 0


def test_nobody_connected_and_nobody_scraping_is_quick_and_clean(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, scrape_wait_s=600, drain_spread_s=600, drain_game_wait_s=600).start()
    assert server.stop() == 0
    phases = [record["phase"] for record in server.logged("app.drain_progressed")]
    assert phases == ["delay", "games", "closing", "done"]
    assert server.stderr.count("\n") == 1


def test_peers_that_keep_talking_see_the_close_code_too(tmp_path: Path) -> None:
    """A socket closed with unread bytes resets the connection, and the close frame is lost on its way."""
    patient = {"outbox_max_bytes": 2**34, "outbox_max_age_s": 3600, "close_timeout_s": 20}
    server = ServerProcess(tmp_path, **UNLIMITED, **patient).start()
    game_id = server.new_game(token("host"), min_players=50, max_players=50)
    over = threading.Event()
    players = [Player(server, game_id, token(f"p{number}")) for number in range(10)]

    def talk(player: Player) -> None:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(8_000):  # half of MAX_DISCARDED_BYTES: whoever sends more than that unheard is cut
                if over.is_set():
                    break
                player.send("ping", {"timestamp": 1, "padding": "x" * 1000})

    threads = [threading.Thread(target=talk, args=(player,)) for player in players]
    for thread in threads:
        thread.start()
    for player in players:
        player.until("pong")
    os.kill(server.pid, signal.SIGTERM)
    codes = [player.until_closed() for player in players]
    over.set()
    for thread in threads:
        thread.join()
    for player in players:
        player.ws.close()
    assert codes == [(1012, "draining")] * len(players)
    assert server.wait() == 0


def test_an_answer_that_nobody_reads_is_cut_with_its_line_and_no_fault(tmp_path: Path) -> None:
    request = b"GET /schema/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ServerProcess(tmp_path, close_timeout_s=1) as server, socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        peer.connect(("127.0.0.1", int(server.settings["PORT"])))
        peer.settimeout(0.5)
        with contextlib.suppress(TimeoutError):  # it takes no more: its answers are in the way
            while True:
                peer.send(request * 100)
        assert server.stop() == 0
        assert server.logged("http.rejected", reason="unread")
        assert not [record for record in server.records() if record["level"] == "error"]
