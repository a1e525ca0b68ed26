"""Several workers and their supervisor, as processes: who dies, who goes on, and how all end."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.supervisor.folder import hold
from tools.harness import fetch
from tools.harness.processes import freeze, is_alive
from tools.harness.server import ServerProcess, until
from tools.harness.workers import WORKERS, Supervised

pytestmark = pytest.mark.long

SLOW_S = 60


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Supervised]:
    with Supervised(tmp_path) as running:
        yield running


def is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", port))
        return True
    return False


def test_all_are_told_of_by_one_port(workers: Supervised) -> None:
    assert workers.until_all_ready() == {"status": "ok"}
    first = int(workers.settings["OPS_PORT"])
    assert fetch.get(f"{workers.ops_url}/sd").json() == [
        {"targets": [f"127.0.0.1:{first + number}" for number in (1, 2)], "labels": {}}
    ]
    for number in (1, 2):
        shown = fetch.get(f"{workers.worker_url(number)}/version").json()
        assert shown["replica"] == f"{socket.gethostname()[:60]}-{number}"
    figures = workers.figures()
    assert figures['code_racer_workers{state="ready"}'] == WORKERS
    assert figures['code_racer_worker_restarts_total{reason="died"}'] == 0


def test_one_that_is_killed_is_followed_by_another_and_the_other_feels_nothing(workers: Supervised) -> None:
    before = workers.pids()
    os.kill(before[1], signal.SIGKILL)
    died = workers.wait_for_log("worker.died", timeout_s=SLOW_S)
    assert (died["worker"], died["exit_code"], died["pause_s"]) == (1, -signal.SIGKILL, 0.5)
    workers.wait_for_log("worker.started", skip=WORKERS, timeout_s=SLOW_S)
    workers.until_all_ready()
    after = workers.pids()
    assert after[1] != before[1]
    assert after[2] == before[2]
    assert is_alive(before[2])
    assert workers.figures()['code_racer_worker_restarts_total{reason="died"}'] == 1
    assert workers.stop() == 0


def test_told_to_end_all_drain_and_it_is_a_good_end(workers: Supervised) -> None:
    assert workers.stop() == 0
    names = {record["replica"] for record in workers.logged("app.stopped")}
    assert names == {f"{socket.gethostname()[:60]}-{number}" for number in (1, 2)}
    assert len(workers.logged("supervisor.stopped")) == 1
    assert not any(map(is_alive, workers.pids().values()))
    assert (
        workers.stderr
        == f"Code Racer is ready: http://localhost:{workers.settings['PORT']}/, 2 workers (Ctrl+C stops it)\n"
    )


def test_without_a_supervisor_they_drain_and_leave_the_port(workers: Supervised) -> None:
    pids = workers.pids().values()
    workers.kill()
    until(lambda: not any(map(is_alive, pids)), SLOW_S)
    assert len(workers.logged("supervisor.lost")) == WORKERS
    assert len(workers.logged("app.stopped")) == WORKERS
    assert is_free(int(workers.settings["PORT"]))


def test_their_folder_stays_until_the_last_of_them_has_ended_and_the_next_start_removes_it(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with Supervised(tmp_path, tmpdir=temporary) as workers:
        (folder,) = temporary.iterdir()
        pids = workers.pids()
        freeze(pids[2])
        os.kill(workers.pid, signal.SIGKILL)
        until(lambda: not is_alive(pids[1]), SLOW_S)
        is_held = hold(folder) is None
        os.kill(pids[2], signal.SIGKILL)
        until(lambda: not is_alive(pids[2]), SLOW_S)
        workers.kill()
        assert is_held, "a cleaner of temporary files would have parted those that ran"
        workers.start()
        assert len(list(temporary.iterdir())) == 1
        assert not folder.exists()
        assert workers.stop() == 0
    assert list(temporary.iterdir()) == []


def test_one_that_follows_a_killed_one_too_early_says_what_to_wait_for_and_then_starts(tmp_path: Path) -> None:
    with Supervised(tmp_path) as workers:
        pids = workers.pids()
        freeze(pids[2])
        os.kill(workers.pid, signal.SIGKILL)
        until(lambda: not is_alive(pids[1]), SLOW_S)
        early = Supervised(tmp_path)
        early.settings = dict(workers.settings)
        try:
            with pytest.raises(AssertionError, match=r"workers drain still, and leave the port within \d+ s: start"):
                early.start()
        finally:
            os.kill(pids[2], signal.SIGKILL)
        assert early.wait() == 2
        workers.kill()
        workers.start()
        assert workers.stop() == 0


def test_asked_by_sighup_they_are_replaced_in_turn_and_once_more_if_asked_meanwhile(workers: Supervised) -> None:
    before = workers.pids()
    os.kill(workers.pid, signal.SIGHUP)
    workers.wait_for_log("worker.stopped", timeout_s=SLOW_S)
    for _ in range(2):
        os.kill(workers.pid, signal.SIGHUP)
    workers.wait_for_log("supervisor.reloaded", timeout_s=2 * SLOW_S, skip=1)
    story = [
        (record["event"], record["worker"])
        for record in workers.records()
        if record["event"] in {"worker.started", "worker.stopped"}
    ][WORKERS:]
    in_turn = [("worker.stopped", 1), ("worker.started", 1), ("worker.stopped", 2), ("worker.started", 2)]
    assert story == in_turn * 2
    assert not set(before.values()) & set(workers.pids().values())
    assert workers.figures()['code_racer_worker_restarts_total{reason="asked"}'] == 2 * WORKERS
    assert workers.stop() == 0


def test_files_of_secrets_are_used_by_all_at_once_however_long_it_is_until_they_are_replaced(tmp_path: Path) -> None:
    current, previous = tmp_path / "secret", tmp_path / "previous"
    old, new = f"{'0':>032}", f"{'1':>032}"
    current.write_text(old)
    previous.touch()
    files = {"jwt_secret": "", "jwt_secret_file": current, "jwt_previous_secret_file": previous}
    with Supervised(tmp_path / "server", **files) as workers:
        current.write_text(new)
        previous.write_text(old)
        os.kill(workers.pid, signal.SIGHUP)
        workers.wait_for_log("supervisor.reloaded", timeout_s=SLOW_S)
        assert workers.stop() == 0
        told = workers.logged("secrets.loaded", changed=["JWT_SECRET", "JWT_PREVIOUS_SECRET"])
        assert {record["replica"][-1] for record in told} == {"1", "2"}, "those that were there before"


def test_one_that_stands_still_is_killed_and_followed(tmp_path: Path) -> None:
    with Supervised(tmp_path, worker_timeout_s=10) as workers:
        before = workers.pids()
        freeze(before[2])
        assert workers.wait_for_log("worker.silent", timeout_s=SLOW_S)["pid"] == before[2]
        workers.wait_for_log("worker.started", skip=WORKERS, timeout_s=SLOW_S)
        workers.until_all_ready()
        assert workers.pids()[1] == before[1]
        assert workers.figures()['code_racer_worker_restarts_total{reason="silent"}'] == 1


def test_wrong_settings_of_a_reload_leave_all_as_they_are(workers: Supervised) -> None:
    before = workers.pids()
    (workers.folder / ".env").write_text("LOG_FORMAT=letters\n")
    os.kill(workers.pid, signal.SIGHUP)
    refused = workers.wait_for_log("supervisor.refused", timeout_s=SLOW_S)
    assert "LOG_FORMAT" in refused["error"]
    assert workers.pids() == before
    assert all(map(is_alive, before.values()))


def test_what_hinders_every_worker_is_told_once_and_ends_it(tmp_path: Path) -> None:
    workers = Supervised(tmp_path)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "code-racer.1of2.db").write_text("this is no database, whatever its name says")
    with pytest.raises(AssertionError, match=r"no app\.started"):
        workers.start()
    assert workers.wait() == 2
    assert workers.stderr.count("code-racer: EVENT_LOG_URL: cannot open") == 1
    assert len(workers.logged("worker.started")) == 1


def test_one_that_dies_again_and_again_ends_all_and_says_so(tmp_path: Path) -> None:
    with Supervised(tmp_path, worker_max_deaths=2, worker_restart_delay_s=0) as workers:
        for death in range(2):
            os.kill(workers.pids()[1], signal.SIGKILL)
            if not death:
                workers.wait_for_log("worker.started", skip=WORKERS, timeout_s=SLOW_S)
        assert workers.wait() == 1
        assert "worker 1 of 2 ended 2 times in succession, last killed by SIGKILL" in workers.stderr
        assert len(workers.logged("app.stopped")) == 1
        assert len(workers.logged("supervisor.gave_up")) == 1


def test_games_of_another_number_of_workers_move_at_the_start(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as alone:
        game_id = alone.new_game(alone.guest("ann")["token"])
    with Supervised(tmp_path) as many:
        assert many.wait_for_log("games.moved")["games"] == 1
        assert many.stop() == 0
    with ServerProcess(tmp_path) as again:
        assert {record["games"] for record in again.logged("games.moved")} == {0, 1}
        token = again.guest("bob")["token"]
        answer = fetch.get(f"{again.http_url}/api/games/{game_id}", headers={"authorization": f"Bearer {token}"})
        assert answer.is_success
