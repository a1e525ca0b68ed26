"""What the metrics say is what the clients did, to the unit; and the logs say the same."""

import asyncio
import contextlib
import json
import os
import re
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tools.harness import fetch, readers
from tools.harness.by_hand import ByHand
from tools.harness.player import SOLUTION, WRONG, Player
from tools.harness.server import UNLIMITED, ServerProcess, difference, sample_key, until
from tools.harness.tokens import token
from tools.harness.wire import CLOSE, PING, close_frame

PREFIX = "code_racer_"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), finished_linger_s=0, ping_interval_s=3600) as process:
        yield process


class Counted(Player):
    """A player that counts what it sends and gets, frame by frame."""

    def __init__(self, server: ServerProcess, game_id: str, player_id: str, query: str = "") -> None:
        super().__init__(server, game_id, token(player_id), query)
        self.bytes_in = self.bytes_out = self.frames_out = 0
        self.types_out: Counter[str] = Counter()
        receive = self.ws.recv

        def counting(timeout: float | None = None) -> str:
            text = str(receive(timeout))
            self.bytes_in += len(text.encode())
            return text

        self.ws.recv = counting  # type: ignore[method-assign, assignment] # the same, counted

    def send_text(self, text: str, *types: str) -> None:
        """One frame that counts as these types."""
        self.ws.send(text)
        self.frames_out += 1
        self.bytes_out += len(text.encode())
        self.types_out.update(types)

    def send(self, type: str, data: object = None, **more: object) -> None:
        """One message."""
        self.send_text(json.dumps({"type": type, "data": {} if data is None else data, **more}), type)


def deltas(before: dict[str, float], after: dict[str, float], name: str, label: str) -> dict[str, float]:
    """What changed in a family, by one label."""
    changed = difference(before, after, f"{PREFIX}{name}{{")
    return {key.split(f'{label}="')[1].split('"')[0]: value for key, value in changed.items()}


def test_a_race_is_counted_to_the_unit(server: ServerProcess) -> None:
    before = server.metrics()
    game_id = server.new_game(token("host"))
    with Counted(server, game_id, "ann", "?last_seq=0") as ann, Counted(server, game_id, "bob") as bob:
        players = [ann, bob]
        bob.until("player_joined", player_id="bob")
        ann.send_text("nonsense", "other")
        ann.send_text('{"type":"dance"}', "other")
        batch = [{"type": "ping", "data": {"timestamp": 1}}, {"type": "progress", "data": {}}, {"type": "ready"}]
        ann.send_text(json.dumps({"type": "batch", "data": batch, "id": "b"}), "batch", "ping", "progress", "ready")
        bob.send("ready")
        for player in players:
            player.until("game_started")
        bob.send("progress", {"percent": 5})
        ann.until("player_progress")
        bob.send("submit_code", {"code": WRONG})
        ann.until("submission_judged")
        ann.send("submit_code", {"code": SOLUTION}, id="s")
        for player in players:
            assert player.until_closed() == (1000, "normal")
    until(lambda: server.metric("ws_connections") == 0)
    after = server.metrics()

    received = Counter(message["type"] for player in players for message in player.received)
    sent = sum((player.types_out for player in players), Counter())
    changed = difference(before, after, f"{PREFIX}ws_messages_total")
    assert changed == {
        **{
            sample_key(f"{PREFIX}ws_messages_total", {"direction": "out", "type": name}): n
            for name, n in received.items()
        },
        **{sample_key(f"{PREFIX}ws_messages_total", {"direction": "in", "type": name}): n for name, n in sent.items()},
    }
    assert deltas(before, after, "ws_message_bytes_sum", "direction") == {
        "in": sum(player.bytes_out for player in players),
        "out": sum(player.bytes_in for player in players),
    }
    assert deltas(before, after, "ws_message_bytes_count", "direction") == {
        "in": sum(player.frames_out for player in players),
        "out": sum(len(player.received) for player in players),
    }
    assert deltas(before, after, "ws_errors_total", "code") == {"invalid_json": 1, "unknown_type": 1}
    assert after["code_racer_ws_batch_size_count"] - before["code_racer_ws_batch_size_count"] == 1
    assert after["code_racer_ws_batch_size_sum"] - before["code_racer_ws_batch_size_sum"] == 3
    assert deltas(before, after, "ws_handshakes_total", "outcome") == {"accepted": 2}
    assert deltas(before, after, "ws_resumes_total", "outcome") == {"resumed": 1}
    assert deltas(before, after, "player_steps_total", "step") == {"joined": 2, "ready": 2, "started": 2, "finished": 2}
    assert deltas(before, after, "submissions_total", "verdict") == {"accepted": 1, "wrong_answer": 1}
    assert after["code_racer_game_duration_seconds_count"] - before["code_racer_game_duration_seconds_count"] == 1
    check_deliveries(players, before, after)
    check_logs(server, before, after)


