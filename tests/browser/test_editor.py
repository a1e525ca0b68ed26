"""The editor: lines are indented and outdented, all of it can be undone, and the keyboard alone leads out again."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tools.harness.browser import window
from tools.harness.server import ServerProcess

CODE = "def solve(x):\n    if x:\n        return 1\n\n    return 2"
SELECTION = "[...['selectionStart', 'selectionEnd'].map((end) => document.getElementById('code')[end])]"


@pytest.fixture(scope="module")
def editor(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    """A race of one, in which there is an editor."""
    with window(browser, f"{server.http_url}/") as page:
        page.get_by_label("Your name").fill("Ann")
        page.locator("#min-players").fill("1")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="I am ready").click()
        expect(page.locator("#code")).to_be_focused()
        yield page


def write(page: Page, code: str, selected: str) -> None:
    """Have this code in the editor, and select what stands so in it; a | is where the caret is."""
    page.locator("#code").fill(code)
    at = code.index(selected.replace("|", "")) + selected.find("|") if "|" in selected else code.index(selected)
    end = at if "|" in selected else at + len(selected)
    page.evaluate(f"document.getElementById('code').setSelectionRange({at}, {end})")


@pytest.mark.parametrize(
    ("selected", "key", "after"),
    [
        (CODE, "Tab", "    def solve(x):\n        if x:\n            return 1\n\n        return 2"),
        (CODE, "Shift+Tab", "def solve(x):\nif x:\n    return 1\n\nreturn 2"),
        ("f x:\n        ret", "Tab", "def solve(x):\n        if x:\n            return 1\n\n    return 2"),
        ("f x:\n        ret", "Shift+Tab", "def solve(x):\nif x:\n    return 1\n\n    return 2"),
        ("    if x:\n", "Tab", "def solve(x):\n        if x:\n        return 1\n\n    return 2"),
        ("turn 1", "Tab", "def solve(x):\n    if x:\n            return 1\n\n    return 2"),
        ("return| 2", "Shift+Tab", "def solve(x):\n    if x:\n        return 1\n\nreturn 2"),
        ("|def", "Shift+Tab", CODE),
        ("if| x", "Tab", "def solve(x):\n    if     x:\n        return 1\n\n    return 2"),
        ("if x:|", "Enter", "def solve(x):\n    if x:\n        \n        return 1\n\n    return 2"),
    ],
)
def test_a_key_changes_the_lines_that_are_selected_and_is_undone_at_once(
    editor: Page, selected: str, key: str, after: str
) -> None:
    write(editor, CODE, selected)
    editor.keyboard.press(key)
    expect(editor.locator("#code")).to_have_value(after)
    expect(editor.locator("#lines")).to_have_text("\n".join(str(one + 1) for one in range(after.count("\n") + 1)))
    if after != CODE:
        editor.keyboard.press("Control+z")
        expect(editor.locator("#code")).to_have_value(CODE)
    expect(editor.locator("#code")).to_be_focused()


def test_lines_stay_selected_so_that_the_key_can_be_pressed_again(editor: Page) -> None:
    write(editor, CODE, "f x:\n        ret")
    for key in ("Tab", "Tab", "Shift+Tab", "Shift+Tab"):
        editor.keyboard.press(key)
    expect(editor.locator("#code")).to_have_value(CODE)
    assert editor.evaluate(SELECTION) == [CODE.index("    if"), CODE.index("\n\n")]
    write(editor, "\n    x", "    x|")
    editor.keyboard.press("Shift+Tab")
    assert editor.evaluate(SELECTION) == [2, 2], "the caret stays where it is in the line"


@pytest.mark.parametrize(("key", "where"), [("Tab", "submit"), ("Shift+Tab", "leave")])
def test_escape_and_then_tab_leaves_the_editor_either_way(editor: Page, key: str, where: str) -> None:
    write(editor, CODE, "if| x")
    editor.keyboard.press("Escape")
    editor.keyboard.press(key)
    expect(editor.locator(f"#{where}")).to_be_focused()
    expect(editor.locator("#code")).to_have_value(CODE)
    expect(editor.locator("#code")).to_have_accessible_description(re.compile("Escape and then Tab leaves the editor"))


def test_who_comes_back_or_types_on_indents_again(editor: Page) -> None:
    write(editor, CODE, "|def")
    for key in ("Escape", "x", "Backspace", "Tab"):
        editor.keyboard.press(key)
    expect(editor.locator("#code")).to_have_value("    " + CODE)
    editor.keyboard.press("Escape")
    editor.locator("#submit").focus()
    write(editor, CODE, "|def")
    editor.keyboard.press("Tab")
    expect(editor.locator("#code")).to_have_value("    " + CODE)


def test_a_key_that_belongs_to_an_input_method_is_not_the_editor_s(editor: Page) -> None:
    """Enter takes what was composed, in Korean for one; it begins no line."""
    write(editor, CODE, "|def")
    kept = editor.evaluate(
        "() => document.getElementById('code').dispatchEvent("
        "new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, cancelable: true }))"
    )
    assert kept, "not prevented"
    expect(editor.locator("#code")).to_have_value(CODE)
