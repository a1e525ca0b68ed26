"""The runbooks of the alerts, as HTML: as much of Markdown as they are written in, and no HTML of their own.

Whatever is text is escaped; links lead to http(s) alone, or to another runbook.
"""

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

_IN_CHECKOUT: Final = Path(__file__).parents[2] / "alerts/runbooks"
_IN_WHEEL: Final = Path(__file__).parent / "runbooks"
_COMMENT: Final = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_FENCE: Final = re.compile(r"( *)```")
_HEADING: Final = re.compile(r"(#{1,4}) (.+)")
_ITEM: Final = re.compile(r"- (.+)")
_RULE: Final = re.compile(r"\|[\s:|-]+\|")
_INLINE: Final = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^()\s]+(?:\([^()\s]*\))?[^()\s]*)\)")
_OTHER: Final = re.compile(r"([A-Za-z0-9]+)\.md(?:#[\w-]*)?")


class Runbook(Struct, frozen=True):
    """One runbook as HTML of headings, paragraphs, lists, tables, code and links."""

    alert: str
    html: str


class Runbooks:
    """Knows the runbooks by the names of their alerts; each is read when it is asked for."""

    def __init__(self) -> None:
        folder = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
        self._files = {path.stem: path for path in sorted(folder.glob("*.md"))}
        self.names = frozenset(self._files)

    def show(self, alert: str) -> Runbook | None:
        """Show the runbook of an alert; None where there is none."""
        file = self._files.get(alert)
        return None if file is None else Runbook(alert, rendered(file.read_text("utf-8")))


def rendered(text: str) -> str:
    """Make HTML of Markdown."""
    return "\n".join(_blocks(_COMMENT.sub("", text).splitlines()))


def _blocks(lines: list[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif fence := _FENCE.match(line):
            end = next((one for one in range(at + 1, len(lines)) if lines[one].strip() == "```"), len(lines))
            yield _code(lines[at + 1 : end], len(fence[1]))
            at = end + 1
        elif heading := _HEADING.fullmatch(line):
            yield f"<h{len(heading[1])}>{_inline(heading[2])}</h{len(heading[1])}>"
            at += 1
        elif _ITEM.match(line):
            end = _end_of_list(lines, at)
            yield f"<ul>{''.join(_items(lines[at:end]))}</ul>"
            at = end
        elif line.startswith("|"):
            end = next((one for one in range(at, len(lines)) if not lines[one].startswith("|")), len(lines))
            yield _table(lines[at:end])
            at = end
        else:
            end = next((one for one in range(at + 1, len(lines)) if _begins_other(lines[one])), len(lines))
            yield f"<p>{_inline(' '.join(map(str.strip, lines[at:end])))}</p>"
            at = end


def _begins_other(line: str) -> bool:
    return not line.strip() or bool(_FENCE.match(line) or _HEADING.fullmatch(line) or _ITEM.match(line))


def _end_of_list(lines: list[str], at: int) -> int:
    """Find where a list ends: at the first line that is no item and does not belong to one."""
    for number in range(at + 1, len(lines)):
        line = lines[number]
        if line.strip() and not line.startswith("  ") and not _ITEM.match(line):
            return number
    return len(lines)


def _items(lines: list[str]) -> Iterator[str]:
    item: list[str] = []
    for line in lines:
        if (begun := _ITEM.match(line)) is not None:
            if item:
                yield _item(item)
            item = [begun[1]]
        else:
            item.append(line.removeprefix("  "))
    if item:
        yield _item(item)


def _item(lines: list[str]) -> str:
    first, *more = lines
    return f"<li>{_inline(first)}{''.join(_blocks(more))}</li>"


def _code(lines: list[str], indent: int) -> str:
    return f"<pre><code>{html.escape(chr(10).join(line[indent:] for line in lines))}</code></pre>"


def _table(lines: list[str]) -> str:
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if not _RULE.fullmatch(line)
    ]
    head, *body = ["".join(f"<{kind}>{_inline(cell)}</{kind}>" for cell in row) for kind, row in _kinds(rows)]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in body)}</tbody></table>"


def _kinds(rows: list[list[str]]) -> Iterator[tuple[str, list[str]]]:
    for number, row in enumerate(rows):
        yield "td" if number else "th", row


def _inline(text: str) -> str:
    made, at = [], 0
    for found in _INLINE.finditer(text):
        made += [html.escape(text[at : found.start()]), _made(found)]
        at = found.end()
    return "".join((*made, html.escape(text[at:])))


def _made(found: re.Match[str]) -> str:
    code, strong, shown, target = found.groups()
    if code is not None:
        return f"<code>{html.escape(code)}</code>"
    if strong is not None:
        return f"<strong>{_inline(strong)}</strong>"
    if other := _OTHER.fullmatch(target):
        target = f"#/alerts?runbook={other[1]}"
    elif not target.startswith(("https://", "http://")):
        return _inline(shown)
    return f'<a href="{html.escape(target)}">{_inline(shown)}</a>'