def check_deliveries(players: list[Counted], before: dict[str, float], after: dict[str, float]) -> None:
    """Every durable event a member got live was delivered once; what was replayed on resuming is no delivery."""
    live = 0
    for player in players:
        (welcome,) = (message for message in player.received if message["type"] == "welcome")
        seen = welcome["data"]["last_seq"]
        live += sum(message.get("seq", 0) > seen for message in player.received)
    delivered = deltas(before, after, "event_delivery_seconds_count", "reader")
    assert delivered == {"prompt": live}
    assert after["code_racer_fanout_recipients_sum"] - before["code_racer_fanout_recipients_sum"] == live
    assert after["code_racer_ws_outbox_frames"] == after["code_racer_ws_outbox_bytes"] == 0
    assert difference(before, after, "code_racer_ws_outbox_connections") == {}


def check_logs(server: ServerProcess, before: dict[str, float], after: dict[str, float]) -> None:
    """The sums over the ``ws.closed`` lines are the counters."""
    server.wait_for_log("ws.closed", skip=1)
    closed = server.logged("ws.closed")
    sums = deltas(before, after, "ws_message_bytes_sum", "direction")
    counts = deltas(before, after, "ws_message_bytes_count", "direction")
    assert sum(line["bytes_in"] for line in closed) == sums["in"]
    assert sum(line["bytes_out"] for line in closed) == sums["out"]
    assert sum(line["messages_in"] for line in closed) == counts["in"]
    assert sum(line["messages_out"] for line in closed) == counts["out"]
    assert sum(line["errors"] for line in closed) == sum(deltas(before, after, "ws_errors_total", "code").values())


def test_each_end_is_counted_once_on_its_side(server: ServerProcess) -> None:
    before = server.metrics()
    game_id = server.new_game(token("host"), max_players=50)
    expected: Counter[str] = Counter()
    ends: dict[tuple[str, str, str], Callable[[Player], object]] = {
        ("1000", "normal", "client"): lambda player: player.ws.close(1000),
        ("1001", "client_going_away", "client"): lambda player: player.ws.close(1001),
        ("1005", "client_no_code", "client"): lambda player: player.ws.socket.sendall(close_frame(None)),
        ("0", "other", "client"): lambda player: player.ws.close(4999),
        ("1006", "connection_lost", "network"): lambda player: player.drop(),
        ("1003", "binary_unsupported", "server"): lambda player: player.ws.send(b"x"),
        ("1000", "normal", "server"): lambda player: player.send("leave"),
    }
    for number, ((code, reason, initiator), end) in enumerate(ends.items()):
        for copy in range(number + 1):  # as many of each as no other has
            with Player(server, game_id, token(f"p{number}-{copy}")) as player:
                player.until("player_joined", player_id=f"p{number}-{copy}")
                end(player)
                if initiator != "network":
                    with_suppressed_close(player)
        labels = {"code": code, "reason": reason, "initiator": initiator}
        expected[sample_key(f"{PREFIX}ws_closes_total", labels)] = number + 1
    until(lambda: server.metric("ws_connections") == 0)
    after = server.metrics()
    assert difference(before, after, f"{PREFIX}ws_closes_total") == expected
    until(lambda: len(server.logged("ws.closed")) == sum(range(1, len(ends) + 1)))
    lines = Counter((str(line["code"]), line["reason"], line["initiator"]) for line in server.logged("ws.closed"))
    assert lines == {key: number + 1 for number, key in enumerate(ends)}
    duration = f"{PREFIX}ws_connection_duration_seconds_count"
    assert after[duration] - before[duration] == sum(expected.values())
    lost = f"{PREFIX}ws_lost_age_seconds_count"
    assert after[lost] - before[lost] == 5, "of the network alone"


