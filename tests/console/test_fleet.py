"""All replicas from one of them: found, asked with the right of who asks, missing where they are silent."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest

from app.aio.fetching import Fetched, FetchFailed, FetchRequest, fetch
from app.console.fleet import MAX_CARDS, Fleet, ReplicaCard
from app.eventlog import Subscription
from app.eventlog.embedded import MemoryCoordination
from app.settings import OperatorSettings, load_settings
from app.workers import Share
from tests.console.answering import answering
from tools.harness import fetch as http
from tools.harness.hubs import eventually, running
from tools.harness.player import Player
from tools.harness.processes import freeze
from tools.harness.server import SECRET, until
from tools.harness.workers import WORKERS, Supervised

OPS_TOKEN = "an-operators-token-of-enough-length-0123456789"
BEARER = {"authorization": f"Bearer {OPS_TOKEN}"}
ELSEWHERE = {"x-forwarded-for": "10.1.2.3"}
"""Whoever is forwarded is not on this machine."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    production = {
        "environment": "production",
        "guests": True,
        "drain_delay_s": 0,
        "scrape_wait_s": 0,
        "drain_spread_s": 0,
        "slow_message_s": 0.000_001,
    }
    with Supervised(tmp_path_factory.mktemp("fleet"), ops_token=OPS_TOKEN, replica="pair", **production) as running:
        yield running


def ask(service: Supervised, number: int, path: str, headers: dict[str, str] = BEARER, **query: str) -> httpx.Response:
    return http.get(f"{service.worker_url(number)}/ops/api/{path}", params=query, headers=headers, timeout=20)


def test_each_finds_both_and_by_which_address_they_are_asked(service: Supervised) -> None:
    for number in (1, 2):
        rows = ask(service, number, "replicas").json()
        assert [row["replica"] for row in rows] == [f"pair-{number}", f"pair-{3 - number}"]
        assert [row["address"] for row in rows] == [
            service.worker_url(one).removeprefix("http://") for one in (number, 3 - number)
        ]
        assert [row["error"] for row in rows] == [None, None]


def test_one_is_asked_by_way_of_the_other_by_name_or_instance(service: Supervised) -> None:
    own = ask(service, 2, "replica").json()
    assert own["worker"] == {"number": 1, "of": 2}
    for name in ("pair-2", own["instance"]):
        there = ask(service, 1, "replica", replica=name).json()
        assert (there["pid"], there["instance"]) == (own["pid"], own["instance"])
    assert ask(service, 2, "replica", replica="pair-2").json()["pid"] == own["pid"], "itself"
    odd = ask(service, 1, "players/a%2Fb%252F", replica="pair-2").json()
    assert odd["player_id"] == "a/b%2F"
    nobody = ask(service, 1, "replica", replica="pair-9")
    assert (nobody.status_code, "no replica of that name" in nobody.json()["detail"]) == (404, True)
    bad = ask(service, 1, "connections", replica="pair-2", limit="0")
    assert (bad.status_code, bad.headers["content-type"]) == (400, "application/problem+json")


def test_who_asks_another_has_their_own_name_and_right_there(service: Supervised) -> None:
    seen = ask(service, 1, "replica", BEARER | {"x-operator": "%C3%85sa"}, replica="pair-2").json()
    assert (seen["operator"], seen["right"]) == ("Åsa (ops-token)", "act")
    looking = ask(service, 1, "replica", {}, replica="pair-2").json()
    assert (looking["operator"], looking["right"]) == ("local (ops-token)", "read")
    assert ask(service, 1, "replica", ELSEWHERE, replica="pair-2").status_code == 401


