"""The operators' page in a real browser, before a real server on which races go on."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tools.harness import fetch
from tools.harness.browser import DESKTOP, PHONE, overflow, window
from tools.harness.player import SOLUTION, WRONG, Player
from tools.harness.server import ROOT, ServerProcess, free_port

AXE = ROOT / "tests/node/node_modules/axe-core/axe.min.js"
OPS_TOKEN = "e1a7" * 12
RACES = 3
RULES: Final[dict[str, dict[str, list[str]]]] = {"dark": {"runOnly": ["color-contrast"]}, "light": {}}
COLOURFUL = ("", "alerts?runbook=CodeRacerEventLoopLag", "connections", "game/{game}", "hot?replica=all", "never")
"""Views that have between them all that has a colour."""
PRESS_SPACE_TWICE = """(slider) => [1, 2].map(() => {
    slider.dispatchEvent(new KeyboardEvent('keydown', { key: ' ', cancelable: true }));
    return document.querySelector('.replay button').textContent;
})"""
"""Within one turn, as a short race would be over before the second one on a slow machine; and what the button says."""
VIEWS = (
    *COLOURFUL, "replicas", "connection/{connection}", "games", "player/{player}", "closes", "slow?replica=all",
    "changes", "bans", "log?replica=all", "settings", "diagnostics", "find/nobody",
)  # fmt: skip

DIALOGS = (
    ("", "Drain…"), ("", "Limit…"), ("player/{player}", "Close all…"), ("player/{player}", "Ban…"),
    ("diagnostics", "Profile…"), ("", "development may act"), ("", "?"),
)  # fmt: skip
"""One of each kind: where it is, and the button, or the key, that opens it."""


def documented() -> list[list[str]]:
    """The questions of docs/console.md, and the places of the page that answer them."""
    table = (ROOT / "docs/console.md").read_text("utf-8").partition("\n## What an operator asks first\n")[2]
    lines = [line for line in table.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines[2:]]


@dataclass
class Racing:
    """A server on which races go on; `players` of the first race."""

    server: ServerProcess
    game_id: str = ""
    players: list[Player] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.server.http_url}/ops/"

    @property
    def connections(self) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = fetch.get(f"{self.url}api/connections").json()["rows"]
        return rows


@pytest.fixture(scope="module")
def racing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Racing]:
    with contextlib.ExitStack() as stack:
        server = ServerProcess(tmp_path_factory.mktemp("racing"), ops_token=OPS_TOKEN, command_burst=1_000)
        all_of_it = Racing(stack.enter_context(server))
        for race in range(RACES):
            guests = [server.guest(f"{name} {race}") for name in ("Ann", "Bob")]
            game_id = server.new_game(guests[0]["token"], min_players=2)
            players = [stack.enter_context(Player(server, game_id, one["token"])) for one in guests]
            for one in players:
                one.send("ready")
            for one in players:
                one.until("game_started")
            players[0].send("submit_code", {"code": WRONG, "language": "python"})
            players[0].until("submission_result")
            if not race:
                all_of_it.game_id, all_of_it.players = game_id, players
                all_of_it.ids = [one["player_id"] for one in guests]
        yield all_of_it


@pytest.fixture(scope="module")
def page(browser: Browser, racing: Racing) -> Iterator[Page]:
    with window(browser, racing.url) as one:
        yield one


def open_view(page: Page, racing: Racing, view: str = "") -> None:
    page.goto("about:blank")
    page.goto(f"{racing.url}#/{view}")
    settle(page, view)


def go_on(page: Page, view: str) -> None:
    """Go from one view to another, without loading the page anew."""
    page.evaluate("(hash) => { location.hash = hash; }", f"#/{view}")
    settle(page, view)


def settle(page: Page, view: str) -> None:
    """Wait until a view is drawn."""
    expect(page.locator("main")).to_have_attribute("data-place", f"#/{view}")


def violations(page: Page, *, colours: bool) -> list[str]:
    """What axe finds on a phone in the light, and, asked for `colours`, in the dark on a desktop."""
    found = []
    for scheme, size in (("dark", DESKTOP), ("light", PHONE))[not colours :]:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of its words
        wrong = page.evaluate("(rules) => axe.run(document, rules)", RULES[scheme])["violations"]
        found += [f"{scheme}, {one['id']}: {node['html']}" for one in wrong for node in one["nodes"]]
    return found


def dialog_violations(page: Page, view: str, opener: str) -> list[str]:
    """What axe finds where a dialog is open, in either scheme."""
    go_on(page, view)
    page.set_viewport_size(DESKTOP)
    if opener == "?":
        page.keyboard.press(opener)
    else:
        page.get_by_role("button", name=opener).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    found = violations(page, colours=True)
    assert overflow(page) <= 0, opener
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    return found


def test_every_view_is_sound_on_a_desktop_and_on_a_phone(browser: Browser, racing: Racing) -> None:
    """Axe finds nothing in either scheme, in dialogs too; none is wider than its window, and nothing goes wrong."""
    faults: list[str] = []
    found: list[str] = []
    ids = {"connection": racing.connections[0]["connection_id"], "game": racing.game_id, "player": racing.ids[0]}
    with window(browser, racing.url, faults) as page:
        page.evaluate(AXE.read_text())
        for view in VIEWS:
            go_on(page, view.format(**ids))
            found += [f"{view}, {one}" for one in violations(page, colours=view in COLOURFUL)]
            assert overflow(page) <= 0, view
        for view, opener in DIALOGS:
            found += [f"{opener}, {one}" for one in dialog_violations(page, view.format(**ids), opener)]
    assert found == []
    assert [fault for fault in faults if "404" not in fault] == []


def test_it_is_worked_by_the_keyboard(page: Page, racing: Racing) -> None:
    open_view(page, racing)
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page.get_by_role("heading", name="Connections", level=1)).to_be_focused()
    for key, row in (("j", 0), ("j", 1), ("k", 0)):
        page.keyboard.press(key)
        expect(page.locator("tbody tr").nth(row).locator("a").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=re.compile("Connection of (Ann|Bob)"))).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Connections", level=1)).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type(racing.game_id)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=racing.game_id)).to_be_visible()
    page.locator("main").focus()
    page.keyboard.press("?")
    page.get_by_label("Single keys are shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#find-id")).not_to_be_focused()
    page.keyboard.press("?")
    page.get_by_label("Single keys are shortcuts").check()
    page.keyboard.press("Escape")


def test_a_player_is_found_by_name_and_of_several_one_is_chosen(page: Page, racing: Racing) -> None:
    def find(name: str) -> None:
        page.keyboard.press("/")
        page.keyboard.type(name)
        page.keyboard.press("Enter")

    open_view(page, racing)
    find("bob 0")
    expect(page.get_by_role("heading", name="Bob 0")).to_be_visible()
    settle(page, f"player/{racing.ids[1]}")
    find("ANN")
    named = page.get_by_role("region", name="Players whose name or id has this part")
    expect(named.locator("tbody tr")).to_have_count(RACES)
    named.get_by_role("link", name="Ann 0").click()
    settle(page, f"player/{racing.ids[0]}")
    find("nobody")
    expect(page.locator("main")).to_contain_text("is known by this id or name")


def test_a_search_is_in_the_address_and_a_refresh_leaves_focus_and_typing_alone(page: Page, racing: Racing) -> None:
    open_view(page, racing, "connections")
    expect(page.locator("tbody tr")).to_have_count(2 * RACES)
    page.get_by_label("Player", exact=True).fill(racing.ids[1])
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    assert f"player={racing.ids[1]}" in page.url
    page.get_by_label("Address").fill("10.")
    with page.expect_response("**/ops/api/connections**"):
        pass
    expect(page.get_by_label("Address")).to_be_focused()
    expect(page.get_by_label("Address")).to_have_value("10.")


def test_a_games_time_line_has_no_code(page: Page, racing: Racing) -> None:
    open_view(page, racing, f"game/{racing.game_id}")
    line = page.locator(".timeline").last
    expect(line).to_contain_text("code submitted")
    expect(line).to_contain_text("verdict wrong_answer")
    assert "solve" not in page.content()


def test_the_end_of_a_long_time_line_is_a_link_away_and_what_came_before_another(page: Page, racing: Racing) -> None:
    zoe = racing.server.guest("Zoe")
    game_id = racing.server.new_game(zoe["token"], min_players=2)
    with Player(racing.server, game_id, zoe["token"], max_queue=None) as player:
        for number in range(128):
            player.send("ready", {"status": ("ready", "not_ready")[number % 2]})
        while player.receive().get("seq") != 130:
            pass
        open_view(page, racing, f"game/{game_id}")
        seqs = page.locator(".card", has=page.get_by_role("heading", name="What happened")).locator(".seq")
        expect(seqs.first).to_have_text("1")
        page.get_by_role("link", name="To the end").click()
        expect(seqs.last).to_have_text("130")
        expect(seqs.first).to_have_text("31")
        page.get_by_role("link", name="What came before").click()
        expect(seqs.first).to_have_text("1")
        expect(page.get_by_role("link", name="From the beginning")).to_have_count(0)


def test_a_race_is_played_back_while_it_goes_on_and_when_it_is_over(page: Page, racing: Racing) -> None:
    """By the keyboard: at the end it shows what is, at any moment before it what was, whatever comes meanwhile."""
    ann, bob = (racing.server.guest(name) for name in ("Ann", "Bob"))
    game_id = racing.server.new_game(ann["token"], min_players=2)
    standings = page.get_by_role("region", name="Players at this moment")
    slider, line = page.get_by_label("Moment of the race"), page.locator(".replay > .hint")

    def stand(**expected: str) -> None:
        for name, standing in expected.items():
            expect(standings.locator("tr", has_text=name)).to_contain_text(standing)

    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(Player(racing.server, game_id, one["token"])) for one in (ann, bob))
        for one in (first, second):
            one.send("ready")
        for one in (first, second):
            one.until("game_started")
        first.send("submit_code", {"code": WRONG, "language": "python"})
        first.until("submission_result")
        open_view(page, racing, f"game/{game_id}")
        stand(Ann="judged: wrong answer", Bob="racing")
        slider.press("Home")
        expect(line).to_contain_text("0 s of ")
        expect(line).to_contain_text("event 1 of 9")
        slider.press("ArrowRight")
        stand(Ann="joined")
        first.drop()
        second.until("player_disconnected")
        second.send("submit_code", {"code": SOLUTION, "language": "python"})
        second.until("game_finished")
    expect(line).to_contain_text("event 2 of 13")
    stand(Ann="joined")
    expect(slider).to_be_focused()
    assert slider.evaluate(PRESS_SPACE_TWICE) == ["Pause", "Play"]
    page.get_by_label("Speed").select_option("as fast as possible")
    slider.press("Space")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    stand(Ann="lost", Bob="accepted")
    expect(page.locator(".replay .timeline li", has_text="code submitted").last).to_contain_text("Bob")
    slider.press("ArrowLeft")
    stand(Bob="submitted")
    assert slider.get_attribute("aria-valuetext") == line.inner_text()
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("button", name="Play").click()
    stand(Ann="lost", Bob="accepted")
    page.emulate_media(reduced_motion="no-preference")


def test_a_runbook_is_drawn_in_its_place(page: Page, racing: Racing) -> None:
    """And what it leads to takes its place, with the focus and the address."""
    open_view(page, racing, "alerts?runbook=CodeRacerNatsSlowConsumers")
    expect(page.get_by_role("article")).to_contain_text("Mitigation")
    expect(page.get_by_role("article").locator("pre").first).to_be_visible()
    expect(page.get_by_role("article").get_by_role("link", name="NATS")).to_have_attribute("target", "_blank")
    page.get_by_role("article").get_by_role("link", name="EventLoopLag").click()
    settle(page, "alerts?runbook=CodeRacerEventLoopLag")
    other = page.get_by_role("article", name="Runbook of CodeRacerEventLoopLag")
    expect(other.get_by_role("heading", name="Mitigation")).to_be_attached()
    expect(other).to_be_focused()
    expect(page.get_by_role("article")).to_have_count(1)


def test_a_profile_is_drawn_as_a_flame_graph(page: Page, racing: Racing) -> None:
    open_view(page, racing, "diagnostics")
    page.get_by_role("button", name="Tasks").click()
    expect(page.locator("#found summary").first).to_contain_text("count")
    page.get_by_role("button", name="Profile…").click()
    page.get_by_label("For, in seconds").fill("1")
    page.get_by_label("Reason, for the log").fill("it is slow")
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="Flame graph")).to_be_visible()
    frame = page.locator(".flame svg svg").nth(1)
    frame.click()
    expect(page.locator("#found")).to_contain_text("of all. A click on it goes back")


def test_a_connection_is_closed_with_a_reason_and_what_is_gone_is_said_to_be(page: Page, racing: Racing) -> None:
    eve = racing.server.guest("Eve")
    with Player(racing.server, racing.server.new_game(eve["token"]), eve["token"]) as player:
        player.until("welcome")
        open_view(page, racing, f"connections?player={eve['player_id']}")
        page.locator("tbody a").first.click()
        page.get_by_role("button", name="Close it…").click()
        page.get_by_role("button", name="Close it", exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert player.ws.protocol.state.name == "OPEN", "no reason was given"
        page.get_by_label("Tell the client to come back").uncheck()
        page.get_by_label("Reason, for the log").fill("ticket 812")
        page.keyboard.press("Enter")
        assert player.until_closed()[0] == 4403
    expect(page.locator("#told")).to_contain_text("Close this connection: done.")
    expect(page.get_by_role("heading", name="It is not there (any more)")).to_be_focused()
    logged = racing.server.wait_for_log("operator.acted", action="close_connection")
    assert (logged["reason"], logged["operator"]) == ("ticket 812", "development")
    page.keyboard.press("Escape")
    open_view(page, racing, "changes")
    expect(page.locator("tbody tr").first).to_contain_text("ticket 812")


def test_who_may_not_read_is_told_how_to_and_a_token_is_kept_for_the_tab_alone(
    browser: Browser, racing: Racing
) -> None:
    """Another name of this machine is none of a local Host's."""
    url = racing.url.replace("127.0.0.1", "console.localhost")
    with window(browser, url) as page:
        expect(page.get_by_role("heading", name="You may not read here")).to_be_visible()
        page.get_by_role("button", name="Use a token").click()
        page.get_by_label("Token", exact=True).fill("nonsense")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("This token is not taken")
        page.get_by_label("Token", exact=True).fill(OPS_TOKEN)
        page.get_by_label("Your name, for the log").fill("Kim")
        page.keyboard.press("Enter")
        expect(page.locator("#access")).to_have_text("Kim (ops-token) may act")
        expect(page.locator(".figures")).to_be_visible()
        assert OPS_TOKEN not in page.content()
        assert OPS_TOKEN not in page.url
        assert page.context.cookies() == []
        other = page.context.new_page()
        asked: list[str] = []
        other.on("request", lambda request: asked.append(request.url))
        other.clock.install()
        other.goto(url)
        expect(other.get_by_role("heading", name="You may not read here")).to_be_visible()
        expect(other.locator("#live")).to_have_attribute("data-state", "refused")
        before = len(asked)
        other.clock.run_for("01:00")
        assert asked[before:] == [], "who is refused asks no more, until somebody signs in"
        other.get_by_role("button", name="Use a token").click()
        other.get_by_label("Token", exact=True).fill(OPS_TOKEN)
        other.keyboard.press("Enter")
        expect(other.locator("#live")).to_have_attribute("data-state", "live")
        expect(other.locator(".figures")).to_be_visible()


