"""Overload: refused at the door and told why; who is in goes on; and it ends."""

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from app.realtime.overload import IN_A_ROW, LoadMonitor
from app.settings import HealthSettings
from app.telemetry.observer import Observer
from app.vocabulary import OverloadCause
from tools.harness import fetch
from tools.harness.player import Player
from tools.harness.processes import freeze
from tools.harness.readers import small_socket
from tools.harness.server import UNLIMITED, ServerProcess, until
from tools.harness.tokens import token
from tools.harness.wire import TEXT, frame, upgrade

CHATTER = frame(TEXT, b'{"type":"ping","data":{"timestamp":1},"id":"%s"}' % (b"x" * 64))


def refused(server: ServerProcess, game_id: str) -> dict[str, Any]:
    with pytest.raises(InvalidStatus) as error, Player(server, game_id, token("late")):
        pass
    response = error.value.response
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    return dict(json.loads(response.body or b""))


@pytest.mark.parametrize("gates", ["", "overload"])
def test_memory_over_its_limit(tmp_path: Path, gates: str) -> None:
    with ServerProcess(tmp_path / "measured") as server:
        idle = server.metric("memory_bytes")
    settings = {"memory_limit_bytes": int(idle) + 8_000_000, "overload_interval_s": 0.05, "ready_gates": gates}
    # whoever reads nothing answers no ping either, and is to be there however slowly this machine fills its outbox
    patient = {"outbox_max_bytes": 2**30, "outbox_max_age_s": 3600, "ping_interval_s": 3600, **UNLIMITED}
    with ServerProcess(tmp_path / "limited", **settings, **patient) as server, contextlib.ExitStack() as stack:
        game_id = server.new_game(token("host"))
        first = stack.enter_context(Player(server, game_id, token("first")))
        first.until("player_joined", player_id="first")
        deaf = stack.enter_context(small_socket(server))  # reads nothing: what it is sent is held for it
        deaf.sendall(upgrade(f"/ws/{game_id}", f"Authorization: Bearer {token('deaf')}"))
        while server.metric("overloaded", cause="memory") == 0:
            deaf.sendall(CHATTER * 100)
        problem = refused(server, game_id)
        assert problem["reason"] == "overloaded"
        assert 5_000 <= problem["retry_after_ms"] <= 15_000
        assert fetch.post(f"{server.http_url}/api/games", headers=bearer("x")).status_code == 503
        first.send("ping", {"timestamp": 4})
        first.until("pong")
        verbose = fetch.get(f"{server.http_url}/readyz?verbose")
        assert verbose.status_code == (503 if gates else 200)
        assert verbose.json()["checks"]["overload"] is False
        assert server.metric("ready") == (0 if gates else 1), "the metric says what the probe says"
        assert server.wait_for_log("app.overloaded")["causes"] == ["memory"]
        assert server.metric("ws_handshakes_total", outcome="overloaded") >= 1


def bearer(player_id: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token(player_id)}"}


def test_an_event_loop_that_lags(tmp_path: Path) -> None:
    """The process is stopped and let go in turns: its loop is late for every appointment."""
    settings = {"overload_lag_s": 0.1, "overload_interval_s": 0.2}
    with ServerProcess(tmp_path, **settings) as server:
        game_id = server.new_game(token("host"))
        with Player(server, game_id, token("first")) as first:
            first.until("player_joined", player_id="first")
            over = threading.Event()

            def stutter() -> None:
                while not over.is_set():
                    freeze(server.pid)
                    time.sleep(0.6)  # as long as the process stands still
                    os.kill(server.pid, signal.SIGCONT)
                    time.sleep(0.05)  # as long as it may run

            thread = threading.Thread(target=stutter)
            thread.start()
            try:
                server.wait_for_log("app.overloaded")
                assert refused(server, game_id)["reason"] == "overloaded"
                first.send("ping", {"timestamp": 4})
                first.until("pong")
            finally:
                over.set()
                thread.join()
            server.wait_for_log("app.relieved")
            until(lambda: server.metric("overloaded", cause="loop_lag") == 0)
            with Player(server, game_id, token("late")) as late:
                assert late.receive()["type"] == "welcome"
        assert server.metric("event_loop_lag_seconds_count") > 0


def test_the_newest_are_shed_first_and_told_to_come_back_later(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, memory_shed_bytes=1, overload_interval_s=2) as server:
        game_id = server.new_game(token("host"))
        with Player(server, game_id, token("older")) as older, Player(server, game_id, token("newer")) as newer:
            assert newer.until_closed() == (1013, "overloaded")
            told = newer.received[-1]["data"]
            assert told["reconnect"] is True
            assert told["retry_after_ms"] >= 5000
            older.until("player_disconnected", player_id="newer")
            assert older.until_closed() == (1013, "overloaded")
        assert server.metric("ws_shed_total") == 2


def test_one_late_appointment_is_no_overload() -> None:
    monitor = LoadMonitor(HealthSettings(overload_lag_s=0.5), Observer(), lambda _: 0)
    for lag in (9.0, 9.0, 0.3, 9.0, 9.0):
        monitor.look(lag, 0)
        assert not monitor.causes
    for _ in range(IN_A_ROW):
        monitor.look(0.6, 0)
    assert monitor.causes == {OverloadCause.LOOP_LAG}
    for lag in (0.1, 0.1, 0.3, 0.1, 0.1):
        monitor.look(lag, 0)
        assert monitor.causes
    monitor.look(0.1, 0)
    assert not monitor.causes
