"""What holds over all workers of one machine: docs/operations.md has the table, and a test here is a row of it."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from app.workers import Share
from tools.harness import fetch
from tools.harness.player import Player
from tools.harness.server import until
from tools.harness.tokens import token
from tools.harness.workers import Worker, bare

Pair = list[Worker]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("workers")
    with bare(
        folder,
        event_log_url=f"sqlite:///{folder / 'games.db'}",  # in one folder, as a supervisor has it
        environment="test",
        max_connections_per_player=2,
        ticket_ttl_s=60,
    ) as both:
        yield both


@pytest.fixture
def games(pair: Pair) -> tuple[str, str]:
    """A game of each worker."""
    return game_of(pair, 0), game_of(pair, 1)


def game_of(pair: Pair, number: int) -> str:
    """A new game of a worker: whoever is asked makes one of its own."""
    while Share(number, len(pair)).owner(game_id := pair[0].new_game(token("host"))) != number:
        pass
    return game_id


def status(pair: Pair, game_id: str, player: str, query: str = "") -> tuple[int, str]:
    """How an attempt to connect is answered; it ends at once where it is let in."""
    try:
        with Player(pair[0], game_id, token(player), query):
            return 101, ""
    except InvalidStatus as refused:
        return refused.response.status_code, str(json.loads(refused.response.body or b"{}").get("detail"))


def is_full(pair: Pair, game_id: str, player: str, setting: str) -> bool:
    """Whether one is refused for a limit, once the other worker has told of what it has."""
    code, detail = status(pair, game_id, player)
    return code == 429 and setting in detail


def is_let_in(pair: Pair, game_id: str, player: str) -> bool:
    """Whether one is let in, once the other worker has told of what it has no more."""
    return status(pair, game_id, player)[0] == 101


def test_a_ticket_lets_in_once_whichever_worker_is_asked_and_after_one_was_killed(pair: Pair, games: list[str]) -> None:
    headers = {"authorization": f"Bearer {token('ann')}"}
    answer = fetch.post(f"{pair[0].http_url}/api/tickets", headers=headers)
    query = f"?ticket={answer.json()['ticket']}"
    with Player(pair[0], games[0], "", query, additional_headers={}) as player:
        assert player.receive()["data"]["player"]["player_id"] == "ann"
    for round_ in range(2):
        for game_id in games:
            with pytest.raises(InvalidStatus) as refused, Player(pair[0], game_id, "", query, additional_headers={}):
                pass
            assert refused.value.response.status_code == 401
            assert b"used already" in (refused.value.response.body or b"")
        if round_ == 0:
            pair[0].kill()
            pair[0].start()


def test_a_player_has_so_many_connections_over_the_games_of_all_workers(pair: Pair, games: list[str]) -> None:
    third = game_of(pair, 0)
    with Player(pair[0], games[0], token("bob")) as one, Player(pair[0], games[1], token("bob")) as other:
        until(lambda: is_full(pair, third, "bob", "MAX_CONNECTIONS_PER_PLAYER"))
        until(lambda: is_full(pair, game_of(pair, 1), "bob", "MAX_CONNECTIONS_PER_PLAYER"))
        assert status(pair, third, "eve")[0] == 101
        for player in (one, other):
            player.send("ping", {"timestamp": 1})
            player.until("pong")
    until(lambda: is_let_in(pair, third, "bob"))


def test_an_address_has_so_many_connections_over_all_workers(tmp_path: Path) -> None:
    with bare(tmp_path, environment="test", max_connections_per_address=2) as pair:
        games = game_of(pair, 0), game_of(pair, 1)
        with Player(pair[0], games[0], token("ann")):
            with Player(pair[0], games[1], token("bob")):
                for game_id in games:
                    until(partial(is_full, pair, game_id, "eve", "MAX_CONNECTIONS_PER_ADDRESS"))
            for game_id in games:
                until(partial(is_let_in, pair, game_id, "eve"))


def test_who_is_killed_counts_no_more_once_it_is_held_to_be_gone(tmp_path: Path) -> None:
    with bare(tmp_path, environment="test", max_connections_per_player=1, replica_ttl_s=2) as pair:
        games = game_of(pair, 0), game_of(pair, 1)
        with Player(pair[0], games[1], token("bob")):
            until(lambda: is_full(pair, games[0], "bob", "MAX_CONNECTIONS_PER_PLAYER"))
            pair[1].kill()
            until(lambda: is_let_in(pair, games[0], "bob"))
        assert pair[0].metric("replicas") == 1
        pair[1].start()
        until(lambda: [worker.metric("replicas") for worker in pair] == [2, 2])


def test_a_players_newer_connection_replaces_the_older_whoever_accepted_them(pair: Pair, games: list[str]) -> None:
    for game_id, name in zip(games, ("dan", "fay"), strict=True):
        with Player(pair[0], game_id, token(name)) as older:
            older.until("welcome")
            with Player(pair[0], game_id, token(name)) as newer:
                newer.until("welcome")
                assert older.until_closed()[0] == 4409


def test_a_player_who_is_removed_is_so_whoever_is_asked(pair: Pair, games: list[str]) -> None:
    for game_id in games:
        with Player(pair[0], game_id, token("eve")) as player:
            player.until("welcome")
            answer = fetch.delete(
                f"{pair[0].http_url}/api/games/{game_id}/players/eve",
                headers={"authorization": f"Bearer {token('host')}"},
            )
            assert answer.status_code == 204
            assert player.until_closed()[0] == 4403
        assert status(pair, game_id, "eve")[0] == 403


def test_who_is_banned_is_out_everywhere_whichever_worker_was_asked(pair: Pair, games: list[str]) -> None:
    for number, worker in enumerate(pair):
        url = f"{worker.http_url}/ops/api/bans/gus"
        with Player(pair[0], games[1 - number], token("gus")) as player:
            player.until("welcome")
            assert fetch.request("PUT", url, json={"reason": "a test"}).status_code == 200
            assert player.until_closed()[0] == 4403
        assert [status(pair, game_id, "gus")[0] for game_id in games] == [403, 403]
        assert fetch.request("DELETE", url, json={"reason": "a test"}).status_code == 200
        until(lambda: [status(pair, game_id, "gus")[0] for game_id in games] == [101, 101])


def test_requests_of_a_player_and_of_an_address_have_a_rate_over_all_workers(tmp_path: Path) -> None:
    rates: dict[str, Any] = {
        "api_requests_per_player_per_second": 0.001,
        "api_request_burst_per_player": 2,
        "api_requests_per_address_per_second": 0.001,
        "api_request_burst_per_address": 5,
    }
    with bare(tmp_path, environment="test", **rates) as pair:
        assert [asked(pair, number, "ann") for number in (0, 1, 0, 1)] == [404, 404, 429, 429]
        assert [asked(pair, number, player) for number, player in ((1, "bob"), (0, "eve"), (1, "dan"))] == [
            404,
            429,
            429,
        ]
        pair[0].kill()
        pair[0].start()
        assert asked(pair, 0, "ann") == 429


def asked(pair: Pair, number: int, player: str) -> int:
    """How a worker answers who asks for a game of its that is not there."""
    game_id = Share(number, len(pair)).new_game_id()
    headers = {"authorization": f"Bearer {token(player)}"}
    return fetch.get(f"{pair[0].http_url}/api/games/{game_id}", headers=headers).status_code