def test_connections_games_and_players_of_all_are_one_list(service: Supervised) -> None:
    ann = service.guest("Ann")
    games: dict[int, str] = {}
    while len(games) < WORKERS:
        game_id = service.new_game(ann["token"])
        games.setdefault(Share(0, WORKERS).owner(game_id), game_id)
    with Player(service, games[0], ann["token"]) as one, Player(service, games[1], ann["token"]) as other:
        one.until("welcome")
        other.until("welcome")
        page = ask(service, 1, "connections", replicas="all").json()
        assert (page["total"], page["matched"], page["missing"]) == (2, 2, [])
        assert {row["replica"]: row["game_id"] for row in page["rows"]} == {"pair-1": games[0], "pair-2": games[1]}
        first = ask(service, 2, "connections", replicas="all", limit="1", sort="age").json()
        second = ask(service, 1, "connections", replicas="all", limit="1", sort="age", after=first["next"]).json()
        assert [first["rows"][0]["game_id"], second["rows"][0]["game_id"]] == [games[0], games[1]]
        assert second["next"] is None
        loaded = ask(service, 1, "games", replicas="all", player=ann["player_id"]).json()
        assert {row["game_id"] for row in loaded["rows"]} == set(games.values())
        player = ask(service, 1, f"players/{ann['player_id']}", replicas="all").json()
        assert {row["game_id"] for row in player["connections"]} == set(games.values())
        here = ask(service, 1, f"players/{ann['player_id']}").json()
        assert [row["game_id"] for row in here["connections"]] == [games[0]]
        shown = ask(service, 1, f"games/{games[1]}", replica="pair-2").json()
        assert [row["player_id"] for row in shown["players"]] == [ann["player_id"]]
        for number in (1, 2):  # of workers one alone has the game; the other asks it, and misses nobody
            whole = ask(service, number, f"games/{games[1]}", replicas="all").json()
            assert (whole["game"]["members"], whole["game"]["replica"], whole["missing"]) == (1, "pair-2", [])
            assert [row["replica"] for row in whole["connections"]] == ["pair-2"]
        for path in (f"games/{games[1]}", f"games/{games[1]}/events"):
            assert [ask(service, number, path).status_code for number in (1, 2)] == [200, 200], "whoever is asked"
            assert ask(service, 1, path, replica="pair-1").status_code == 404, "who is named is asked alone"
        listed = json.dumps([page, loaded, player, shown])
        assert ann["token"] not in listed


def test_what_another_counts_for_some_seconds_is_waited_for(service: Supervised) -> None:
    over_s = OperatorSettings.model_fields["ops_timeout_s"].default + 0.1
    found = ask(service, 1, "hot", over_s=str(over_s), replica="pair-2")
    assert (found.status_code, found.json().get("over_s")) == (200, over_s), found.text


def test_hot_lists_slow_messages_log_lines_and_closes_of_all_are_one_list(service: Supervised) -> None:
    """Each row says whose it is, and the lists are in the order that those of one replica are in."""
    ann = service.guest("Ann")
    with contextlib.ExitStack() as stack:
        for number in range(WORKERS):
            game_id = service.new_game(ann["token"])
            while Share(0, WORKERS).owner(game_id) != number:
                game_id = service.new_game(ann["token"])
            player = stack.enter_context(Player(service, game_id, ann["token"]))
            player.until("welcome")
            player.send("ready")
            player.until("player_ready")

        def rows(path: str, order: str, number: int = 1, **query: str) -> list[dict[str, Any]]:
            page = ask(service, number, path, BEARER, replicas="all", **query).json()
            assert page["missing"] == []
            assert {row["replica"] for row in page["rows"]} == {"pair-1", "pair-2"}, path
            keys = [row[order] for row in page["rows"]]
            assert keys == sorted(keys, reverse=True)
            found: list[dict[str, Any]] = page["rows"]
            return found

        assert len(rows("hot", "count", kind="player", by="bytes")) == WORKERS, "the counts of two are not added up"
        for number in (1, 2):  # of one of them the own rows alone may happen to be the first
            rows("slow", "duration_s", number)
        until(lambda: all(ask(service, number, "log", event="ws.opened").json()["rows"] for number in (1, 2)))
        rows("log", "timestamp", event="ws.opened", limit="4")
        assert {row["replica"] for row in ask(service, 1, "hot").json()["rows"]} == {"pair-1"}
    until(lambda: len(ask(service, 1, "closes", replicas="all", player=ann["player_id"]).json()["rows"]) == WORKERS)
    rows("closes", "at", player=ann["player_id"])


