"""Where a race cannot be played the page says why, in words of its own, and has a way on."""

import json
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from app.protocol.closes import CLOSE_TABLE
from app.refusals import REFUSALS
from app.vocabulary import Initiator
from tools.harness import fetch
from tools.harness.browser import DESKTOP, PHONE, overflow, shoot, window
from tools.harness.player import Player
from tools.harness.server import ServerProcess
from tools.harness.tokens import token

HOST, EVE = token("host"), token("eve", name="Eve")
NOBODY = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2aff"
NEVER = ("Reload", "Waiting for players", "str", "replaced", "_")


def unknown(_server: ServerProcess) -> str:
    return NOBODY


def malformed(_server: ServerProcess) -> str:
    return "7d6d2f0a-0d0b"


def another_path(_server: ServerProcess) -> str:
    return "..%2Flivez"


def full(server: ServerProcess) -> str:
    game_id = server.new_game(HOST, min_players=1, max_players=1)
    with Player(server, game_id, HOST) as player:
        player.until("player_joined")
    return game_id


def begun(server: ServerProcess) -> str:
    return started(server, HOST)


def left(server: ServerProcess) -> str:
    game_id = server.new_game(HOST, min_players=2)
    with Player(server, game_id, HOST) as one, Player(server, game_id, EVE) as eve:
        for player in (one, eve):
            player.send("ready")
        eve.until("game_started")
        eve.send("leave")
        eve.until_closed()
    return game_id


def removed(server: ServerProcess) -> str:
    game_id = server.new_game(HOST)
    with Player(server, game_id, EVE) as eve:
        eve.until("player_joined")
        remove(server, game_id, "eve")
        eve.until_closed()
    return game_id


def over(server: ServerProcess) -> str:
    game_id = started(server, HOST)
    with Player(server, game_id, HOST) as player:
        player.send("leave")
        player.until_closed()
    return game_id


def started(server: ServerProcess, who: str) -> str:
    game_id = server.new_game(who, min_players=1)
    with Player(server, game_id, who) as player:
        player.send("ready")
        player.until("game_started")
    return game_id


def remove(server: ServerProcess, game_id: str, player_id: str) -> None:
    url = f"{server.http_url}/api/games/{game_id}/players/{player_id}"
    assert fetch.delete(url, headers={"authorization": f"Bearer {HOST}"}).status_code == HTTPStatus.NO_CONTENT


