"""The operators' page, served by one worker of two: what is the other's is shown and acted on as if it were its own."""

import json
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from app.workers import Share
from tools.harness import fetch
from tools.harness.browser import window
from tools.harness.player import Player
from tools.harness.server import until
from tools.harness.workers import WORKERS, Supervised

THE_OTHER: Final = 1
"""The page is of the first, whose number among shares is 0."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    with Supervised(tmp_path_factory.mktemp("workers"), replica="pair") as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, service: Supervised) -> Iterator[Page]:
    with window(browser, f"{service.worker_url(1)}/ops/") as one:
        yield one


def go_to(page: Page, view: str) -> None:
    page.evaluate("(hash) => { location.hash = hash; }", f"#/{view}")
    expect(page.locator("main")).to_have_attribute("data-place", f"#/{view}")


def game_of_the_other(service: Supervised, token: str) -> str:
    game_id = service.new_game(token)
    while Share(0, WORKERS).owner(game_id) != THE_OTHER:
        game_id = service.new_game(token)
    return game_id


def look_at(page: Page, replica: str) -> None:
    """Choose whose lists are shown."""
    page.get_by_label("Replica").select_option(replica)


def act(page: Page, button: str, verb: str) -> None:
    page.get_by_role("button", name=button).first.click()
    page.get_by_label("Reason, for the log").fill(f"to {verb.lower()}")
    page.keyboard.press("Enter")
    expect(page.locator("#told")).to_contain_text("done.")


@pytest.mark.parametrize("chosen", ["", "?replica=pair-1", "?replica=all"])
def test_a_game_of_another_worker_is_found_shown_and_acted_on(page: Page, service: Supervised, chosen: str) -> None:
    """From a link that does not say whose it is, and where the first worker is looked at; and the list says who did."""
    ann, bob = (service.guest(name) for name in ("Ann", "Bob"))
    game_id = game_of_the_other(service, ann["token"])
    with Player(service, game_id, ann["token"]) as first, Player(service, game_id, bob["token"]) as second:
        for one in (first, second):
            one.until("welcome")
        page.evaluate("(hash) => { location.hash = hash; }", f"#/find/{game_id}{chosen}")
        expect(page.get_by_role("heading", name=game_id)).to_be_visible()
        go_to(page, f"game/{game_id}{chosen}")
        expect(page.locator(".timeline").last).to_contain_text("player joined")
        expect(page.locator("main .problem")).to_have_count(0)
        act(page, "Remove…", "Remove")
        assert first.until_closed()[0] == 4403
        act(page, "End it…", "End it")
        second.until("game_finished")
    go_to(page, "changes")
    rows = page.locator("tbody tr")
    expect(rows.nth(0)).to_contain_text("to end it")
    expect(rows.nth(0)).to_contain_text("pair-2")
    expect(rows.nth(1)).to_contain_text("to remove")
    expect(page.locator("main .warning")).to_have_count(0)


def test_lists_are_of_all_workers_until_one_is_chosen(page: Page, service: Supervised) -> None:
    """As the commands of docs/console.md are, which stand in the row of the same question."""
    ann = service.guest("Ann")
    rows, sees_her = page.locator("tbody tr"), f"?player={ann['player_id']}"
    with Player(service, game_of_the_other(service, ann["token"]), ann["token"]) as player:
        player.until("welcome")
        go_to(page, f"connections{sees_her}")
        expect(rows).to_contain_text(["pair-2"])
        expect(page.get_by_label("Replica").locator("option:checked")).to_have_text("all in lists, else pair-1")
        look_at(page, "pair-1")
        expect(page.locator("main")).to_contain_text("No connection is like that.")
        expect(page.locator("#live-text")).to_have_text("live")
        look_at(page, "pair-2")
        rows.get_by_role("link", name="Ann").click()
        expect(page.get_by_role("heading", name="Connection of Ann")).to_be_visible()
    until(lambda: fetch.get(f"{service.worker_url(2)}/ops/api/closes{sees_her}").json()["rows"])
    go_to(page, f"closes{sees_her}")
    expect(rows).to_contain_text(["pair-2"])
    look_at(page, "pair-1")
    expect(page.locator("main")).to_contain_text("None of this player.")
    expect(page.locator("main .hint").first).to_have_text("The last 200 of pair-1, the newest first.")


def test_bans_come_page_by_page(page: Page, service: Supervised) -> None:
    for one in range(51):
        url = f"{service.worker_url(1)}/ops/api/bans/player-{one}"
        assert fetch.request("PUT", url, json={"reason": "a test"}).is_success
    rows = page.locator("tbody tr")
    go_to(page, "bans")
    expect(rows).to_have_count(50)
    page.get_by_role("link", name="Next").click()
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="Previous").click()
    expect(rows).to_have_count(50)


def test_who_is_missing_among_what_was_done_is_said(page: Page) -> None:
    def without_the_other(route: Route) -> None:
        told = route.fetch()
        route.fulfill(response=told, body=json.dumps(told.json() | {"missing": ["pair-2"]}))

    page.route("**/ops/api/actions*", without_the_other)
    go_to(page, "changes?replica=all")
    expect(page.locator("main .warning")).to_have_text("Without pair-2, which does not answer.")
