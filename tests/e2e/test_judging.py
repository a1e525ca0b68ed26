"""The judge under attack, on a real server: nothing that is submitted hurts the service or anybody else's race."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from app.judge import load_problems
from tools.harness import fetch
from tools.harness.player import SOLUTION, Player
from tools.harness.processes import children, cpu_ticks, freeze, is_alive
from tools.harness.server import ServerProcess, until

ENDLESS = "def solve(*args):\n    while True:\n        pass"
DOUBLED = "x = [1]\nfor _ in range({}):\n    x = [x, x]\ndef solve(*args):\n    return x"
HOSTILE = {
    "sixty doublings": (DOUBLED.format(60), "wrong_answer"),
    "twenty-two doublings": (DOUBLED.format(22), "wrong_answer"),
    "a long string often": ("def solve(*args):\n    return ['x' * 10**6] * 1500", "wrong_answer"),
    "nested deeply": (
        "def solve(*args):\n    x = 1\n    for _ in range(10**5):\n        x = [x]\n    return x",
        "wrong_answer",
    ),
    "a list in itself": ("def solve(*args):\n    x = []\n    x.append(x)\n    return x", "wrong_answer"),
    "a long integer": ("def solve(*args):\n    return 10 ** 10**6", "wrong_answer"),
    "a large key": ("def solve(*args):\n    return {'k' * 10**7: 1}", "wrong_answer"),
    "a long message": ("def solve(*args):\n    raise Exception('x' * 10**7)", "runtime_error"),
    "a flood of output": ("def solve(*args):\n    while True:\n        print('x' * 10**5)", "time_limit"),
    "a long sleep": ("import time\ndef solve(*args):\n    time.sleep(100)", "time_limit"),
    "a memory bomb": ("def solve(*args):\n    x = [0]\n    while True:\n        x = x + x", "memory_limit"),
    "deep source": ("(" * 50_000, "invalid"),
}
LEAKING = """
SHOWN = {shown!r}
def solve(*args):
    print(args)
    if repr(list(args)) in SHOWN:
        return SHOWN[repr(list(args))]
    raise Exception({prefix!r} + repr(args))