@pytest.fixture(scope="module", params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    with window(browser, "about:blank", viewport=request.param) as one:
        yield one


def picture(page: Page, name: str) -> None:
    """Keep a picture, of a page that fits its window."""
    width = page.evaluate("innerWidth")
    assert overflow(page) <= 0
    shoot(page, f"{name}-{width}")


def test_a_page_at_an_address_that_is_not_in_the_list_is_told_so(browser: Browser, tmp_path: Path) -> None:
    """In production guests are off by default: the page has a token, and the upgrade alone is refused."""
    settings = {"environment": "production", "frontend_url": "https://race.example.org", "drain_delay_s": 0}
    with ServerProcess(tmp_path, scrape_wait_s=0, **settings) as server:
        game_id = server.new_game(HOST, min_players=1)
        with window(browser, f"{server.http_url}/?game={game_id}#token={EVE}", viewport=DESKTOP) as page:
            expect(page.locator("#card")).to_contain_text("This server does not race on this site")
            shoot(page, "origin-refused")


@pytest.mark.parametrize(
    ("case", "title", "way"),
    [
        (unknown, "There is no such race", "Start another race"),
        (malformed, "This link is not whole", "Start another race"),
        (another_path, "This link is not whole", "Start another race"),
        (full, "This race is full", "Try again"),
        (begun, "This race has begun without you", "Look at the ranking"),
        (left, "You have left this race", "Look at the ranking"),
        (removed, "You were removed from this race", "Start another race"),
    ],
)
def test_a_race_that_takes_nobody_says_why(
    page: Page, server: ServerProcess, case: Callable[[ServerProcess], str], title: str, way: str
) -> None:
    page.goto("about:blank")
    page.goto(f"{server.http_url}/?game={case(server)}#token={EVE}")
    card = page.locator("#card")
    expect(card.get_by_role("heading", name=title)).to_be_focused()
    expect(card.get_by_role("button", name=way)).to_be_visible()
    expect(page.locator("#room")).to_be_hidden()
    assert not [word for word in NEVER if word in page.locator("main").inner_text()]
    picture(page, f"end-{case.__name__}")
    card.get_by_role("button", name="Start another race").click()
    expect(page.get_by_role("button", name="Create a game")).to_be_visible()
    assert page.url == f"{server.http_url}/"


def test_a_race_that_is_over_can_be_looked_at(page: Page, server: ServerProcess) -> None:
    page.goto(f"{server.http_url}/?game={over(server)}#token={EVE}")
    expect(page.locator("#ranks")).to_contain_text("host")
    expect(page.locator("#statement")).to_contain_text("First time over")
    expect(page.locator("#connection")).to_contain_text("the race is over")
    expect(page.locator("#card")).to_be_hidden()


def test_a_race_that_cannot_be_looked_at_now_is_not_said_to_run(page: Page, server: ServerProcess) -> None:
    page.route("**/api/games/**", lambda route: route.abort())
    page.goto(f"{server.http_url}/?game={over(server)}#token={EVE}")
    page.get_by_role("button", name="Look at the ranking").click()
    expect(page.locator("#notice")).to_contain_text("The server cannot be reached")
    page.unroute("**/api/games/**")
    page.get_by_role("button", name="Look at the ranking").click()
    expect(page.locator("#ranks")).to_contain_text("host")


def test_names_that_are_alike_are_told_apart(page: Page, server: ServerProcess) -> None:
    page.goto(server.http_url)
    shown = page.evaluate(
        "(names) => import('/game.js').then(({ nameOf }) => {"
        " const players = names.map((name, id) => ({ name, player_id: id }));"
        " return players.map((one) => nameOf({ players }, one.player_id)); })",
        ["Kim", "Kim (2)", "Lee", "Kim", "Kim (2)", "Kim"],
    )
    assert shown == ["Kim (1)", "Kim (2) (1)", "Lee", "Kim (3)", "Kim (2) (2)", "Kim (4)"]


def test_who_is_put_out_in_mid_race_is_told_and_keeps_the_code(page: Page, server: ServerProcess) -> None:
    game_id = server.new_game(HOST, min_players=2)
    page.goto(f"{server.http_url}/?game={game_id}#token={EVE}")
    page.get_by_role("button", name="I am ready").click()
    with Player(server, game_id, HOST) as host:
        host.send("ready")
        page.locator("#code").fill("mine")
        remove(server, game_id, "eve")
        expect(page.locator("#card")).to_contain_text("You were removed from this race")
        expect(page.locator("#code")).to_have_value("mine")
        expect(page.get_by_role("button", name="Submit")).to_be_disabled()
        picture(page, "end-kicked")


def test_a_guest_whom_nobody_knows_any_more_joins_anew(browser: Browser, server: ServerProcess) -> None:
    with window(browser, f"{server.http_url}/?game={server.new_game(HOST)}") as page:
        guest = {
            "token": token("guest-x", -20_000),
            "playerId": "guest-x",
            "name": "Ann",
            "expiresAt": 9e15,
            "isGuest": True,
        }
        tab = json.dumps({"player": guest, "gameId": page.url.partition("game=")[2]})
        page.evaluate("(tab) => sessionStorage.setItem('code-racer.tab', tab)", tab)
        page.reload()
        expect(page.locator("#card")).to_contain_text("The server does not know you any more")
        page.get_by_role("button", name="Join as a new player").click()
        expect(page.get_by_label("Your name")).to_have_value("Ann")
        page.get_by_role("button", name="Join", exact=True).click()
        expect(page.locator("#players li")).to_have_count(1)


@pytest.mark.parametrize(
    ("reason", "words"),
    [("rate_limited", "too many connections"), ("draining", "is restarting"), ("overloaded", "more to do than it can")],
)
def test_whoever_has_to_wait_is_told_why(page: Page, server: ServerProcess, reason: str, words: str) -> None:
    """The refusals of a busy server, to a window whose upgrades all fail."""
    refusal = {"type": "about:blank", "title": "", "status": 503, "reason": reason, "retry_after_ms": 60_000}
    page.route(
        "**/ws/**",
        lambda route: route.fulfill(status=503, content_type="application/problem+json", body=json.dumps(refusal)),
    )
    page.goto(f"{server.http_url}/?game={NOBODY}#token={EVE}")
    expect(page.locator("#card")).to_contain_text(words)
    expect(page.locator("#card")).to_contain_text("tries again by itself")
    picture(page, f"wait-{reason}")
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("button", name="Create a game")).to_be_visible()
    page.unroute("**/ws/**")


