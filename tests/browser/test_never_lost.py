"""What a player meets in mid-race costs nobody the race: a reload, an outage, the end of a token, another window."""

import json
import re

import pytest
from playwright.sync_api import Browser, Error, Page, Route, ViewportSize, expect

from tests.browser.outage import KINDS, outage
from tests.browser.steps import DRAFT, enter, is_open, known, new_game, race
from tools.harness.browser import DESKTOP, PHONE, shoot, window
from tools.harness.player import SOLUTION, WRONG, Player
from tools.harness.server import ServerProcess
from tools.harness.slices import slice_of, today
from tools.harness.tokens import token

SIZE = slice_of((DESKTOP, PHONE), 2, today())[0]
"""Where a test has no `size`, as it is about no window, it has one on a day and the other on the next."""
UNSUPPORTED = "import heapq\n\ndef solve(numbers, limit):\n    return 0\n"


def test_a_reload_shows_what_there_was(browser: Browser, server: ServerProcess, size: ViewportSize) -> None:
    faults: list[str] = []
    with window(browser, new_game(server), faults, viewport=size) as page:
        race(page)
        page.locator("#code").fill(WRONG)
        page.get_by_role("button", name="Submit").click()
        expect(page.locator("#verdict")).to_contain_text("Wrong answer")
        page.locator("#code").fill(DRAFT)
        page.reload()
        is_open(page)
        expect(page.locator("#code")).to_have_value(DRAFT)
        expect(page.locator("#verdict")).to_contain_text("Wrong answer")
        expect(page.locator("#test-rows")).to_contain_text("failed")
        expect(page.locator("#try-list li")).to_have_count(1)
        expect(page.locator("#players li")).to_have_count(1)
        shoot(page, f"reloaded-{size['width']}")
        page.locator("#code").fill(SOLUTION)
        page.keyboard.press("Control+Enter")
        expect(page.locator("#winner")).to_have_text("You won!")
        page.reload()
        expect(page.locator("#winner")).to_have_text("You won!")
        expect(page.locator("#code")).to_have_value(SOLUTION)
        expect(page.locator("#try-list li")).to_have_count(2)
        shoot(page, f"looked-at-{size['width']}")
    assert [fault for fault in faults if "409" not in fault and "WebSocket" not in fault] == []


def test_what_is_written_outlives_a_browser_that_keeps_nothing(browser: Browser, server: ServerProcess) -> None:
    """Nor does one that is full, or forbids it, break the page; a race that was handed in comes from the server."""
    with window(browser, new_game(server), viewport=SIZE) as page:
        page.add_init_script("Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); }")
        page.reload()
        race(page)
        page.locator("#code").fill(SOLUTION)
        page.keyboard.press("Control+Enter")
        expect(page.locator("#winner")).to_have_text("You won!")
        page.add_init_script(
            "const get = () => { throw new DOMException('', 'SecurityError'); };"
            "for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get });"
            "window.BroadcastChannel = class { constructor() { throw new DOMException('', 'SecurityError'); } };"
        )
        page.goto(new_game(server))
        race(page)


def test_few_races_are_kept(browser: Browser, server: ServerProcess) -> None:
    with window(browser, new_game(server), viewport=SIZE) as page:
        old = [f"code-racer.race.{number}.p" for number in range(12)]
        page.evaluate("(keys) => keys.forEach((key, at) => localStorage.setItem(key, JSON.stringify({ at })))", old)
        race(page)
        assert page.evaluate("Object.keys(localStorage).length") == 8
        assert page.evaluate("localStorage.getItem('code-racer.race.11.p')")


def test_a_guest_stays_the_same_beyond_the_end_of_the_token(
    browser: Browser, server: ServerProcess, size: ViewportSize
) -> None:
    with window(browser, new_game(server), viewport=size) as page:
        guest = server.guest("Ann")
        short = token(guest["player_id"], 55, name="Ann")
        player = {"token": short, "playerId": guest["player_id"], "name": "Ann", "expiresAt": 0, "isGuest": True}
        tab = {"player": player, "gameId": page.url.partition("game=")[2]}
        page.evaluate("(tab) => sessionStorage.setItem('code-racer.tab', tab)", json.dumps(tab))
        page.reload()
        page.get_by_role("button", name="I am ready").click()
        expect(page.locator("#statement")).to_contain_text("First time over")
        server.wait_for_log("ws.authenticated", player_id=guest["player_id"], kind="refresh")
        expect(page.locator("#fresh")).to_be_hidden()
        kept = json.loads(page.evaluate("sessionStorage.getItem('code-racer.tab')"))["player"]
        assert (kept["playerId"], kept["token"] != short) == (guest["player_id"], True)
        page.reload()
        is_open(page)
        expect(page.locator("#players li")).to_have_count(1)


