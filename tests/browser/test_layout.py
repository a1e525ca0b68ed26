"""What players of one race see, on a desktop and on a phone: one walk through it, and what was seen at each step."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, WebSocket, expect

from tests.browser.steps import new_game
from tools.harness.browser import DESKTOP, PHONE, overflow, shoot, window
from tools.harness.player import SOLUTION, WRONG, Player
from tools.harness.server import ROOT, ServerProcess
from tools.harness.tokens import token

AXE = ROOT / "tests/node/node_modules/axe-core/axe.min.js"
COMMENTS = "# think\n" * 12
UNSUPPORTED = "import heapq\ndef solve(numbers, limit):\n    return 0"
IN_VIEW = """(names) => names.filter((name) => {
    const box = document.getElementById(name).getBoundingClientRect();
    return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight;
})"""


NOT_SEEN = """() => {
    const all = [...document.querySelectorAll('#clock, #players .name, #players .what, #players progress')];
    return all.filter((one) => {
        const { left, top, right, bottom } = one.getBoundingClientRect();
        const corners = [[left, top], [right - 2, top], [left, bottom - 2], [right - 2, bottom - 2]];
        return !corners.every(([x, y]) => one.contains(document.elementFromPoint(x + 1, y + 1)));
    }).map((one) => one.outerHTML);
}"""
"""What of the standing cannot be seen in the window: it is outside of it, cut off, or covered."""
CUT_OFF_BY_A_NINTH = """() => {
    const all = document.getElementById('players'), ninth = all.firstChild.cloneNode(true);
    all.append(ninth);
    const { bottom } = all.getBoundingClientRect();
    const boxes = [...all.children].map((one) => one.getBoundingClientRect());
    ninth.remove();
    return boxes.filter((box) => box.top < bottom && box.bottom > bottom).length;
}"""
"""How many players of nine are seen in part."""
NARROW: ViewportSize = {"width": 320, "height": 568}


@dataclass
class Seen:
    """What was seen on the walk, by step."""

    violations: dict[str, list[str]] = field(default_factory=dict)
    focus: dict[str, str] = field(default_factory=dict)
    in_view: dict[str, list[str]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    bars: dict[str, float] = field(default_factory=dict)
    percents: list[int] = field(default_factory=list)

    def look(self, step: str, *pages: Page) -> None:
        """Have axe look at pages, the colours of each scheme included, and note where the focus is."""
        for page in pages:
            width = page.evaluate("innerWidth")
            where = f"{step}, {width} wide"
            self.focus[where] = page.evaluate("document.activeElement.id || document.activeElement.tagName")
            found = []
            for scheme, rules in (("dark", {"runOnly": ["color-contrast"]}), ("light", {})):
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of its words
                found += page.evaluate("(rules) => axe.run(document, rules)", rules)["violations"]
                shoot(page, f"{step.replace(' ', '-')}-{width}-{scheme}")
            self.violations[where] = [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


def sent_percents(socket: WebSocket, percents: list[int]) -> None:
    def note(frame: str | bytes) -> None:
        message = json.loads(frame)
        if message["type"] == "progress":
            percents.append(message["data"]["percent"])

    socket.on("framesent", note)


def walk(server: ServerProcess, ann: Page, bob: Page) -> Seen:
    """Two players of one name and a third race: the one on the desktop wins."""
    seen = Seen()
    link = meet(seen, ann, bob)
    with Player(server, link.rpartition("=")[2], server.guest("Lee")["token"], max_queue=None) as lee:
        lee.send("ready")
        bob.goto(link)
        gather(seen, ann, bob)
        race(seen, ann, bob)
    return seen


def meet(seen: Seen, ann: Page, bob: Page) -> str:
    """Both look at the page, and one makes a game; return its link."""
    bob.on("websocket", lambda socket: sent_percents(socket, seen.percents))
    for page in (ann, bob):
        page.evaluate(AXE.read_text())
    seen.look("start", ann, bob)
    ann.get_by_label("Your name").fill("Kim")
    ann.locator("#problem").select_option("running-total")
    ann.get_by_role("button", name="Create a game").click()
    link = ann.get_by_label("Link to this game")
    expect(link).to_have_value(re.compile("game="))
    return link.input_value()


def gather(seen: Seen, ann: Page, bob: Page) -> None:
    """The other comes in, and all are ready."""
    bob.evaluate(AXE.read_text())
    bob.get_by_label("Your name").fill("Kim")
    bob.keyboard.press("Enter")
    for page in (ann, bob):
        expect(page.locator("#players li")).to_have_count(3)
    seen.look("room", ann, bob)
    seen.texts["names for ann"], seen.texts["names for bob"] = (
        " / ".join(page.locator("#players .name").all_inner_texts()) for page in (ann, bob)
    )
    for page in (ann, bob):
        page.get_by_role("button", name="I am ready").click()
    for page in (ann, bob):
        expect(page.locator("#code")).to_be_focused()


def race(seen: Seen, ann: Page, bob: Page) -> None:
    """One on the phone tries this and that; the other solves it."""
    kim = ann.locator("#players li", has_text="Kim (2)")
    rival, bar = kim.locator(".what"), kim.locator("progress")
    bob.locator("#code").fill(COMMENTS)
    expect(rival).to_contain_text("lines")
    seen.texts["rival writes"], seen.bars["rival writes"] = rival.inner_text(), bar.evaluate("(one) => one.value")
    bob.locator("#code").fill(UNSUPPORTED)
    bob.get_by_role("button", name="Submit").click()
    expect(bob.locator("#verdict")).to_contain_text("Not supported")
    seen.texts["unsupported"] = rival.inner_text()
    bob.locator("#code").fill(WRONG)
    bob.get_by_role("button", name="Submit").click()
    expect(bob.locator("#verdict")).to_contain_text("Wrong answer")
    expect(rival).to_contain_text("tried")
    seen.texts["wrong"], seen.bars["wrong"] = rival.inner_text(), bar.evaluate("(one) => one.value")
    seen.texts["order for ann"] = " / ".join(ann.locator("#players .name").all_inner_texts())
    seen.look("judged", ann, bob)
    for page, name in ((ann, "desktop"), (bob, "phone")):
        page.locator("#code").focus()
        page.evaluate("scrollTo(0, 0)")
        page.locator("#code").fill(WRONG)
        page.keyboard.press("Control+Enter")
        expect(page.locator("#verdict")).to_contain_text("Wrong answer")
        seen.in_view[f"{name}, judged"] = page.evaluate(IN_VIEW, ["verdict"])
        for where in ("top", "bottom"):
            page.evaluate(f"scrollTo(0, {0 if where == 'top' else 'document.body.scrollHeight'})")
            seen.in_view[f"{name}, at the {where}"] = page.evaluate(IN_VIEW, ["clock", "players"])

    bob.locator("#code").focus()
    ann.locator("#code").fill(SOLUTION)
    ann.keyboard.press("Control+Enter")
    for page in (ann, bob):
        expect(page.locator("#winner")).to_be_visible()
    for page, name in ((ann, "winner"), (bob, "loser")):
        seen.in_view[name] = page.evaluate(IN_VIEW, ["winner", "own-place", "ranks"])
        seen.texts[name] = page.locator("#told").inner_text()
    seen.look("end", ann, bob)


@pytest.fixture(scope="module")
def seen(browser: Browser, server: ServerProcess) -> Iterator[Seen]:
    with (
        window(browser, f"{server.http_url}/", viewport=DESKTOP) as ann,
        window(browser, f"{server.http_url}/", viewport=PHONE, has_touch=True) as bob,
    ):
        yield walk(server, ann, bob)


def test_axe_finds_nothing_at_any_step_in_either_scheme(seen: Seen) -> None:
    assert len(seen.violations) == 8
    assert {step: found for step, found in seen.violations.items() if found} == {}


def test_the_focus_never_falls_to_nothing(seen: Seen) -> None:
    """What had it has gone (the lobby, the editor's room to write), or does nothing for now (Submit)."""
    steps = {"start": "name", "room": "room-title", "judged": "code", "end": "winner"}
    desktop = {f"{step}, {DESKTOP['width']} wide": where for step, where in steps.items()}
    phone = {f"{step}, {PHONE['width']} wide": where for step, where in (steps | {"judged": "submit"}).items()}
    assert seen.focus == desktop | phone


@pytest.mark.parametrize(
    "where", ["desktop, at the top", "desktop, at the bottom", "phone, at the top", "phone, at the bottom"]
)
def test_clock_and_rivals_are_always_in_sight(seen: Seen, where: str) -> None:
    assert seen.in_view[where] == ["clock", "players"]


@pytest.mark.parametrize("where", ["desktop", "phone"])
def test_what_the_judge_says_is_in_view_of_who_hands_in_by_the_keyboard(seen: Seen, where: str) -> None:
    assert seen.in_view[f"{where}, judged"] == ["verdict"]


@pytest.mark.parametrize("who", ["winner", "loser"])
def test_the_result_is_in_view_of_both_without_scrolling(seen: Seen, who: str) -> None:
    assert seen.in_view[who] == ["winner", "own-place", "ranks"]


def test_the_end_is_told_to_screen_readers(seen: Seen) -> None:
    assert seen.texts["winner"] == (
        "The race is over. You won! You are number 1 of 3, with all tests passed in 2 tries."
    )
    assert seen.texts["loser"] == (
        "The race is over. Kim (1) won. You are number 2 of 3, with 3 tests passed in 2 tries."
    )


def test_two_players_of_one_name_can_be_told_apart(seen: Seen) -> None:
    assert seen.texts["names for ann"] == "Kim (1) (you) / Lee / Kim (2)"
    assert seen.texts["names for bob"] == "Kim (1) / Lee / Kim (2) (you)"


def test_in_a_race_who_is_ahead_is_on_top_below_oneself(seen: Seen) -> None:
    """A phone shows the first few."""
    assert seen.texts["order for ann"] == "Kim (1) (you) / Kim (2) / Lee"


def test_progress_is_tests_that_passed_and_no_lines_of_comments(seen: Seen) -> None:
    assert (seen.texts["rival writes"], seen.bars["rival writes"]) == ("writing, 12 lines", 0)
    assert (seen.texts["wrong"], seen.bars["wrong"]) == ("3/8 tests, 1 tried", 37)
    assert set(seen.percents) <= {0, 37}, "as other clients are told"


def test_what_costs_no_try_is_not_counted_as_one(seen: Seen) -> None:
    assert seen.texts["unsupported"].startswith("writing")


def test_seven_rivals_are_all_in_sight_while_one_writes(browser: Browser, server: ServerProcess) -> None:
    """As many as a race takes unless its maker wants more; on a small phone too, and wherever one has scrolled to."""
    link = new_game(server)
    with ExitStack() as stack:
        page = stack.enter_context(window(browser, link, viewport=PHONE, has_touch=True))
        page.get_by_label("Your name").fill("Ann")
        page.keyboard.press("Enter")
        rivals = [
            stack.enter_context(
                Player(server, link[-36:], token(f"rival-{at}", name=f"Rival the {at}th of seven"), max_queue=None)
            )
            for at in range(7)
        ]
        expect(page.locator("#players li")).to_have_count(8)
        for rival in rivals:
            rival.send("ready")
        page.get_by_role("button", name="I am ready").click()
        expect(page.locator("#code")).to_be_focused()
        rivals[0].send("submit_code", {"code": WRONG})
        rivals[1].send("progress", {"lines": 12, "percent": 0})
        expect(page.locator("#players")).to_contain_text("3/8")
        expect(page.locator("#players")).to_contain_text("writing")
        shoot(page, "seven-rivals")
        for size in (PHONE, NARROW, DESKTOP):
            page.set_viewport_size(size)
            for where in ("0", "document.body.scrollHeight"):
                page.evaluate(f"scrollTo(0, {where})")
                assert page.evaluate(NOT_SEEN) == [], f"{size}, scrolled to {where}"
            assert overflow(page) <= 0
        texts = page.locator("#players .name").all_inner_texts()
        assert len(set(texts)) == 8
        for size in (PHONE, NARROW):
            page.set_viewport_size(size)
            assert page.evaluate(CUT_OFF_BY_A_NINTH) == 2, "which tells that there are more"


def test_copied_is_said_only_where_something_was_copied(browser: Browser, server: ServerProcess) -> None:
    allowed = ["clipboard-read", "clipboard-write"]
    with window(browser, f"{server.http_url}/", permissions=allowed) as page:
        page.get_by_label("Your name").fill("Ann")
        page.keyboard.press("Enter")
        link, copied, copy = page.locator("#link"), page.locator("#copied"), page.get_by_role("button", name="Copy")
        copy.click()
        expect(copied).to_have_text("Copied.")
        assert page.evaluate("navigator.clipboard.readText()") == link.input_value()

        page.evaluate("navigator.clipboard.writeText('before')")
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })")
        copy.click()
        expect(copied).to_have_text("Copied.")
        page.evaluate("delete navigator.clipboard")
        assert page.evaluate("navigator.clipboard.readText()") == link.input_value(), "the old way, without TLS"

        page.evaluate(
            "void (navigator.clipboard.writeText = () => Promise.reject(new DOMException('', 'NotAllowedError')))"
        )
        page.evaluate("void (document.execCommand = () => false)")
        copy.click()
        expect(copied).to_have_text("It is selected: copy it from there.")
        assert page.evaluate("getSelection().toString()") == link.input_value()