def test_every_end_has_its_words(page: Page, server: ServerProcess) -> None:
    page.goto(server.http_url)
    known = page.evaluate("import('/ends.js').then(({ ENDS }) => Object.keys(ENDS))")
    never_by_us = {"wire_protocol_error", "binary_unsupported", "invalid_utf8"}  # a browser's WebSocket causes none
    closes = {row.reason for row in CLOSE_TABLE if Initiator.SERVER in row.initiators and not row.comes_back}
    refusals = {str(row.outcome) for row in REFUSALS.values() if row.is_final}
    assert set(known) == (refusals | closes) - never_by_us


def test_no_end_and_no_refusal_holds_the_name_of_a_setting_or_of_a_field(page: Page, server: ServerProcess) -> None:
    """Whoever plays has no settings, and whoever has them finds them in the answer itself."""
    refused = {
        "this origin is not allowed; add it to CORS_ALLOWED_ORIGINS": "origin_refused",
        "max_players can be at most 8 (MAX_PLAYERS_PER_GAME)": "bad_request",
        "guests are not admitted here; see GUESTS": "not_found",
        "no such problem; see GET /api/problems": "bad_request",
    }
    page.goto(server.http_url)
    said = page.evaluate(
        "(refused) => Promise.all([import('/ends.js'), import('/http.js')])"
        ".then(([{ ENDS, apiWords }, { Refused }]) => ["
        " ...Object.values(ENDS).flatMap(([title, text]) => [title, text]),"
        " ...Object.entries(refused).map(([detail, reason]) => apiWords(new Refused(403, reason, detail))),"
        " apiWords(new Refused(429, 'rate_limited', 'you have 8 open games (MAX_GAMES_PER_PLAYER); finish one first')),"
        "])",
        refused,
    )
    assert [words for words in said if re.search("_|[A-Z]{3}|undefined", words)] == []
    assert "Whoever runs the server can add it." in said[-5]
    assert said[-2:] == ["No such problem.", "You have 8 open games; finish one first. Try again in 1 s."]


def test_a_server_without_guests_asks_for_a_token(browser: Browser, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, guests="false", max_games_per_player=1)
    with server, window(browser, f"{server.http_url}/") as page:
        page.get_by_label("Your name").fill("  ")
        page.get_by_role("button", name="Create a game").click()
        expect(page.get_by_role("alert")).to_contain_text("Give yourself a name")
        page.get_by_label("Your name").fill("Eve")
        page.get_by_role("button", name="Create a game").click()
        expect(page.get_by_role("alert")).to_contain_text("takes no guests")
        expect(page.get_by_label("Your token", exact=True)).to_be_focused()
        shoot(page, "no-guests")
        page.get_by_label("Your token", exact=True).fill("nonsense")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("That is no token")
        page.get_by_label("Your token", exact=True).fill(token("eve", -60))
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("does not take this token")
        page.get_by_label("Your token", exact=True).fill(EVE)
        page.keyboard.press("Enter")
        expect(page.locator("#players")).to_contain_text("Eve (you)")
        assert EVE not in page.url
        page.goto(server.http_url)
        expect(page.locator("#own")).to_contain_text("You race as Eve")
        page.locator("#minutes").fill("")
        page.keyboard.press("Enter")
        expect(page.locator("#minutes:invalid")).to_be_focused()
        expect(page.get_by_role("alert")).to_be_hidden()
        page.locator("#minutes").fill("15")
        page.get_by_role("button", name="Create a game").click()
        expect(page.get_by_role("alert")).to_have_text("You have 1 open games; finish one first. Try again in 60 s.")


def test_who_leaves_a_running_race_is_asked_first(page: Page, server: ServerProcess) -> None:
    game_id = server.new_game(HOST, min_players=2)
    page.goto(f"{server.http_url}/?game={game_id}#token={EVE}")
    page.get_by_role("button", name="I am ready").click()
    with Player(server, game_id, HOST) as host:
        host.send("ready")
        expect(page.locator("#statement")).to_contain_text("First time over")
        asked: list[str] = []

        def answer(dialog: Dialog) -> None:
            asked.append(dialog.message)
            if len(asked) == 1:
                dialog.dismiss()
            else:
                dialog.accept()

        page.on("dialog", answer)
        page.get_by_role("button", name="Leave").click()
        expect(page.locator("#connection")).to_have_attribute("data-state", "open")
        page.get_by_role("button", name="Leave").click()
        expect(page.get_by_role("button", name="Create a game")).to_be_visible()
        assert host.until("player_left")["data"]["player_id"] == "eve"
        assert asked == ["Leave this race? You cannot come back into it."] * 2
        page.remove_listener("dialog", answer)