def test_a_hundred_thousand_connections_are_paged_and_searched(browser: Browser, tmp_path: Path) -> None:
    """The server cuts the pages: none comes with more rows than are shown, and the service is on time meanwhile."""
    with (
        ServerProcess(tmp_path, "tools.harness.multitude") as server,
        window(browser, f"{server.http_url}/ops/#/connections") as page,
    ):
        rows = page.locator("tbody tr")
        expect(page.locator(".pager")).to_contain_text("100,000 connections")
        expect(rows).to_have_count(50)
        expect(rows.first).to_contain_text("player-99500")
        page.keyboard.press("n")
        expect(page.locator(".pager")).to_contain_text("page 2")
        expect(rows.first).to_contain_text("player-74500")
        page.keyboard.press("p")
        expect(rows.first).to_contain_text("player-99500")
        page.get_by_label("Player", exact=True).fill("player-77777")
        page.keyboard.press("Enter")
        expect(page.locator(".pager")).to_contain_text("1 of 100,000 connections")
        expect(rows).to_have_count(1)
        assert page.evaluate("document.querySelectorAll('*').length") < 1_000
        server.kill()


def test_its_own_replica_is_shown_live(page: Page, racing: Racing) -> None:
    open_view(page, racing)
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    connections = page.locator(".figure", has_text="Connections").locator(".value")
    expect(connections).to_have_text(str(2 * RACES))
    ann = racing.server.guest("Zoe")
    with Player(racing.server, racing.server.new_game(ann["token"]), ann["token"]):
        expect(connections).to_have_text(str(2 * RACES + 1))
    expect(connections).to_have_text(str(2 * RACES))