def test_a_token_that_ended_while_away_costs_no_guest_the_race(
    browser: Browser, server: ServerProcess, size: ViewportSize
) -> None:
    link = new_game(server, min_players=2)
    with window(browser, link, viewport=size) as page:
        enter(page)
        with Player(server, link.partition("game=")[2], token("bob")) as bob:
            bob.send("ready")
            expect(page.locator("#statement")).to_contain_text("First time over")
            page.locator("#code").fill(DRAFT)
            bob.send("submit_code", {"code": WRONG})
            bob.until("submission_judged")
            me = page.evaluate("JSON.parse(sessionStorage['code-racer.tab']).player.playerId")
            page.route("**/api/guests", lambda route: route.fulfill(status=404, body="<html>"), times=1)  # a gateway's
            end_token(page, token(me, -60, name="Ann"))
            is_open(page)
            expect(page.locator("#code")).to_have_value(DRAFT)
            rival = page.locator("#players li", has_text="bob")
            expect(rival).to_contain_text("3/8 tests, 1 tried")
            expect(rival.locator("progress")).to_have_js_property("value", 37)


def end_token(page: Page, spoiled: str) -> None:
    """Have the tab's player come back with another token."""
    page.evaluate(
        "(token) => { const tab = JSON.parse(sessionStorage['code-racer.tab']); tab.player.token = token;"
        " sessionStorage['code-racer.tab'] = JSON.stringify(tab); }",
        spoiled,
    )
    page.reload()


def test_what_was_written_stays_with_who_cannot_race_on(
    browser: Browser, server: ServerProcess, size: ViewportSize
) -> None:
    """The server has forgotten the guest, and a race that runs takes nobody new."""
    link = new_game(server, min_players=2)
    with window(browser, link, viewport=size) as page, Player(server, link[-36:], token("bob")) as bob:
        enter(page)
        bob.send("ready")
        expect(page.locator("#statement")).to_contain_text("First time over")
        page.locator("#code").fill(DRAFT)
        end_token(page, token("guest-forgotten", -20_000, name="Ann"))
        expect(page.locator("#card")).to_contain_text("The server does not know you any more")
        expect(page.get_by_label("What you wrote")).to_have_value(DRAFT)
        shoot(page, f"forgotten-{size['width']}")
        page.get_by_role("button", name="Join as a new player").click()
        page.get_by_role("button", name="Join", exact=True).click()
        expect(page.locator("#card")).to_contain_text("This race has begun without you")
        expect(page.get_by_label("What you wrote")).to_have_value(DRAFT)


