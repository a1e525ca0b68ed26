"""What operators see of connections, games, players and settings: in order, by pages, and nobody is held up."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.console.configuration import SettingsView
from app.console.connections import ConnectionSearch, ConnectionsView, Listing
from app.console.ends import Ends
from app.console.games import GamesView
from app.console.players import PlayerPage, PlayerRow, PlayersView
from app.console.slices import SLICE
from app.console.walking import BadCursor, RowPlace, choose, cursor_of, place_of, placed
from app.settings import load_settings, secret_fingerprints
from app.vocabulary import ConnectionSort, ConnectionState, GameSort, Phase, SortOrder
from tools.harness.clock import loop_ms, without_waiting
from tools.harness.hubs import OneHub, eventually, running
from tools.harness.server import SECRET

pytestmark = pytest.mark.anyio
CODE = "def solve(x):\n    return 'her secret idea'\n"


def views(one: OneHub) -> tuple[ConnectionsView, GamesView, PlayersView]:
    connections = ConnectionsView(one.hub, "one")
    games = GamesView(one.hub, connections, "one")
    return connections, games, PlayersView(connections, games, Ends(), one.hub.bans)


async def ids(view: ConnectionsView, sort: ConnectionSort = ConnectionSort.HURT, **search: Any) -> list[str]:
    page = await view.page(ConnectionSearch(**search), sort, Listing())
    assert page.matched == len(page.rows)
    return [row.player_id for row in page.rows]


# ---------------------------------------------------------------- pages


async def test_pages_have_every_row_once_in_order_whatever_goes_meanwhile() -> None:
    items = list(range(1_000))

    def place(item: int) -> RowPlace | None:
        return placed((item % 7,), f"{item:04}", SortOrder.DESCENDING) if item % 2 else None

    seen: list[int] = []
    after = ""
    while True:
        chosen = await choose(items, place, after, 37)
        seen += [item for _, item in chosen.rows]
        assert chosen.total == len(items)
        for gone in [item for _, item in chosen.rows[:5]]:
            items.remove(gone)
        if chosen.next is None:
            break
        after = chosen.next
    assert seen == sorted((item for item in range(1_000) if item % 2), key=lambda item: (-(item % 7), item))


async def test_whoever_lists_a_hundred_thousand_rows_leaves_the_others_their_turns() -> None:
    items = range(100_000)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    chosen = await choose(items, lambda item: placed((item,), str(item), SortOrder.DESCENDING), "", 3)
    task.cancel()
    assert [item for _, item in chosen.rows] == [99_999, 99_998, 99_997]
    assert turns >= len(items) // SLICE - 1


@pytest.mark.parametrize(
    "cursor", ["x", "é", "A" * 600, "W10", "bnVsbA", cursor_of(((float("nan"),), "x")), "W1t7fV0sIngiXQ"]
)
async def test_what_is_no_cursor_is_said_to_be_none(cursor: str) -> None:
    with pytest.raises(BadCursor):
        await choose([1], lambda item: ((float(item),), "1"), cursor, 1)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4), st.text(max_size=40))
def test_a_cursor_is_read_as_it_was_written(figures: list[float], id: str) -> None:
    place = (tuple(figures), id)
    assert place_of(cursor_of(place)) == place


# ---------------------------------------------------------------- connections


async def test_connections_are_found_by_player_address_client_game_and_state() -> None:
    async with running() as one:
        first = await one.game("ann", "bob")
        second = await one.game("annabel")
        view, _, _ = views(one)
        assert sorted(await ids(view)) == ["ann", "annabel", "bob"]
        assert sorted(await ids(view, player="ANN")) == ["ann", "annabel"]
        assert await ids(view, game=second.game_id[:20]) == ["annabel"]
        assert len(await ids(view, address="127.")) == 3
        assert await ids(view, address="10.") == []
        assert await ids(view, client="nobody's") == []
        assert len(await ids(view, state=ConnectionState.OPEN)) == 3
        assert await ids(view, game=first.game_id, player="bob", state=ConnectionState.CLOSING) == []
        page = await view.page(ConnectionSearch(player="bob"), ConnectionSort.HURT, Listing())
        assert (page.total, page.matched) == (3, 1)


async def test_connections_are_listed_by_what_hurts() -> None:
    async with running() as one:
        await one.game("ann", "bob", "eve")
        view, _, _ = views(one)
        for _ in range(3):
            one.say("eve", "nonsense")
        one.sessions["bob"].stats.measured(0.4)
        assert await ids(view, ConnectionSort.ERRORS) == ["eve", "ann", "bob"]
        assert await ids(view, ConnectionSort.HURT) == ["eve", "bob", "ann"]
        assert (await ids(view, ConnectionSort.RTT))[0] == "bob"
        assert await ids(view, ConnectionSort.AGE) == ["ann", "bob", "eve"], "the oldest first"
        assert (await ids(view, ConnectionSort.MESSAGES))[0] == "eve"
        peer = one.peers["ann"]
        assert peer.listener is not None
        peer.is_writable = False
        peer.listener.on_blocked()
        one.say("bob", "ready", {"status": "ready"})
        await one.until_sent("bob", "player_ready")
        row = (await view.page(ConnectionSearch(), ConnectionSort.HURT, Listing(limit=1))).rows[0]
        assert (row.player_id, row.name, row.outbox_bytes > 0) == ("ann", "Ann", True)
        eve = (await view.page(ConnectionSearch(player="eve"), ConnectionSort.HURT, Listing())).rows[0]
        assert (eve.errors, eve.last_error, eve.messages_in, eve.joined) == (3, "unknown_type", 3, True)
        assert eve.state is ConnectionState.OPEN
        assert eve.bytes_in > 0
        assert eve.messages_out == one.sessions["eve"].outbox.messages_out


async def test_a_connection_that_is_gone_is_found_no_more() -> None:
    async with running() as one:
        await one.game("ann")
        view, _, players = views(one)
        session = one.sessions["ann"]
        assert view.find(session.connection_id) is session
        assert view.show(session).player_id == "ann"
        assert [row.connection_id for row in players.show("ann").connections] == [session.connection_id]
        one.peers["ann"].abort()
        await eventually(lambda: not len(one.hub.connections))
        assert view.find(session.connection_id) is None
        assert players.show("ann").connections == []


async def test_players_are_found_by_a_part_of_id_or_name_by_pages() -> None:
    async with running() as one:
        await one.game("ann", "joanna", "bob")
        connections, games, players = views(one)
        assert await ids(connections, player="ANN") == ["ann", "joanna"]
        await one.game("ann x")
        first = await players.page(" Ann", Listing(limit=2))
        assert [(row.player_id, row.name, row.connections) for row in first.rows] == [
            ("ann", "Ann", 1),
            ("ann x", "Ann X", 1),
        ]
        assert (first.total, first.matched) == (4, 3)
        rest = await players.page(" Ann", Listing(limit=2, after=first.next or ""))
        assert ([row.player_id for row in rest.rows], rest.next) == (["joanna"], None)
        one.peers["bob"].abort()
        await eventually(lambda: not connections.of_player("bob"))
        (bob,) = (await players.page("BOB", Listing())).rows
        assert (bob.connections, bob.name) == (0, "Bob")
        found = await games.page(None, "Bo", GameSort.HURT, Listing())
        assert [row.game_id for row in found.rows] == [bob.game_id]


def test_what_replicas_know_of_a_player_is_one_row_on_one_page() -> None:
    def row(place: str, connections: int, replica: str) -> PlayerRow:
        return PlayerRow(
            cursor=cursor_of(((0.0,), place)), replica=replica, player_id=place, name=None, connections=connections,
            game_id=None,
        )  # fmt: skip

    one = PlayerPage(rows=[row("a", 0, "one"), row("b", 1, "one")], total=5, matched=3, next="more")
    two = PlayerPage(rows=[row("a", 1, "two"), row("c", 0, "two")], total=5, matched=2, next=None)
    page = one.with_others([two], 2, ["three"])
    assert [(row.player_id, row.connections, row.replica) for row in page.rows] == [("a", 1, "two"), ("b", 1, "one")]
    assert (page.total, page.matched, page.next, page.missing) == (9, 4, page.rows[-1].cursor, ["three"])


# ---------------------------------------------------------------- games


async def test_games_are_found_by_phase_and_player_and_shown_with_who_is_in_them() -> None:
    async with running() as one:
        race = await one.race("ann", "bob")
        waiting = await one.game("eve")
        _, games, players = views(one)

        async def listed(phase: Phase | None = None, player: str = "") -> set[str]:
            return {row.game_id for row in (await games.page(phase, player, GameSort.HURT, Listing())).rows}

        assert await listed() == {race.game_id, waiting.game_id}
        assert await listed(Phase.RUNNING) == {race.game_id}
        assert await listed(player="eve") == {waiting.game_id}
        assert await listed(Phase.RUNNING, "eve") == set()
        shown = await games.show(race.game_id)
        assert shown is not None
        assert (shown.game.phase, shown.game.members, shown.game.players, shown.game.spectators) == ("running", 2, 2, 0)
        assert [player.name for player in shown.players] == ["Ann", "Bob"]
        assert {row.player_id for row in shown.connections} == {"ann", "bob"}
        assert shown.game.events == race.known.seq
        assert shown.game.events_per_minute > 0
        assert [row.game_id for row in players.show("bob").games] == [race.game_id]
        assert await games.show("0d9bb1a4-6a3c-4a53-9a8e-000000000000") is None


@without_waiting
async def test_a_game_is_hot_by_what_happens_now_and_not_by_all_that_ever_did() -> None:
    async with running(now=loop_ms, commands_per_second=0) as one:
        _, games, _ = views(one)
        counting = asyncio.create_task(games.rates.run())

        async def busy(player: str, messages: int) -> None:
            seen = one.peers[player].types.count("player_ready")
            for number in range(messages):
                one.say(player, "ready", {"status": ("ready", "not_ready")[number % 2]})
            await eventually(lambda: one.peers[player].types.count("player_ready") == seen + messages)

        async def hot() -> list[tuple[str, float]]:
            page = await games.page(None, "", GameSort.EVENTS_PER_MINUTE, Listing())
            return [(row.game_id, round(row.events_per_minute)) for row in page.rows]

        await asyncio.sleep(120)
        old = (await one.game("ann", min_players=2)).game_id
        await busy("ann", 20)
        assert await hot() == [(old, 22)], "it was made within the minute, so all that it has came in it"
        await asyncio.sleep(600)
        young = (await one.game("eve", min_players=2)).game_id
        await busy("eve", 4)
        assert await hot() == [(young, 6), (old, 0)], "nobody has looked for ten minutes"
        await asyncio.sleep(45)
        await busy("ann", 10)
        assert [game for game, _ in await hot()] == [old, young], "it is now"
        assert (await hot())[0][1] in {7, 8, 9, 10}, "of a minute, or up to a half more"
        await asyncio.sleep(100)
        assert {rate for _, rate in await hot()} == {0}
        counting.cancel()


async def test_the_log_of_a_game_is_shown_without_code_by_pages() -> None:
    async with running() as one:
        race = await one.race("ann")
        one.say("ann", "submit_code", {"code": CODE, "language": "python"}, id="a cause of hers")
        await one.until_sent("ann", "code_submitted")
        _, games, _ = views(one)
        page = await games.events(race.game_id, 0, 200)
        assert page is not None
        assert (page.total, page.next) == (race.known.seq, None)
        assert [row.seq for row in page.rows] == list(range(1, race.known.seq + 1))
        submitted = page.rows[-1]
        assert (submitted.type, submitted.player_id) == ("code_submitted", "ann")
        assert submitted.data["code_bytes"] == len(CODE)
        assert len(submitted.data["code_sha256"]) == 16
        everything = json.dumps([row.data for row in page.rows], default=str)
        assert "idea" not in everything
        assert "a cause" not in everything
        part = await games.events(race.game_id, 1, 2)
        assert part is not None
        assert ([row.seq for row in part.rows], part.next) == ([2, 3], 3)
        assert await games.events("0d9bb1a4-6a3c-4a53-9a8e-000000000000", 0, 10) is None


# ---------------------------------------------------------------- settings


def test_settings_are_shown_without_a_secret() -> None:
    given: dict[str, Any] = {
        "jwt_secret": SECRET,
        "ops_token": "an-operators-token-of-enough-length",
        "nats_password": "hunter2-hunter2",
        "prometheus_url": "http://reader:open@sesame@prometheus:9090",
        "max_batch": 7,
    }
    settings = load_settings(**given)
    rows = {row.name: row for row in SettingsView(settings, lambda: secret_fingerprints(settings)).show()}
    assert rows.keys() == {name.upper() for name in type(settings).model_fields}
    assert (rows["MAX_BATCH"].value, rows["MAX_BATCH"].is_default) == ("7", False)
    assert rows["MAX_CONNECTIONS"].is_default
    assert rows["OPS_TOKEN"].value == secret_fingerprints(settings)["OPS_TOKEN"]
    assert rows["TICKET_SECRET"].value == "none"
    assert rows["PROMETHEUS_URL"].value == "http://******@prometheus:9090"
    shown = repr(rows)
    assert not any(secret in shown for secret in (SECRET, given["ops_token"], "hunter2", "sesame"))