def test_why_she_was_disconnected_is_said_in_a_sentence(page: Page, racing: Racing) -> None:
    eve = racing.server.guest("Eve")
    with Player(racing.server, racing.server.new_game(eve["token"]), eve["token"]) as player:
        player.until("welcome")
        player.drop()
    racing.server.wait_for_log("ws.closed", player_id=eve["player_id"])
    open_view(page, racing, f"player/{eve['player_id']}")
    expect(page.locator(".answer")).to_contain_text("(connection lost, 1006): the peer vanished")
    expect(page.get_by_role("heading", level=1)).to_have_text("Eve")


def test_a_player_is_traced_everywhere_and_the_page_says_what_was_found(page: Page, racing: Racing) -> None:
    told = {"until": 2e9, "connections": 0, "note": "no connection of this player now", "missing": ["two"]}
    page.route("**/ops/api/trace*", lambda route: route.fulfill(json=told))
    one = fetch.get(f"{racing.server.http_url}/ops/api/replica").json()["replica"]
    open_view(page, racing, f"player/nobody?replica={one}")
    page.get_by_role("button", name="Trace…").click()
    page.get_by_label("Reason, for the log").fill("#42")
    with page.expect_request("**/ops/api/trace*") as asked:
        page.keyboard.press("Enter")
    assert asked.value.url.endswith("/trace"), "no replica is named: it is for all"
    expect(page.locator("#told")).to_contain_text("done. There is no connection of this player now. Not on two.")