def test_what_is_too_long_is_said_before_it_is_sent(browser: Browser, server: ServerProcess) -> None:
    with window(browser, new_game(server), viewport=SIZE) as page:
        race(page)
        fits = 65_536 - page.evaluate(
            "import('/submissions.js').then((it) => it.sizeOf({ code: '', language: 'python' }))"
        )
        code, submit = page.locator("#code"), page.get_by_role("button", name="Submit")
        code.fill("#" + "é" * (fits // 2 + 1))
        expect(page.locator("#verdict")).to_contain_text("Too long: 64.1 KiB")
        shoot(page, "too-long")
        submit.click()
        code.fill("#" * (fits + 1))
        page.keyboard.press("Control+Enter")
        expect(page.locator("#verdict")).to_contain_text("Too long")
        assert known(server, page)["players"][0]["attempts"] == 0
        code.fill("#" * fits)
        submit.click()
        expect(page.locator("#try-list li")).to_have_count(1)
        is_open(page)
        code.fill("   \n")
        submit.click()
        expect(page.locator("#verdict")).to_contain_text("nothing to hand in")
    assert server.metric("ws_closes_total", code="1009", reason="message_too_big", initiator="server") == 0


def test_what_was_handed_in_before_a_reload_in_an_outage_is_judged_once(
    browser: Browser, server: ServerProcess, size: ViewportSize
) -> None:
    link = new_game(server)
    with window(browser, link, viewport=size) as page:
        race(page)
        page.context.set_offline(True)
        page.locator("#code").fill(WRONG)
        page.get_by_role("button", name="Submit").click()
        expect(page.locator("#verdict")).to_contain_text("as soon as the connection is back")
        with pytest.raises(Error, match="ERR_INTERNET_DISCONNECTED"):
            page.reload()
        page.wait_for_url("chrome-error://**")
        page.context.set_offline(False)
        page.goto(link)
        expect(page.locator("#verdict")).to_contain_text("Wrong answer")
        expect(page.locator("#code")).to_have_value(WRONG)
        page.reload()
        expect(page.locator("#verdict")).to_contain_text("Wrong answer")
        assert known(server, page)["players"][0]["attempts"] == 1


def test_what_had_arrived_before_a_reload_unheard_is_not_handed_in_again(
    browser: Browser, server: ServerProcess
) -> None:
    """Of a verdict that costs no try, too, which the snapshot does not count; the next one like it costs one."""
    link = new_game(server)
    with window(browser, link, viewport=SIZE) as page:
        race(page)
        page.goto(f"{server.http_url}/client.d.ts")  # where nothing of the page runs
        mine = page.evaluate(
            "(code) => { const [key] = Object.keys(localStorage), kept = JSON.parse(localStorage[key]);"
            " localStorage[key] = JSON.stringify({ ...kept, sending: { code, id: 's1' } });"
            " return kept.player.token; }",
            UNSUPPORTED,
        )
        with Player(server, link.partition("game=")[2], mine) as elsewhere:
            elsewhere.send("submit_code", {"code": UNSUPPORTED}, id="s1")
            elsewhere.until("submission_judged")
        page.goto(link)
        expect(page.locator("#verdict")).to_contain_text("Not supported here")
        expect(page.get_by_role("button", name="Submit")).to_be_enabled()
        page.locator("#code").fill(WRONG)
        page.get_by_role("button", name="Submit").click()
        expect(page.locator("#verdict")).to_contain_text("Wrong answer")
        expect(page.locator("#try-list li")).to_have_count(2)
        expect(page.locator("#try-list")).to_have_js_property("start", 1)
        page.locator("#code").fill(UNSUPPORTED)
        page.get_by_role("button", name="Submit").click()
        expect(page.locator("#try-list li")).to_have_count(3)
        expect(page.locator("#players .what")).to_contain_text("2 tried")  # the first alone was free
        assert known(server, page)["players"][0]["attempts"] == 2


def test_what_is_answered_late_hides_no_verdict_that_came_meanwhile(browser: Browser, server: ServerProcess) -> None:
    held: list[Route] = []
    with window(browser, new_game(server), viewport=SIZE) as page:
        race(page)
        code, submit, tries = (
            page.locator("#code"),
            page.get_by_role("button", name="Submit"),
            page.locator("#try-list"),
        )
        code.fill(WRONG)
        submit.click()
        expect(page.locator("#verdict")).to_contain_text("Wrong answer")
        page.route("**/submissions/1", lambda route: held.append(route))  # noqa: PLW0108 - it is marked as a handler
        with page.expect_request("**/submissions/1"):
            page.reload()
        code.fill(UNSUPPORTED)
        submit.click()
        expect(page.locator("#verdict")).to_contain_text("Not supported here")
        (route,) = held
        route.fulfill(json={"attempt": 1, "language": "python", "code": WRONG, "submitted_at": "", "verdict": None})
        expect(tries.locator("li")).to_have_text(["Being judged…", re.compile("Not supported here")])
        expect(page.locator("#verdict")).to_contain_text("Not supported here")


def test_a_verdict_that_came_meanwhile_is_shown(browser: Browser, server: ServerProcess) -> None:
    """The visible tests are told to a connection that is there; who comes back asks for them."""
    link, eve = new_game(server), token("eve")
    with window(browser, f"{link}#token={eve}", viewport=SIZE) as page:
        page.get_by_role("button", name="I am ready").click()
        expect(page.locator("#statement")).to_contain_text("First time over")
        page.context.set_offline(True)
        expect(page.locator("#connection")).to_contain_text("connection lost")
        with Player(server, link.partition("game=")[2], eve) as elsewhere:
            elsewhere.send("submit_code", {"code": WRONG})
            elsewhere.until("submission_judged")
        page.context.set_offline(False)
        expect(page.locator("#verdict")).to_contain_text("Wrong answer")
        expect(page.locator("#test-rows")).to_contain_text("failed")


@pytest.mark.parametrize("kind", KINDS)
def test_two_minutes_without_the_service_cost_nobody_the_race(
    browser: Browser, server: ServerProcess, kind: str
) -> None:
    """The minutes are those of the page's clock; `make conformance-clients` sits through them."""
    with outage(kind, browser, server, is_sped=True) as one:
        one.begin()
        one.pass_by(60)
        one.hand_in()
        one.pass_by(60)
        one.end()
        one.pass_by(30)
        one.look()
