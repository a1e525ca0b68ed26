"""The README is short, and no link of a document leads nowhere."""

import re
from pathlib import Path

import pytest

from tests.docs.commands import DOCUMENTS, RUNBOOKS
from tools.harness.server import ROOT

MOST_LINES = 120
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """What its headings are called in links, as GitHub makes it."""
    names = _HEADING.findall(_BLOCK.sub("", document.read_text("utf-8")))
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", name).lower()).replace(" ", "-")
        for name in names
    }


def dead_links(document: Path) -> list[str]:
    """The links to files, folders and headings that are not there."""
    dead = []
    for target, anchor in _LINK.findall(_BLOCK.sub("", document.read_text("utf-8"))):
        path = (document.parent / target) if target else document
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            dead.append(f"{target}#{anchor}" if anchor else target)
    return dead


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("document", [*DOCUMENTS, *RUNBOOKS], ids=lambda document: document.name)
def test_no_link_leads_nowhere(document: Path) -> None:
    assert dead_links(document) == []


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# Here it is\n\n```sh\n# no heading\n```\n")
    document = tmp_path / "README.md"
    document.write_text("[a](there.md) [b](there.md#here-it-is) [c](gone.md) [d](there.md#no-heading) [e](https://x)")
    assert dead_links(document) == ["gone.md", "there.md#no-heading"]


def test_every_document_is_in_the_index() -> None:
    listed = {target for target, _ in _LINK.findall((ROOT / "docs/README.md").read_text("utf-8"))}
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - listed == {"README.md"}