@pytest.mark.parametrize(("place", "question"), [(row[1], row[0]) for row in documented()])
def test_the_page_has_each_view_that_the_document_names(page: Page, racing: Racing, place: str, question: str) -> None:
    there = place.removeprefix("#/").replace("ann", racing.ids[0]).replace("GAME", racing.game_id)
    page.evaluate("(hash) => { location.hash = hash; }", f"#/{there}")
    settle(page, there.replace("find/", "player/"))
    heading = page.locator("h1").inner_text()
    assert not heading.startswith(("There is no", "Not to be had", "It is not there")), question


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("production"), environment="production", ops_port=free_port()) as one:
        yield one


@pytest.fixture(scope="module")
def looker(browser: Browser, production: ServerProcess) -> Iterator[Page]:
    """The page of who comes from the machine itself, without a token."""
    with window(browser, f"http://127.0.0.1:{production.settings['OPS_PORT']}/ops/") as one:
        yield one


def test_who_may_look_alone_is_offered_nothing_to_do(looker: Page) -> None:
    expect(looker.locator("#access")).to_have_text("local may read")
    expect(looker.locator(".figures")).to_be_visible()
    expect(looker.locator("main").get_by_role("button")).to_have_count(0)


def test_a_replica_that_does_not_answer_is_said_to_and_is_found_again(looker: Page, production: ServerProcess) -> None:
    expect(looker.locator("#live")).to_have_attribute("data-state", "live")
    production.kill()
    expect(looker.locator("#live")).to_contain_text("has not answered since")
    expect(looker.locator(".figures")).to_be_visible()
    production.start()
    expect(looker.locator("#live")).to_have_attribute("data-state", "live")
