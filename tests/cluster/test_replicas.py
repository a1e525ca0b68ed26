"""Two server processes on one NATS: any of them serves any game."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from nats import connect as connect_nats
from websockets.asyncio.client import ClientConnection

from app.eventlog.nats.streams import broadcast_subject
from tools.harness import fetch
from tools.harness.collector import Collector
from tools.harness.nats import Nats
from tools.harness.player import SOLUTION, Player
from tools.harness.server import ServerProcess, until
from tools.harness.together import answers, begin_together, live_and_ended

TTL_S = 2


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with Nats(tmp_path_factory.mktemp("nats")) as running:
        yield running


def replica(folder: Path, nats: Nats, name: str, **settings: object) -> ServerProcess:
    """A server process on that log."""
    return ServerProcess(
        folder / name,
        event_log_url=nats.url,
        replica=name,
        replica_ttl_s=TTL_S,
        sweep_interval_s=0.5,
        **settings,
    )


@pytest.fixture(scope="module")
def pair(nats: Nats, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    folder = tmp_path_factory.mktemp("pair")
    with ExitStack() as stack:
        one, two = (stack.enter_context(replica(folder, nats, name)) for name in ("one", "two"))
        until(lambda: one.metric("replicas") == two.metric("replicas") == 2)
        yield one, two


def test_a_race_over_two_replicas_is_the_same_for_both(pair: tuple[ServerProcess, ServerProcess]) -> None:
    one, two = pair
    ann, bob = one.guest("Ann"), two.guest("Bob")
    game = one.new_game(ann["token"])
    with Player(one, game, ann["token"], "?last_seq=0") as a, Player(two, game, bob["token"], "?last_seq=0") as b:
        a.send("ready", {"status": "ready"})
        b.send("ready", {"status": "ready"})
        a.until("game_started")
        b.until("game_started")
        a.send("progress", {"percent": 40, "lines": 3})
        assert b.until("player_progress")["data"] == {"player_id": ann["player_id"], "percent": 40.0, "lines": 3}
        b.send("submit_code", {"code": SOLUTION}, id="mine")
        assert b.until("game_finished")["data"]["winner"] == bob["player_id"]
        assert a.until("game_finished")["data"]["winner"] == bob["player_id"]
        assert [event["seq"] for event in a.events] == list(range(1, len(a.events) + 1))
        assert a.events == b.events
    judged = [server.metric("judge_duration_seconds_count", outcome="accepted") for server in pair]
    assert sum(judged) == 1, "judged once, by the replica it was handed in at"
    assert judged[1] == 1


def test_garbage_that_a_replica_tells_is_counted_and_the_next_one_is_heard(
    nats: Nats, pair: tuple[ServerProcess, ServerProcess]
) -> None:
    one, two = pair
    ann, bob = one.guest("Ann"), two.guest("Bob")
    game = one.new_game(ann["token"], min_players=2)
    faults = two.metric("faults_total")
    with Player(one, game, ann["token"]) as a, Player(two, game, bob["token"]) as b:
        for player in (a, b):
            player.send("ready")
        for player in (a, b):
            player.until("game_started")
        bad = [b"", b"[]", b"{", b"\xff", b'{"player_id":7}', b'{"player_id":"x","percent":1e308}', b"{" * 100_000]
        asyncio.run(tell(nats, broadcast_subject(game), [*bad, b'{"player_id":"a stranger","percent":1}']))
        asyncio.run(tell(nats, broadcast_subject("presence"), [b"", b'{"players":[]}']))
        until(lambda: two.metric("faults_total") == faults + len(bad) + 2)
        a.send("progress", {"percent": 40})
        assert b.until("player_progress")["data"] == {"player_id": ann["player_id"], "percent": 40.0}
        assert [one["type"] for one in b.received].count("player_progress") == 1


async def tell(nats: Nats, subject: str, payloads: list[bytes]) -> None:
    """As another replica would."""
    client = await connect_nats(nats.url)
    for payload in payloads:
        await client.publish(subject, payload)
    await client.drain()


def test_what_a_replica_tells_another_is_coalesced(pair: tuple[ServerProcess, ServerProcess]) -> None:
    one, two = pair
    ann, bob = one.guest("Ann"), two.guest("Bob")
    game = one.new_game(ann["token"], min_players=2)
    with Player(one, game, ann["token"]) as a, Player(two, game, bob["token"]) as b:
        for player in (a, b):
            player.send("ready")
        for player in (a, b):
            player.until("game_started")
        items = [{"type": "progress", "data": {"lines": lines}} for lines in range(50)]
        a.send("batch", items)
        while b.until("player_progress")["data"]["lines"] != 49:
            pass
        shown = [message["data"]["lines"] for message in b.received if message["type"] == "player_progress"]
        assert shown in ([0, 49], [49]), "the first, which may be lost, and the newest"
    assert two.metric("ws_coalesced_total", kind="player_progress") == 0, "they were not even told"


def test_a_player_who_comes_to_another_replica_replaces_the_connection(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    one, two = pair
    ann = one.guest("Ann")
    game = one.new_game(ann["token"])
    with Player(one, game, ann["token"]) as first, Player(two, game, ann["token"]) as second:
        assert first.until_closed()[0] == 4409
        second.until("player_reconnected")


@pytest.mark.anyio
async def test_of_connections_that_begin_together_on_both_replicas_one_lives(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    ann = pair[0].guest("Ann")
    for count in (2, 2, 3, 5):
        game = pair[0].new_game(ann["token"])
        urls = [f"{pair[number % 2].ws_url}/ws/{game}" for number in range(count)]
        sockets = [one for one in await begin_together(urls, ann["token"]) if isinstance(one, ClientConnection)]
        living, ended = await live_and_ended(sockets)
        assert ended == [4409] * (count - 1)
        assert await answers(living)
        await living.close()


def test_a_ticket_is_good_for_one_replica(pair: tuple[ServerProcess, ServerProcess]) -> None:
    one, two = pair
    ann = one.guest("Ann")
    game = one.new_game(ann["token"])
    answer = fetch.post(f"{one.http_url}/api/tickets", headers={"authorization": f"Bearer {ann['token']}"})
    query = f"?ticket={answer.json()['ticket']}"
    with Player(one, game, "", query, additional_headers={}):
        pass
    again = fetch.get(
        f"{two.http_url}/ws/{game}{query}", headers={"connection": "upgrade", "upgrade": "websocket"} | HANDSHAKE
    )
    assert again.status_code == 401
    assert "used already" in again.json()["detail"]


HANDSHAKE = {"sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}


def test_a_players_connections_are_counted_over_all_replicas(nats: Nats, tmp_path: Path) -> None:
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(replica(tmp_path, nats, name, max_connections_per_player=2)) for name in ("a", "b")
        )
        ann = one.guest("Ann")
        games = [one.new_game(ann["token"]) for _ in range(3)]
        stack.enter_context(Player(one, games[0], ann["token"]))
        second = stack.enter_context(Player(two, games[1], ann["token"]))

        def answer() -> int:
            headers = {"authorization": f"Bearer {ann['token']}"}
            return fetch.get(f"{one.http_url}/ws/{games[2]}", headers=headers).status_code

        until(lambda: answer() == 429)
        second.drop()
        until(lambda: answer() == 426)


def test_a_dead_replicas_players_get_their_grace_and_leave_once(nats: Nats, tmp_path: Path) -> None:
    with replica(tmp_path, nats, "live", reconnect_grace_s=1) as live:
        dead = replica(tmp_path, nats, "dead", reconnect_grace_s=1).start()
        dead.until_ready()
        ann, bob = live.guest("Ann"), live.guest("Bob")
        game = live.new_game(ann["token"])
        with Player(live, game, ann["token"]) as a, Player(dead, game, bob["token"]) as b:
            a.until("player_joined", player_id=bob["player_id"])
            dead.kill()
            b.until_closed()
            a.until("player_disconnected", player_id=bob["player_id"])
            a.until("player_left", player_id=bob["player_id"], reason="grace_expired")
            a.send("ready", {"status": "ready"}, id="last")
            a.until("ack")
        assert [event["type"] for event in a.events].count("player_left") == 1


def test_a_game_without_players_is_taken_up_when_its_replica_dies(tmp_path: Path) -> None:
    with Nats(tmp_path / "nats") as nats, replica(tmp_path, nats, "heir") as heir:
        dead = replica(tmp_path, nats, "maker", waiting_game_ttl_s=3).start()
        dead.until_ready()
        ann = heir.guest("Ann")
        game = dead.new_game(ann["token"])
        dead.kill()
        headers = {"authorization": f"Bearer {ann['token']}"}
        heir.wait_for_log("game.finished", game_id=game, reason="expired", timeout_s=60)
        assert fetch.get(f"{heir.http_url}/api/games/{game}", headers=headers).json()["state"] == "finished"


def test_one_trace_shows_a_submission_from_its_sender_to_receivers_on_both_replicas(tmp_path: Path) -> None:
    with ExitStack() as stack:
        nats = stack.enter_context(Nats(tmp_path / "nats"))
        collector = stack.enter_context(Collector())
        traced = {"otel_traces_sampler": "always_on", **collector.settings}
        one, two = (stack.enter_context(replica(tmp_path, nats, name, **traced)) for name in ("one", "two"))
        until(lambda: one.metric("replicas") == two.metric("replicas") == 2)
        ann, bob = one.guest("Ann"), two.guest("Bob")
        game = one.new_game(ann["token"])
        with Player(one, game, ann["token"]) as a, Player(two, game, bob["token"]) as b:
            a.send("ready")
            b.send("ready")
            a.until("game_started")
            b.until("game_started")
            a.send("submit_code", {"code": SOLUTION})
            b.until("game_finished")
        one.stop()
        two.stop()
        spans = collector.spans
    (handed_in,) = [span for span in spans if span.name == "game.submit_code"]
    (append,) = [span for span in spans if span.name == "event_log.append" and span.parent_id == handed_in.span_id]
    fan_outs = [span for span in spans if span.name == "game.fan_out" and span.parent_id == append.span_id]
    assert {span.trace_id for span in fan_outs} == {handed_in.trace_id}
    assert {span.resource["service.instance.id"] for span in fan_outs} == {"one", "two"}
    for fan_out in fan_outs:
        (delivery,) = [span for span in spans if span.name == "ws.deliver" and span.parent_id == fan_out.span_id]
        receiver = {"one": ann, "two": bob}[str(fan_out.resource["service.instance.id"])]
        assert delivery.attributes["player.id"] == receiver["player_id"]


def test_who_is_banned_on_one_replica_is_put_out_of_the_other_and_refused_there(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    one, two = pair
    ann = one.guest("Ann")
    game = one.new_game(ann["token"])
    bans = f"{one.http_url}/ops/api/bans/{ann['player_id']}"
    with Player(two, game, ann["token"]) as player:
        assert fetch.request("PUT", bans, json={"reason": "a test"}).status_code == 200
        assert player.until_closed() == (4403, "forbidden")
    url = f"{two.http_url}/ws/{game}?token={ann['token']}"
    assert fetch.get(url).json()["reason"] == "forbidden"
    assert fetch.request("DELETE", bans, json={"reason": "a test"}).status_code == 200
    until(lambda: fetch.get(url).status_code == 426)


def test_a_players_connections_are_closed_on_all_replicas(pair: tuple[ServerProcess, ServerProcess]) -> None:
    one, two = pair
    ann = one.guest("Ann")
    games = [one.new_game(ann["token"]) for _ in range(2)]
    with Player(one, games[0], ann["token"]) as here, Player(two, games[1], ann["token"]) as there:
        url = f"{one.http_url}/ops/api/players/{ann['player_id']}/close"
        until(lambda: one.metric("ws_connections") == 1)
        answer = fetch.post(url, json={"reason": "a test", "comes_back": True})
        assert answer.json()["closed"] == 1
        assert {here.until_closed(), there.until_closed()} == {(1012, "draining")}