"""
GROWTH_BYTES = 64 * 1024 * 1024


@contextlib.contextmanager
def racing(server: ServerProcess, guest: dict[str, str], game_id: str | None = None) -> Iterator[Player]:
    """A player alone in a race."""
    game_id = game_id or server.new_game(guest["token"], min_players=1)
    with Player(server, game_id, guest["token"]) as player:
        player.send("ready")
        player.until("game_started")
        yield player


def test_no_result_costs_the_service_time_or_memory(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, judge_time_limit_s=5, judge_memory_bytes=32_000_000) as server:
        with racing(server, server.guest("ann")) as player:
            player.send("submit_code", {"code": "def solve(*args):\n    return 0"})
            player.until("submission_judged")
            before = server.metric("memory_bytes")
            for name, (code, verdict) in HOSTILE.items():
                player.send("submit_code", {"code": code})
                result = player.until("submission_result")["data"]
                assert result["verdict"] == verdict, name
                assert len(result["detail"]) <= 200, name
                assert all(len(test["got"]) <= 200 for test in result["tests"]), name
                assert server.metric("memory_bytes") < before + GROWTH_BYTES, name
        assert server.metric("submissions_total", verdict="judge_error") == 0
        assert server.metric("faults_total") == 0
        assert "monty" not in server.stderr


def test_nothing_of_a_hidden_test_is_told(tmp_path: Path) -> None:
    """A solution that raises what it is given: over the socket, over HTTP, in no log."""
    problem = load_problems()["podium"]
    hidden = [repr(test.args) for test in problem.tests if test.hidden]
    shown = {repr(test.args): test.expected for test in problem.tests if not test.hidden}
    with ServerProcess(tmp_path) as server:
        ann = server.guest("ann")
        game_id = server.new_game(ann["token"], min_players=1, problem=problem.id)
        with racing(server, ann, game_id) as player:
            for attempt, prefix in enumerate(("", "does not yet support ", "No module named 'heapq' "), start=1):
                code = LEAKING.format(shown=shown, prefix=prefix)
                player.send("submit_code", {"code": code})
                result = player.until("submission_result")
                url = f"{server.http_url}/api/games/{game_id}/submissions/{attempt}"
                kept = fetch.get(url, headers={"authorization": f"Bearer {ann['token']}"}).json()
                assert kept["verdict"] == result["data"]["verdict"] == "runtime_error"
                assert kept["detail"] == "in a hidden test: Exception"
                server.until_all_is_logged()
                told = f"{result} {kept['detail']} {kept['tests']} {server.lines} {server.stderr}"
                assert not [args for args in hidden if args[1:-1] in told]


def test_a_submission_that_takes_the_service_down_is_given_up_and_the_race_goes_on(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, judge_time_limit_s=60, judge_retries=2, sweep_interval_s=0.1)
    server.start()
    ann = server.guest("ann")
    game_id = server.new_game(ann["token"], min_players=1)
    with racing(server, ann, game_id) as player:
        player.send("submit_code", {"code": ENDLESS}, id="s1")
        player.until("ack", id="s1")
        last = player.events[-1]["seq"]
        for _ in range(3):  # the first try and two more
            until(lambda: busy(server.pid))
            server.kill()
            server.start()
        player.ws.socket.close()
        with Player(server, game_id, ann["token"], f"?last_seq={last}") as again:
            assert again.until("submission_judged")["data"]["verdict"] == "judge_error"
            again.send("submit_code", {"code": SOLUTION})
            assert again.until("game_finished")["data"]["winner"] == ann["player_id"]
    assert server.stop() == 0


def test_sigterm_waits_for_no_submission(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, judge_time_limit_s=60, judge_kill_grace_s=60, close_timeout_s=1) as server:
        with racing(server, server.guest("ann")) as player:
            player.send("submit_code", {"code": ENDLESS})
            until(lambda: busy(server.pid))
            workers = children(server.pid)
            sandboxes = {pid for worker in workers for pid in children(worker)}
            assert server.stop() == 0
        assert server.logged("app.stopped")
        assert not server.logged("submission.judged"), "it had a minute, and was left to whoever starts next"
        until(lambda: not any(map(is_alive, workers | sandboxes)))


def test_a_worker_that_hangs_is_ended_and_that_is_no_fault(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, judge_time_limit_s=0.5, judge_kill_grace_s=0.5) as server:
        with racing(server, server.guest("ann")) as player:
            (worker,) = children(server.pid)
            freeze(worker)
            player.send("submit_code", {"code": SOLUTION})
            assert player.until("submission_judged")["data"]["verdict"] == "time_limit"
            assert server.wait_for_log("judge.worker_ended")["cause"] == "wall"
            player.send("submit_code", {"code": SOLUTION})
            assert player.until("submission_judged")["data"]["verdict"] == "accepted"
        assert server.metric("judge_stops_total", cause="wall") == 1
        assert server.metric("faults_total") == 0


def test_many_games_of_one_player_make_no_other_wait(tmp_path: Path) -> None:
    games = 6
    with ServerProcess(tmp_path, judge_time_limit_s=1, judge_processes=2) as server, contextlib.ExitStack() as stack:
        greedy, bob = server.guest("greedy"), server.guest("bob")
        many = [stack.enter_context(racing(server, greedy)) for _ in range(games)]
        other = stack.enter_context(racing(server, bob))
        for player in many:
            player.send("submit_code", {"code": ENDLESS}, id="s")
        for player in many:
            player.until("ack", id="s")
        done = server.metric("submissions_total", verdict="time_limit")
        other.send("submit_code", {"code": SOLUTION})
        other.until("submission_judged")
        for player in many:
            player.until("submission_judged")
        until(lambda: len(server.logged("submission.judged")) == games + 1)
        order = [record["player_id"] for record in server.logged("submission.judged")]
        assert order.index(bob["player_id"]) <= done + 2, "one of the two workers is never the greedy one's"


def busy(pid: int) -> bool:
    """Whether a sandbox of a server works."""
    return any(cpu_ticks(sandbox) >= 20 for worker in children(pid) for sandbox in children(worker))
