"""The log's way out: through a real rsyslog, to a full disk, to nobody."""

import fcntl
import json
import os
import resource
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tools.harness.player import SOLUTION, Player
from tools.harness.server import UnheardServer, until
from tools.harness.tokens import token

HOSTILE = 'line\nfeed \r\x00\x1b[31m \u2028\u2029\x85\x0b \ud800 "}{ ' + "x" * 3_000
CONFIG = """
global(workDirectory="{folder}" maxMessageSize="256k")
module(load="imfile")
module(load="mmjsonparse")
template(name="whole" type="list") {{ property(name="$!all-json") constant(value="\\n") }}
template(name="raw" type="list") {{ property(name="rawmsg") constant(value="\\n") }}
input(type="imfile" file="{source}" tag="code-racer" ruleset="code-racer" addMetadata="off")
ruleset(name="code-racer") {{
  action(type="mmjsonparse" cookie="" useRawMsg="on")
  if $parsesuccess == "OK" then action(type="omfile" file="{folder}/parsed" template="whole")
  else action(type="omfile" file="{folder}/rest" template="raw")
}}
"""


@contextmanager
def rsyslog(folder: Path, source: Path) -> Iterator[None]:
    folder.mkdir()
    (folder / "rsyslog.conf").write_text(CONFIG.format(folder=folder, source=source))
    with (folder / "rsyslog.log").open("w") as log:
        command = ["rsyslogd", "-n", "-f", str(folder / "rsyslog.conf"), "-i", str(folder / "pid")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def play_and_misbehave(server: UnheardServer) -> None:
    ann, bob = token("ann"), token("bob")
    game_id = server.new_game(ann, min_players=2)
    with Player(server, game_id, ann) as one, Player(server, game_id, bob) as two:
        two.until("player_joined", player_id="bob")
        for text in ("nonsense", json.dumps({"type": HOSTILE}), json.dumps({"type": "ping", "data": {"x": HOSTILE}})):
            one.ws.send(text)
            one.until("error")
        one.send("ready")
        two.send("ready")
        one.until("game_started")
        one.send("submit_code", {"code": SOLUTION})
        two.until("game_finished")
    for bad in (token(HOSTILE), "nonsense", token("late")):
        with pytest.raises(InvalidStatus):
            Player(server, game_id, bad, "?last=%0A%E2%80%A8&x=%00")


def counted(metrics: dict[str, float], family: str, having: str = "") -> float:
    return sum(value for key, value in metrics.items() if key.startswith(f"code_racer_{family}") and having in key)


def test_a_log_pipeline_reads_every_line_and_counts_what_the_server_counts(tmp_path: Path) -> None:
    source = tmp_path / "stdout.log"
    with source.open("wb") as stdout, rsyslog(tmp_path / "rsyslog", source):
        with UnheardServer(tmp_path / "server", stdout, log_repeats_per_s=1000) as server:
            play_and_misbehave(server)
            until(lambda: server.metric("ws_connections") == 0)
            metrics = server.metrics()
        lines = source.read_text().split("\n")[:-1]
        parsed = tmp_path / "rsyslog/parsed"
        until(lambda: parsed.exists() and len(parsed.read_text().split("\n")) - 1 == len(lines))
    assert not (tmp_path / "rsyslog/rest").exists(), "no line that is none"
    records = [json.loads(line) for line in parsed.read_text().split("\n")[:-1]]
    assert records == [json.loads(line) for line in lines], "types and values are kept"
    events = Counter(record["event"] for record in records)
    assert events["ws.opened"] == counted(metrics, "ws_handshakes_total", "accepted") == 2
    assert events["ws.closed"] == counted(metrics, "ws_closes_total") == 2
    refused = counted(metrics, "ws_handshakes_total") - counted(metrics, "ws_handshakes_total", "accepted")
    assert events["ws.refused"] == refused == 3
    assert events["message.rejected"] == counted(metrics, "ws_errors_total") == 3
    assert events["submission.judged"] == counted(metrics, "submissions_total") == 1
    assert events["game.finished"] == counted(metrics, "game_transitions_total", "finished") == 1
    before_the_end = [record for record in records if record["event"] not in ENDING]
    levels = Counter(record["level"] for record in before_the_end)
    for level in ("debug", "info", "warning", "error", "critical"):
        assert levels[level] == counted(metrics, "log_records_total", level), level
    assert counted(metrics, "log_dropped_total") == 0


ENDING = {"app.draining", "app.drain_progressed", "app.stopped"}


def test_a_full_disk_under_stdout_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full, UnheardServer(tmp_path, full, log_file="/dev/full") as server:
        play_and_misbehave(server)
        assert server.metric("log_dropped_total") > 5
        assert server.metric("faults_total") == 0
        assert server.stop() == 0


def test_a_log_file_that_may_not_grow_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "stdout.log").open("wb") as stdout:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limit[1]))  # the server inherits it
        with UnheardServer(tmp_path / "server", stdout, event_log_url="memory:") as server:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            play_and_misbehave(server)
            assert server.metric("log_dropped_total") > 0
            assert server.stop() == 0
    whole, *_ = (tmp_path / "stdout.log").read_text().rsplit("\n", 1)
    assert json.loads(whole.split("\n")[0])["event"] == "app.started"


@pytest.mark.parametrize("reader", ["gone", "asleep"])
def test_a_reader_that_does_not_read_costs_lines_and_nothing_else(tmp_path: Path, reader: str) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    settings: dict[str, Any] = {"log_queue_size": 10, "log_repeats_per_s": 10_000, "log_flush_timeout_s": 0.2}
    with os.fdopen(writing, "wb") as stdout, os.fdopen(reading, "rb") as pipe:
        with UnheardServer(tmp_path, stdout, **settings) as server:
            if reader == "gone":
                pipe.close()
            for _ in range(100):
                with pytest.raises(InvalidStatus):
                    Player(server, HOSTILE[:4], "nonsense", "?" + "x" * 2_000)
                if server.metric("log_dropped_total"):
                    break
            play_and_misbehave(server)
            assert server.metric("log_dropped_total") > 0
            assert server.stop() == 0
        assert "Traceback" not in server.stderr