def with_suppressed_close(player: Player) -> None:
    with contextlib.suppress(ConnectionClosed, OSError, EOFError):
        player.until_closed()


def test_each_refusal_is_counted_and_logged_as_often_as_it_was_given(server: ServerProcess) -> None:
    before = server.metrics()
    asked = {"unauthorized": 3, "no_such_game": 2, "invalid_game_id": 4, "bad_request": 2, "no_such_path": 1}
    paths = {
        "unauthorized": ("/ws/7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a00", "x"),
        "no_such_game": ("/ws/7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a00", token("a")),
        "invalid_game_id": ("/ws/x", token("a")),
        "bad_request": ("/ws/7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a00?last_seq=x", token("a")),
        "no_such_path": ("/other", token("a")),
    }

    def told(outcome: str) -> list[dict[str, Any]]:
        return server.logged("ws.refused", outcome=outcome)

    seen = {outcome: len(told(outcome)) for outcome in asked}
    for outcome, count in asked.items():
        path, bearer = paths[outcome]
        for _ in range(count):
            headers = {"Authorization": f"Bearer {bearer}"}
            with pytest.raises(InvalidStatus), connect(server.ws_url + path, additional_headers=headers, proxy=None):
                pass
            fetch.get(server.http_url + path, headers=headers)
    assert deltas(before, server.metrics(), "ws_handshakes_total", "outcome") == asked
    until(lambda: {outcome: len(told(outcome)) - seen[outcome] for outcome in asked} == asked)
    lines = [line for outcome in asked for line in told(outcome)[seen[outcome] :]]
    assert all(line["client"] == "127.0.0.1" and line["detail"] for line in lines)


def test_pings_are_counted_by_how_they_ended(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, ping_interval_s=0.3, ping_timeout_s=1.5, close_timeout_s=0.2) as server:
        game_id = server.new_game(token("host"), max_players=10)
        with ByHand(server, game_id, token("a")) as answering:
            answering.pong(answering.next(PING))
            payload = answering.next(PING)
            time.sleep(0.2)  # the round trip that is to be measured
            answering.pong(payload)
            answering.close()
        with ByHand(server, game_id, token("l")) as leaving:
            leaving.next(PING)
            leaving.close()
        with ByHand(server, game_id, token("o")) as odd:
            payload = odd.next(PING)
            odd.pong(b"of no ping")
            odd.pong(payload)
            odd.pong(payload)
            odd.close()
        with ByHand(server, game_id, token("s")) as silent:
            silent.pong(silent.next(PING))
            silent.next(PING)
            silent.next(CLOSE)
        until(lambda: server.metric("ws_connections") == 0)
        assert server.metric("ws_pings_total", outcome="answered") == 4
        assert server.metric("ws_pings_total", outcome="timeout") == 1
        assert server.metric("ws_pings_total", outcome="abandoned") == 1
        assert server.metric("ws_lost_age_seconds_count") == 1
        assert server.metric("ws_ping_rtt_seconds_count") == 4
        assert server.metric("ws_ping_rtt_seconds_sum") >= 0.2
        assert server.metric("ws_ping_rtt_seconds_bucket", le="0.1") == 3
        line = server.wait_for_log("ws.closed", player_id="a")
        assert not in_whole_ms(line["rtt_p50_s"]), "a clock that the event loop does not hold"
        assert line["rtt_p95_s"] > 0.18  # of two samples, one of nearly nothing: 95 % of the other
        line = server.wait_for_log("ws.closed", player_id="s")
        assert (line["code"], line["reason"], line["initiator"]) == (1011, "ping_timeout", "server")
        assert "rtt_p50_s" not in server.wait_for_log("ws.closed", player_id="l")