def test_a_player_is_erased_in_the_games_of_all_workers_by_any(service: Supervised) -> None:
    ann = service.guest("Ann-is-called-this")
    games: dict[int, str] = {}
    while len(games) < WORKERS:
        game_id = service.new_game(ann["token"])
        games.setdefault(Share(0, WORKERS).owner(game_id), game_id)

    def act(path: str, number: int = 1, **query: str) -> httpx.Response:
        url = f"{service.worker_url(number)}/ops/api/{path}"
        return http.post(url, params=query, headers=BEARER, json={"reason": "asked to"}, timeout=20)

    for number, game_id in games.items():
        with Player(service, game_id, ann["token"]) as player:
            player.until("welcome")
        ended = act(f"games/{game_id}/end", 2 - number)
        assert (ended.status_code, ended.json()["state"]) == (200, "finished"), "by way of the other"
    for expected in (2, 2):  # again: also where nothing is left it may be half done
        erasure = act(f"players/{ann['player_id']}/erase").json()
        assert (erasure["games"], erasure["missing"], erasure["failed"]) == (expected, [], [])
    files = [one for one in service.folder.rglob("*.db*") if b"Ann-is-called-this" in one.read_bytes()]
    assert files == []
    assert act("players/nobody/erase").status_code == 404


def test_one_acts_on_another_by_way_of_this_one_under_ones_own_name(service: Supervised) -> None:
    ann = service.guest("Ann")
    game_id = service.new_game(ann["token"])
    while Share(0, WORKERS).owner(game_id) != 1:
        game_id = service.new_game(ann["token"])
    with Player(service, game_id, ann["token"]) as player:
        player.until("welcome")
        (row,) = ask(service, 2, "connections", game=game_id).json()["rows"]
        url = f"{service.worker_url(1)}/ops/api/connections/{row['connection_id']}/close"
        headers = BEARER | {"x-operator": "%C3%85sa"}
        body = {"reason": "she asked for it", "comes_back": False}
        assert http.post(url, json=body, headers=headers).status_code == 404, "it is not here"
        assert http.post(f"{url}?replica=pair-2", json=body).status_code == 401, "whoever is here may only look"
        assert http.post(f"{url}?replica=pair-2", json={}, headers=headers).status_code == 400
        done = http.post(f"{url}?replica=pair-2", json=body, headers=headers)
        assert (done.status_code, done.json()["player_id"]) == (200, ann["player_id"]), done.text
        assert player.until_closed()[0] == 4403
    told = service.wait_for_log("operator.acted", outcome="done", action="close_connection")
    assert (told["operator"], told["replica"], told["reason"]) == ("Åsa (ops-token)", "pair-2", "she asked for it")


def test_a_stream_is_not_passed_on(service: Supervised) -> None:
    answer = ask(service, 1, "watch", replica="pair-2")
    assert (answer.status_code, "ask it at its address" in answer.json()["detail"]) == (400, True)


def test_who_does_not_answer_is_named_and_holds_nobody_up_for_long(service: Supervised) -> None:
    pid = service.pids()[2]
    freeze(pid)
    try:
        page = ask(service, 1, "connections", replicas="all").json()
        assert page["missing"] == ["pair-2"]
        rows = ask(service, 1, "replicas").json()
        assert [row["error"] is None for row in rows] == [True, False]
        there = ask(service, 1, "replica", replica="pair-2")
        assert (there.status_code, "no answer within" in there.json()["detail"]) == (503, True)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: ask(service, 1, "replicas").json()[1]["error"] is None, 20)


