"""Seats: who may come into a game and who may not, told on both ways to log in; and of a player's connections, one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from tools.harness import fetch
from tools.harness.player import SOLUTION, Player
from tools.harness.server import ServerProcess
from tools.harness.together import answers, begin_together, live_and_ended

FIRST_MESSAGE: dict[str, Any] = {"additional_headers": {}, "subprotocols": ["code-racer.v1"]}
GRACE_S = 0.2


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("seats"), reconnect_grace_s=GRACE_S) as server:
        yield server


@dataclass
class Scene:
    """A game of two seats; `eve` was in it, and the others have come since."""

    server: ServerProcess
    stack: ExitStack

    def __post_init__(self) -> None:
        self.eve = self.server.guest("eve")
        self.host = self.server.guest("host")
        self.game_id = self.server.new_game(self.host["token"], min_players=2, max_players=2, time_limit_s=600)

    def comes(self, name: str) -> Player:
        """Somebody comes in and stays."""
        guest = self.server.guest(name)
        player = self.stack.enter_context(Player(self.server, self.game_id, guest["token"]))
        player.until("player_joined", player_id=guest["player_id"])
        return player

    def eve_comes(self) -> Player:
        """Eve comes in."""
        player = self.stack.enter_context(Player(self.server, self.game_id, self.eve["token"]))
        player.until("player_joined", player_id=self.eve["player_id"])
        return player

    def eve_goes(self, how: str, seen_by: Player) -> None:
        """Eve leaves, is lost for good, or is put out."""
        player_id = self.eve["player_id"]
        reason = {"leave": "left", "drop": "grace_expired", "remove": "removed"}[how]
        if how == "leave":
            self.player.send("leave")
        elif how == "drop":
            self.player.drop()
        else:
            url = f"{self.server.http_url}/api/games/{self.game_id}/players/{player_id}"
            fetch.delete(url, headers={"authorization": f"Bearer {self.host['token']}"}).raise_for_status()
        seen_by.until("player_left", player_id=player_id, reason=reason)

    def before_the_start(self, how: str, others: int, *, race: bool) -> None:
        """Eve goes while the game waits; so many others are in then, who may start."""
        first = self.comes("ann")
        self.player = self.eve_comes()
        self.eve_goes(how, first)
        players = [first, *(self.comes(f"bob{number}") for number in range(others - 1))]
        if race:
            self.start(players)

    def in_the_race(self, how: str) -> None:
        """Eve goes once the race runs."""
        first = self.comes("ann")
        self.player = self.eve_comes()
        self.start([first, self.player])
        self.eve_goes(how, first)
        self.first = first

    def start(self, players: list[Player]) -> None:
        """All are ready."""
        for player in players:
            player.send("ready")
        for player in players:
            player.until("game_started")


def over(scene: Scene) -> None:
    scene.in_the_race("leave")
    scene.first.send("submit_code", {"code": SOLUTION})
    scene.first.until("game_finished")


SCENES: dict[str, tuple[Callable[[Scene], None], tuple[int, str, int] | None]] = {
    "left a full waiting game": (lambda one: one.before_the_start("leave", 2, race=False), (409, "game_full", 4411)),
    "lost in a full waiting game": (lambda one: one.before_the_start("drop", 2, race=False), (409, "game_full", 4411)),
    "left before the race": (lambda one: one.before_the_start("leave", 2, race=True), (409, "game_running", 4411)),
    "lost before the race": (lambda one: one.before_the_start("drop", 2, race=True), (409, "game_running", 4411)),
    "left the race": (lambda one: one.in_the_race("leave"), (409, "left", 4411)),
    "removed": (lambda one: one.before_the_start("remove", 1, race=False), (403, "forbidden", 4403)),
    "the game is over": (over, (409, "game_over", 4412)),
    "left a waiting game with room": (lambda one: one.before_the_start("leave", 1, race=False), None),
    "lost in the race": (lambda one: one.in_the_race("drop"), None),
}


@pytest.mark.parametrize("name", SCENES)
def test_whoever_comes_back_is_told_the_same_on_both_ways(table: ServerProcess, name: str) -> None:
    play, refused = SCENES[name]
    with ExitStack() as stack:
        scene = Scene(table, stack)
        play(scene)
        token, path = scene.eve["token"], f"/ws/{scene.game_id}"
        plain = fetch.get(table.http_url + path, headers={"authorization": f"Bearer {token}"})
        if refused is None:
            assert plain.status_code == 426
            back = stack.enter_context(Player(table, scene.game_id, token))
            back.until("player_joined", player_id=scene.eve["player_id"])
            return
        status, outcome, close_code = refused
        assert (plain.status_code, plain.json()["reason"]) == (status, outcome)
        with pytest.raises(InvalidStatus) as answer, Player(table, scene.game_id, token):
            pass
        assert answer.value.response.status_code == status
        late = stack.enter_context(Player(table, scene.game_id, "", **FIRST_MESSAGE))
        late.send("auth", {"token": token})
        assert late.until_closed()[0] == close_code


def test_who_was_lost_in_the_race_comes_back_and_wins_it(table: ServerProcess) -> None:
    with ExitStack() as stack:
        scene = Scene(table, stack)
        scene.in_the_race("drop")
        back = stack.enter_context(Player(table, scene.game_id, scene.eve["token"]))
        back.until("player_joined", player_id=scene.eve["player_id"])
        back.send("submit_code", {"code": SOLUTION})
        assert scene.first.until("game_finished")["data"]["winner"] == scene.eve["player_id"]


# ------------------------------------------------------------------------------------ one connection


@pytest.mark.anyio
@pytest.mark.parametrize("event_log_url", ["sqlite:///var/code-racer.db", "memory:"])
async def test_of_connections_that_begin_together_one_lives(
    tmp_path_factory: pytest.TempPathFactory, event_log_url: str
) -> None:
    with ServerProcess(tmp_path_factory.mktemp("together"), event_log_url=event_log_url) as server:
        ann = server.guest("ann")
        for count in (2, 2, 2, 3, 5):
            url = f"{server.ws_url}/ws/{server.new_game(ann['token'])}"
            sockets = await begin_together([url] * count, ann["token"])
            living, ended = await live_and_ended([one for one in sockets if isinstance(one, ClientConnection)])
            assert ended == [4409] * (count - 1)
            assert await answers(living)
            await living.close()


@pytest.mark.anyio
async def test_more_takeovers_than_a_minute_allows_are_refused_also_when_all_begin_together(
    table: ServerProcess,
) -> None:
    ann = table.guest("ann")
    url = f"{table.ws_url}/ws/{table.new_game(ann['token'])}"
    before = table.metric("ws_rate_limited_total", scope="replacements", mode="enforced")
    sockets = await begin_together([url] * 10, ann["token"])
    refused = [one for one in sockets if isinstance(one, InvalidStatus)]
    assert [one.response.status_code for one in refused] == [429] * 4, "one comes in, five take over"
    assert all("retry-after" in one.response.headers for one in refused)
    assert table.metric("ws_rate_limited_total", scope="replacements", mode="enforced") == before + 4
    living, ended = await live_and_ended([one for one in sockets if isinstance(one, ClientConnection)])
    assert ended == [4409] * 5
    assert await answers(living)
    await living.close()
