"""Markdown as HTML that holds no HTML of its own.

Links lead to http(s) alone, or to another runbook; of others, and of images, the words are left.
"""

import re
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore

_COMMENT: Final = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_RUNBOOK: Final = re.compile(r"([A-Za-z0-9]+)\.md(?:#[\w-]*)?")


def rendered(text: str) -> str:
    """Make HTML of Markdown; comments are left out."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.core.ruler.push("lead_to_few_places", _lead_to_few_places)
    html: str = markdown.render(_COMMENT.sub("", text))
    return html


def _lead_to_few_places(state: StateCore) -> None:
    target = ""
    for token in (one for block in state.tokens for one in block.children or ()):
        if token.type == "link_open":
            target = _target(str(token.attrs["href"]))
            token.attrs = {"href": target}
        if token.type == "image" or (token.type in {"link_open", "link_close"} and not target):
            token.type = "text"  # an image's holds its description, an end of a link nothing


def _target(href: str) -> str:
    if runbook := _RUNBOOK.fullmatch(href):
        return f"#/alerts?runbook={runbook[1]}"
    return href if href.startswith(("https://", "http://")) else ""