def in_whole_ms(seconds: float) -> bool:
    return abs(seconds * 1000 - round(seconds * 1000)) < 1e-6


def test_the_event_loops_lag_is_told_to_the_microsecond(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, overload_interval_s=0.01) as server:
        until(lambda: server.metric("event_loop_lag_seconds_count") > 10)
        assert not in_whole_ms(server.metric("event_loop_lag_seconds_sum"))


def test_what_takes_less_than_a_millisecond_is_not_all_in_one_bucket(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        for number in range(5):
            game_id = server.new_game(token(f"host-{number}"))
            with Player(server, game_id, token("ann")) as ann, Player(server, game_id, token("bob")) as bob:
                for player in (ann, bob):
                    player.send("ready")
                ann.until("game_started")
        text = fetch.get(f"{server.http_url}/metrics").text
    for family in ("ws_handshake_duration", "event_delivery", "event_log_lag"):
        buckets = re.findall(rf"^{PREFIX}{family}_seconds_bucket{{.*}} (\S+)$", text, re.MULTILINE)
        assert float(buckets[0]) < max(map(float, buckets)) / 2, family


def test_resumes_are_counted_by_their_outcome(server: ServerProcess) -> None:
    game_id = server.new_game(token("host"), max_players=10)
    for query, times in (("", 1), ("?last_seq=0", 3), ("?last_seq=999", 2)):
        for _ in range(times):
            with Player(server, game_id, token("ann"), query) as player:
                player.until("welcome")
                player.ws.close()
    assert server.metric("ws_resumes_total", outcome="resumed") == 3
    assert server.metric("ws_resumes_total", outcome="snapshot") == 2
    until(lambda: len(server.logged("ws.closed")) == 6)
    logged = Counter(line.get("resume") for line in server.logged("ws.closed"))
    assert logged == {None: 1, "resumed": 3, "snapshot": 2}


async def live_events(server: ServerProcess) -> int:
    """How many live events came to two members, one of whom did not read for a while."""
    async with contextlib.AsyncExitStack() as stack:
        game_id = await asyncio.to_thread(server.new_game, token("host"), max_players=10)
        slow = await readers.member(server, game_id, "slow", sock=readers.small_socket(server))
        stack.callback(slow.transport.abort)
        quick = await readers.member(server, game_id, "quick")
        stack.push_async_callback(quick.close)
        events = [await readers.until(one, "player_joined", player_id="quick") for one in (slow, quick)]
        slow.transport.pause_reading()
        talking = asyncio.create_task(readers.talk(slow))
        while await asyncio.to_thread(server.metric, "ws_outbox_frames") == 0:
            assert not talking.done(), (slow.close_code, slow.close_reason)  # each look is a turn for the one who talks
        talking.cancel()
        for status in ("ready", "not_ready") * 5:
            await quick.send(json.dumps({"type": "ready", "data": {"status": status}}))
            events[1] += await readers.until(quick, "player_ready", status=status)
        await quick.send(json.dumps({"type": "leave"}))
        slow.transport.resume_reading()
        for number, one in enumerate((slow, quick)):
            events[number] += await readers.until(one, "player_left", player_id="quick")
    live = 0
    for seen in events:
        (welcome,) = (message for message in seen if message["type"] == "welcome")
        live += sum(message.get("seq", 0) > welcome["data"]["last_seq"] for message in seen)
    return live


@pytest.mark.anyio
async def test_deliveries_to_a_slow_reader_are_counted_apart(tmp_path: Path) -> None:
    rates = {**UNLIMITED, "max_rate_limited_per_minute": 1_000_000}
    settings = {"ping_interval_s": 3600, "outbox_max_bytes": 2**40, "outbox_max_age_s": 3600, **rates}
    server = ServerProcess(tmp_path, **settings)
    await asyncio.to_thread(server.start)
    try:
        live = await live_events(server)
        counts = await asyncio.to_thread(server.metrics)
    finally:
        await asyncio.to_thread(server.stop)
    prompt, slow = (counts[f'{PREFIX}event_delivery_seconds_count{{reader="{one}"}}'] for one in ("prompt", "slow"))
    assert prompt + slow == live
    assert slow >= 10, "what came while nobody read"


def players(server: ServerProcess) -> dict[str, float]:
    """Players by state, those states that have any."""
    states = ("waiting", "ready", "racing", "done", "lost")
    counts = {state: server.metric("players", state=state) for state in states}
    return {state: count for state, count in counts.items() if count}


def games(server: ServerProcess) -> dict[str, float]:
    states = ("waiting", "countdown", "running", "finished")
    return {state: count for state in states if (count := server.metric("games", state=state))}


def test_players_and_games_are_counted_by_what_they_do(tmp_path: Path) -> None:
    settings = {"finished_linger_s": 3600, "reconnect_grace_s": 3600}
    with ServerProcess(tmp_path, **settings) as server:
        game_id = server.new_game(token("host"), min_players=3, finish="all_done")
        assert (players(server), games(server)) == ({}, {"waiting": 1})
        with contextlib.ExitStack() as stack:
            ann, bob, cat = (
                stack.enter_context(Player(server, game_id, token(name))) for name in ("ann", "bob", "cat")
            )
            ann.until("player_joined", player_id="cat")
            assert players(server) == {"waiting": 3}
            for player in (ann, bob):
                player.send("ready", id="r")
                player.until("ack", id="r")
            assert players(server) == {"ready": 2, "waiting": 1}
            cat.send("ready")
            ann.until("game_started")
            assert (players(server), games(server)) == ({"racing": 3}, {"running": 1})
            ann.send("submit_code", {"code": SOLUTION})
            bob.until("submission_judged", player_id="ann")
            assert players(server) == {"racing": 2, "done": 1}
            cat.drop()
            bob.until("player_disconnected", player_id="cat")
            assert players(server) == {"racing": 1, "done": 1, "lost": 1}
            bob.send("leave")
            ann.until("player_left", player_id="bob")
            assert players(server) == {"done": 1, "lost": 1}
        assert server.metric("problem_submissions_total", problem="running-total", verdict="accepted") == 1
    with ServerProcess(tmp_path, **settings) as again:
        assert players(again) == {"lost": 2}, "who was connected when it ended has grace time"


def test_open_files_are_those_of_the_process(server: ServerProcess) -> None:
    game_id = server.new_game(token("host"), max_players=50)
    with contextlib.ExitStack() as stack:
        for number in range(20):
            player = stack.enter_context(Player(server, game_id, token(f"p{number}"), max_queue=None))
            player.until("player_joined", player_id=f"p{number}")
        assert abs(server.metric("open_fds") - server.open_files()) <= 2, "the scrape's own connection comes and goes"
        assert server.metric("open_fds") > 20
        limit = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[0]
        assert server.metric("max_fds") == limit


def test_the_process_is_measured_as_prometheus_names_it_and_the_system_has_it(tmp_path: Path) -> None:
    begin = time.time()
    with ServerProcess(tmp_path) as server:
        now = server.metrics()
        own = Path(f"/proc/{server.pid}")
        ticks = own.joinpath("stat").read_text().rpartition(")")[2].split()
        used_s = sum(map(int, ticks[11:13])) / os.sysconf("SC_CLK_TCK")
        assert 0 < now["process_cpu_seconds_total"] <= used_s + 0.02, "no more than was used a moment later"
        later = server.metrics()["process_cpu_seconds_total"]
        assert later >= used_s - 0.02, "and no less than a moment before"
        assert begin - 1 <= now["process_start_time_seconds"] <= now["code_racer_start_time_seconds"]
        assert now["process_virtual_memory_bytes"] > now["process_resident_memory_bytes"] > 10_000_000
        assert abs(now["process_open_fds"] - server.open_files()) <= 2
        assert now["process_max_fds"] == resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[0]
