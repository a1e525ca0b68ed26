"""Trouble with the event log: what players see, what an SRE sees, and that it is over when it is over."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import nats as nats_client
import pytest
from websockets.exceptions import InvalidStatus

from app.eventlog.nats.streams import log_stream
from app.settings import load_settings
from tools.harness import fetch
from tools.harness.machine import Witness
from tools.harness.nats import Nats, Node
from tools.harness.player import SOLUTION, Player
from tools.harness.proxy import TcpProxy
from tools.harness.server import SECRET, STEP_TIMEOUT_S, ServerProcess, until
from tools.harness.skewed import SLOW_S

FULL_SOON: dict[str, Any] = {
    "nats_max_bytes": 65_536,
    "max_games_per_player": 10_000,
    "api_requests_per_player_per_second": 0,
}
Fault = Callable[[Node], None]
QUICK: dict[str, Any] = {"replica_ttl_s": 2, "sweep_interval_s": 0.3, "nats_timeout_s": 2}


@pytest.fixture
def one_node(tmp_path: Path) -> Iterator[Nats]:
    with Nats(tmp_path / "nats") as running:
        yield running


@contextmanager
def served(folder: Path, url: str, **settings: object) -> Iterator[ServerProcess]:
    """A server process on that log, which takes games."""
    with ServerProcess(folder / "server", event_log_url=url, **{**QUICK, **settings}) as server:
        until(lambda: is_ready(server))
        yield server


def is_ready(server: ServerProcess) -> bool:
    return fetch.get(f"{server.http_url}/readyz").is_success


def troubles(server: ServerProcess) -> dict[str, float]:
    """What has been wrong so far."""
    return {
        trouble: count
        for trouble in ("unreachable", "timeout", "no_leader", "no_stream", "full", "denied", "misconfigured", "busy")
        if (count := server.metric("event_log_troubles_total", trouble=trouble))
    }


def ask(player: Player, id: str, status: str = "ready") -> dict[str, Any]:
    """Send `ready` with an id; the answer to it."""
    player.send("ready", {"status": status}, id=id)
    while True:
        message = player.receive()
        if message["type"] in {"ack", "error"} and message["data"].get("id") == id:
            return message


def ask_until_taken(player: Player, id: str) -> dict[str, Any]:
    """As a client does: send it again, with the same id, as long as the log is unavailable."""
    while (answer := ask(player, id))["type"] == "error":
        assert answer["data"]["code"] == "unavailable"
        time.sleep(answer["data"]["retry_after_ms"] / 1000)  # as told
    return answer


def test_unreachable_at_the_start_it_waits_and_refuses(tmp_path: Path) -> None:
    nats = Nats(tmp_path / "nats")
    with ServerProcess(tmp_path / "server", event_log_url=nats.url, **QUICK) as server:
        server.wait_for_log("event_log.troubled")
        answers = {path: fetch.get(f"{server.http_url}{path}") for path in ("/livez", "/startupz", "/readyz")}
        assert {path: answer.status_code for path, answer in answers.items()} == {
            "/livez": 200,
            "/startupz": 200,
            "/readyz": 503,
        }
        assert answers["/readyz"].json()["failed"] == ["event_log_reached"]
        token = server.guest("Ann")["token"]
        game = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a00"
        refused = fetch.get(f"{server.http_url}/ws/{game}", headers={"authorization": f"Bearer {token}"})
        assert refused.status_code == 503
        assert 1 <= int(refused.headers["retry-after"]) <= 5
        assert troubles(server).keys() == {"unreachable"}
        with nats:
            until(lambda: is_ready(server))
            assert server.new_game(token)


def test_lost_while_running_players_stay_and_nothing_is_lost(one_node: Nats, tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(served(tmp_path, one_node.url, ready_gates="event_log", ready_grace_s=1))
        ann, bob = server.guest("Ann"), server.guest("Bob")
        game = server.new_game(ann["token"], min_players=2)
        a = stack.enter_context(Player(server, game, ann["token"], "?last_seq=0"))
        b = stack.enter_context(Player(server, game, bob["token"], "?last_seq=0"))
        assert ask(a, "m1")["type"] == "ack"
        assert ask(b, "m2")["type"] == "ack"
        a.until("game_started")
        one_node.nodes[0].kill()
        b.send("submit_code", {"code": "def solve(): ..."}, id="m3")
        answer = b.until("error")
        assert (answer["data"]["code"], answer["data"]["id"]) == ("unavailable", "m3")
        assert answer["data"]["retry_after_ms"] > 0
        b.send("progress", {"percent": 50})
        assert a.until("player_progress")["data"]["percent"] == 50, "what is not stored goes on"
        b.send("ping", {"timestamp": 7})
        b.until("pong", timestamp=7)
        server.wait_for_log("event_log.lost")
        assert server.metric("event_log_untold_total") > 0
        until(lambda: not is_ready(server))
        assert server.metric("event_log_connected") == 0
        one_node.nodes[0].start()
        server.wait_for_log("event_log.restored")
        until(lambda: is_ready(server))
        b.send("submit_code", {"code": "def solve(): ..."}, id="m3")
        b.until("ack", id="m3")
        assert [event["type"] for event in a.events].count("code_submitted") <= 1
        a.until("submission_judged")
        assert [event["seq"] for event in a.events] == list(range(1, len(a.events) + 1))
        assert server.metric("ws_connections") == 2, "nobody was cut off"


def test_without_a_gate_a_lost_log_does_not_unready(one_node: Nats, tmp_path: Path) -> None:
    with served(tmp_path, one_node.url, ready_grace_s=0) as server:
        one_node.nodes[0].kill()
        server.wait_for_log("event_log.lost")
        answer = fetch.get(f"{server.http_url}/readyz?verbose")
        assert answer.status_code == 200
        assert answer.json()["checks"]["event_log"] is False


def test_while_the_log_is_away_each_attempt_of_a_player_is_told_so(one_node: Nats, tmp_path: Path) -> None:
    """Forty wait for the log at once, four times as many as a player may have connections: none is one too many."""
    with served(tmp_path, one_node.url) as server:
        ann = server.guest("Ann")["token"]
        games = [server.new_game(ann) for _ in range(40)]
        one_node.nodes[0].freeze()
        try:
            with ThreadPoolExecutor(len(games)) as threads:
                problems = list(threads.map(lambda game: refusal(server, game, ann), games))
        finally:
            one_node.nodes[0].signal(signal.SIGCONT)
        assert Counter(problem["reason"] for problem in problems) == {"unavailable": 40}
        assert server.metric("ws_handshakes_total", outcome="unavailable") == 40
        assert server.metric("ws_handshakes_total", outcome="rate_limited") == 0


def refusal(server: ServerProcess, game_id: str, token: str) -> dict[str, Any]:
    """The problem document that an attempt to connect is answered with."""
    with pytest.raises(InvalidStatus) as refused, Player(server, game_id, token):
        pass
    problem: dict[str, Any] = json.loads(refused.value.response.body or b"")
    return problem


def ends_without_waiting(server: ServerProcess) -> None:
    """Told to end, it does, in good order; what the machine withholds from it is not its own."""
    witness = Witness(server.folder)
    with witness.looking():
        begin = time.monotonic()
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait() == 0
        took_s = time.monotonic() - begin
    assert not witness.withheld.leaves_too_long(took_s, 30), "half the time of one question that nobody answers"
    assert server.logged("app.stopped")


def test_with_the_log_gone_and_nobody_to_drain_it_ends_without_waiting_for_the_log(
    one_node: Nats, tmp_path: Path
) -> None:
    with served(tmp_path, one_node.url, nats_timeout_s=60) as server:
        one_node.nodes[0].kill()
        server.wait_for_log("event_log.troubled", trouble="unreachable")
        ends_without_waiting(server)


def test_with_the_log_frozen_and_nobody_to_drain_it_ends_without_waiting_for_the_log(tmp_path: Path) -> None:
    """A server that is stopped keeps its connections: nothing tells but that no answer comes."""
    with Nats(tmp_path / "nats") as nats, served(tmp_path, nats.url, nats_timeout_s=60) as server:
        server.until_ready()
        nats.nodes[0].freeze()
        ends_without_waiting(server)


@pytest.mark.parametrize("fault", [Node.freeze, Node.kill])
def test_what_waited_for_the_log_in_vain_is_not_waited_for_again(fault: Fault, tmp_path: Path) -> None:
    """A message and a request are under way: the log is asked once more, and then nothing waits for it."""
    with Nats(tmp_path / "nats") as nats, served(
        tmp_path, nats.url, nats_timeout_s=60, close_timeout_s=1
    ) as server:  # fmt: skip
        ann = server.guest("Ann")["token"]
        with Player(server, server.new_game(ann), ann) as player, ThreadPoolExecutor(1) as thread:
            fault(nats.nodes[0])
            player.send("ready", {"status": "ready"})
            until(lambda: server.metric("ws_messages_total", direction="in", type="ready") == 1)
            making = thread.submit(new_game, server, ann)
            until(lambda: server.metric("http_requests_in_flight") == 2)  # and the one that asks
            ends_without_waiting(server)
            assert making.result().status_code == 503
        vain = [line for line in server.logged("event_log.troubled") if "nothing waits" in line["error"]]
        assert len(vain) == 1
        assert not server.logged("app.fault")


def new_game(server: ServerProcess, token: str) -> httpx.Response:
    """The answer to one who makes a game."""
    url, headers = f"{server.http_url}/api/games", {"authorization": f"Bearer {token}"}
    return fetch.post(url, json={"problem": "running-total"}, headers=headers, timeout=STEP_TIMEOUT_S)


def test_with_the_log_gone_and_a_game_just_ended_it_ends_without_waiting_for_the_log(tmp_path: Path) -> None:
    """The log never answers that the game is not open any more (nobody may tell it so), and then is gone."""
    rights = """
    accounts { A { jetstream: enabled, users: [
        { user: app, password: secret, permissions: { publish: { deny: ["$JS.API.STREAM.PURGE.>"] } } }
    ] } }
    """
    settings = {"nats_user": "app", "nats_password": "secret", "nats_timeout_s": 60, "scrape_wait_s": 0}
    with Nats(tmp_path / "nats", more=rights) as nats, served(tmp_path, nats.url, **settings) as server:
        ann = server.guest("Ann")
        with Player(server, server.new_game(ann["token"], min_players=1), ann["token"]) as player:
            player.send("ready", {"status": "ready"})
            player.until("game_started")
            player.send("submit_code", {"code": SOLUTION})
            player.until("game_finished")
        server.wait_for_log("ws.closed")
        assert "purge" in server.wait_for_log("event_log.troubled", trouble="denied")["error"].lower()
        nats.nodes[0].kill()
        server.wait_for_log("event_log.troubled", trouble="unreachable")
        os.kill(server.pid, signal.SIGTERM)
        server.wait_for_log("app.stopped", timeout_s=120)
        assert server.wait() == 0
        told = [
            datetime.fromisoformat(server.logged(event)[0]["timestamp"]) for event in ("app.draining", "app.stopped")
        ]
        assert (told[1] - told[0]).total_seconds() < 30, "half of NATS_TIMEOUT_S"


def test_a_slow_log_is_waited_for(one_node: Nats, tmp_path: Path) -> None:
    with served(tmp_path, one_node.url, nats_timeout_s=20) as server:
        ann = server.guest("Ann")
        with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
            one_node.nodes[0].freeze()
            player.send("ready", {"status": "ready"}, id="m1")
            player.send("ping", {"timestamp": 1})
            time.sleep(1.2)  # the log's own slowness
            one_node.nodes[0].signal(signal.SIGCONT)
            player.until("ack", id="m1")
        assert server.metric("event_log_append_seconds_sum", outcome="accepted") > 1
        assert server.wait_for_log("event_log.slowed")["duration_s"] > 1


def test_a_wrong_clock_is_measured_and_told(one_node: Nats, tmp_path: Path) -> None:
    settings = {"event_log_url": one_node.url, **QUICK}
    with ServerProcess(tmp_path / "server", "tools.harness.skewed", **settings) as server:
        offset = server.wait_for_log("clock.skewed")["offset_s"]
        assert abs(offset - SLOW_S) < 1
        assert abs(server.metric("event_log_clock_offset_seconds") - SLOW_S) < 1


def test_a_full_stream_refuses_and_says_so(tmp_path: Path) -> None:
    with Nats(tmp_path / "nats") as nats, served(tmp_path, nats.url, **FULL_SOON) as server:
        token = server.guest("Ann")["token"]
        headers = {"authorization": f"Bearer {token}"}

        def new_game() -> httpx.Response:
            return fetch.post(f"{server.http_url}/api/games", json={}, headers=headers)

        until(lambda: new_game().status_code == 503)
        assert new_game().headers["retry-after"]
        assert troubles(server)["full"] >= 1
        assert "maximum bytes" in server.wait_for_log("event_log.lost")["error"]


def test_a_deleted_stream_is_named_and_its_games_end(one_node: Nats, tmp_path: Path) -> None:
    patient = {"nats_timeout_s": 20}  # nothing here is to be late, but for a busy machine
    with served(tmp_path, one_node.url, **patient) as server:
        ann = server.guest("Ann")
        game = server.new_game(ann["token"])
        with Player(server, game, ann["token"]) as player:
            player.until("player_joined")
            anyio.run(delete_streams, one_node.url)
            assert ask(player, "m1")["data"]["code"] == "unavailable"
            assert "stream not found" in server.wait_for_log("event_log.lost")["error"]
            assert troubles(server)["no_stream"] >= 1
            anyio.run(make_log_stream, one_node.url)  # who makes both anew has made the one before the other
            failed = server.metric("event_log_errors_total", op="probe")
            until(
                lambda: (
                    server.metric("event_log_errors_total", op="probe") >= failed + 2
                    or server.logged("event_log.restored")
                )
            )
            assert not server.logged("event_log.restored"), "half of it is missing"
            with served(tmp_path / "other", one_node.url, **patient) as other:  # whoever starts makes it anew
                server.wait_for_log("event_log.restored")
                player.send("ready", {"status": "ready"}, id="m2")
                assert player.until_closed()[0] == 4404
                fresh = other.new_game(ann["token"])
                with Player(server, fresh, ann["token"]) as again:
                    assert ask(again, "m3")["type"] == "ack"


async def delete_streams(url: str) -> None:
    client = await nats_client.connect(url)
    for name in ("CODE_RACER", "CODE_RACER_STATE"):
        await client.jetstream().delete_stream(name)
    await client.close()


async def make_log_stream(url: str) -> None:
    client = await nats_client.connect(url)
    definition = log_stream(load_settings(jwt_secret=SECRET, event_log_url=url))
    await client.request("$JS.API.STREAM.CREATE.CODE_RACER", json.dumps(definition).encode())
    await client.close()


def test_without_a_quorum_nothing_is_acknowledged(tmp_path: Path) -> None:
    with Nats(tmp_path / "nats", 3) as nats, served(tmp_path, nats.url, nats_replicas=3) as server:
        ann = server.guest("Ann")
        with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
            assert ask(player, "m1")["type"] == "ack"
            for node in nats.nodes[1:]:
                node.kill()
            assert ask(player, "m2", "not_ready")["data"]["code"] == "unavailable"
            server.wait_for_log("event_log.lost")
            assert troubles(server).keys() & {"no_leader", "timeout", "unreachable"}
            nats.nodes[1].start()
            server.wait_for_log("event_log.restored", timeout_s=60)
            while ask(player, "m2", "not_ready")["type"] == "error":
                time.sleep(1)  # as told
        assert [event["type"] for event in player.events].count("player_ready") <= 2


def test_missing_rights_are_named(tmp_path: Path) -> None:
    rights = """
    accounts { A { jetstream: enabled, users: [
        { user: app, password: secret, permissions: { publish: { deny: ["game.>"] } } }
        { user: admin, password: secret }
    ] } }
    """
    with Nats(tmp_path / "nats", more=rights) as nats:
        settings = {"nats_user": "app", "nats_password": "secret", "nats_timeout_s": 1}
        with served(tmp_path, nats.url, **settings) as server:
            headers = {"authorization": f"Bearer {server.guest('Ann')['token']}"}
            assert fetch.post(f"{server.http_url}/api/games", json={}, headers=headers).status_code == 503
            record = server.wait_for_log("event_log.troubled", trouble="denied")
            assert "game." in record["error"]
            assert troubles(server)["denied"] >= 1
            server.until_all_is_logged()
            assert "secret" not in json.dumps(server.records())


def test_wrong_credentials_are_named_and_their_mending_is_noticed(tmp_path: Path) -> None:
    users = "authorization {{ users: [ {{ user: app, password: {} }} ] }}"
    with Nats(tmp_path / "nats", more=users.format("other")) as nats:
        settings = {**QUICK, "nats_user": "app", "nats_password": "secret"}
        with ServerProcess(tmp_path / "server", event_log_url=nats.url, **settings) as server:
            assert "uthorization" in server.wait_for_log("event_log.troubled", trouble="denied")["error"]
            assert not is_ready(server)
            nats.configure(more=users.format("secret"))
            until(lambda: is_ready(server))


def test_rights_withdrawn_while_running_and_given_back(tmp_path: Path) -> None:
    users = "authorization {{ users: [ {{ user: app, password: {} }} ] }}"
    with ExitStack() as stack:
        nats = stack.enter_context(Nats(tmp_path / "nats", more=users.format("secret")))
        server = stack.enter_context(served(tmp_path, nats.url, nats_user="app", nats_password="secret"))
        ann = server.guest("Ann")
        player = stack.enter_context(Player(server, server.new_game(ann["token"]), ann["token"], "?last_seq=0"))
        player.until("player_joined")
        nats.configure(more=users.format("changed"))
        server.wait_for_log("event_log.lost")
        nats.configure(more=users.format("secret"))
        server.wait_for_log("event_log.restored")
        ask_until_taken(player, "m1")
        assert player.events[-1]["type"] == "player_ready"


def test_a_stream_that_is_set_up_otherwise_is_not_touched(one_node: Nats, tmp_path: Path) -> None:
    async def make() -> None:
        client = await nats_client.connect(one_node.url)
        await client.jetstream().add_stream(name="CODE_RACER", subjects=["game.*.log"], discard="old")
        await client.close()

    anyio.run(make)
    with ServerProcess(tmp_path / "server", event_log_url=one_node.url, **QUICK) as server:
        text = server.wait_for_log("event_log.troubled", trouble="misconfigured")["error"]
        assert "discard is 'old', has to be 'new'" in text
        assert "allow_direct is False, has to be True" in text
        assert not is_ready(server)


def test_live_commits_that_were_lost_are_found_by_the_sweep(one_node: Nats, tmp_path: Path) -> None:
    with ExitStack() as stack:
        proxy = stack.enter_context(TcpProxy(one_node.nodes[0].port))
        near = stack.enter_context(served(tmp_path / "near", one_node.url))
        far = stack.enter_context(served(tmp_path / "far", f"nats://127.0.0.1:{proxy.port}"))
        ann, bob = near.guest("Ann"), near.guest("Bob")
        game = near.new_game(ann["token"])
        a = stack.enter_context(Player(near, game, ann["token"], "?last_seq=0"))
        b = stack.enter_context(Player(far, game, bob["token"], "?last_seq=0"))
        a.until("player_joined", player_id=bob["player_id"])
        proxy.lose_next(b"player_ready")
        assert ask(a, "m1")["type"] == "ack"
        b.until("player_ready", player_id=ann["player_id"])
        assert proxy.lose is None, "the live one was lost"
        assert far.metric("event_log_gaps_total") >= 1
        assert [event["seq"] for event in b.events] == list(range(1, len(b.events) + 1))