class Heard(MemoryCoordination):
    """Has others, who say what the test says."""

    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.say: Callable[[bytes], None] | None = None

    async def subscribe(self, topic: str, receive: Callable[[bytes], None]) -> Subscription:
        self.say = receive
        return await super().subscribe(topic, receive)


@pytest.mark.anyio
async def test_cards_of_the_dead_leave_room_for_who_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    def card(name: str) -> ReplicaCard:
        told = {"version": "1", "revision": "", "connections": 0, "draining": False}
        return msgspec.convert({"replica": name, "member": name, "instance": name, "address": "", **told}, ReplicaCard)

    async with running() as one:
        settings = load_settings(jwt_secret=SECRET, event_log_url="memory:")
        fleet = Fleet(one.hub, heard := Heard(), card, settings)
        fleet.listens_at("127.0.0.1", 1)
        running_fleet = asyncio.create_task(fleet.run())
        await eventually(lambda: heard.say is not None)
        assert heard.say is not None
        living = {f"replica-{number}" for number in range(MAX_CARDS)}
        monkeypatch.setattr(one.hub.circle, "lives", lambda member: member in living)
        for name in sorted(living):
            heard.say(msgspec.json.encode({"card": card(name)}))
        living = {"new"}
        heard.say(msgspec.json.encode({"card": card("new")}))
        assert [known.replica for known in await fleet.others()] == ["new"]
        running_fleet.cancel()


# ---------------------------------------------------------------- one request


WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (WHOLE, Fetched(200, "text/plain", b"ok")),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
            Fetched(200, "", b"ok"),
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nok", Fetched(200, "", b"ok")),
        (b"HTTP/1.1 302 Found\r\nlocation: http://evil/\r\ncontent-length: 0\r\n\r\n", Fetched(302, "", b"")),
        (WHOLE[:-1], "broke off"),
        (b"", "broke off"),
        (b"SSH-2.0\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n" + b"x" * 999, "more than 500 bytes"),
    ],
)
async def test_an_answer_is_taken_whole_or_not_at_all(answer: bytes, expected: Fetched | str) -> None:
    async with answering(answer) as (url, asked):
        asking = fetch(FetchRequest(f"{url}/a?b=c", "POST", {"authorization": "Bearer x"}, b"{}"), 5, 500)
        if isinstance(expected, str):
            with pytest.raises(FetchFailed, match=expected):
                await asking
        else:
            assert await asking == expected
    assert asked[0].startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert b"\r\nauthorization: Bearer x\r\n" in asked[0]


@pytest.mark.anyio
async def test_whoever_says_nothing_is_waited_for_no_longer_than_said() -> None:
    async with answering(b"HTTP/1.1 200", closes=False) as (url, _):
        with pytest.raises(FetchFailed, match=r"within 0\.05 s"):
            await fetch(FetchRequest(url), 0.05, 500)
    with pytest.raises(FetchFailed, match="Connection refused"):
        await fetch(FetchRequest("http://127.0.0.1:1"), 5, 500)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "make",
    [lambda: FetchRequest("http://h/a b"), lambda: FetchRequest("http://h/", headers={"x-operator": "a\r\nx: y"})],
)
async def test_nothing_is_asked_that_would_be_two_requests(make: Callable[[], FetchRequest]) -> None:
    with pytest.raises(FetchFailed, match="cannot be written"):
        await fetch(make(), 5, 500)


@pytest.mark.anyio
async def test_a_name_and_a_password_in_the_url_are_sent_as_such() -> None:
    async with answering(WHOLE) as (url, asked):
        await fetch(FetchRequest(url.replace("//", "//reader:open%20sesame@")), 5, 500)
    assert b"authorization: Basic cmVhZGVyOm9wZW4gc2VzYW1l\r\n" in asked[0]
    assert b"reader" not in asked[0]
