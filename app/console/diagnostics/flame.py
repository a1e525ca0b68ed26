"""A flame graph: a profile as a picture (SVG), each function as wide as it was seen often, above its caller.

The picture stands alone: no script, no style sheet, nothing from elsewhere. What is under the pointer is told in full
by its title.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Final

WIDTH: Final = 1200.0
ROW: Final = 18
_LETTER: Final = 7.0
_NARROWEST: Final = 0.5
"""Less wide is not drawn: nobody would see it."""
_MARGIN: Final = 10
_COLOURS: Final = ("#f2a541", "#f08a4b", "#f4b860", "#ee9b5c")
_OTHERS: Final = ("#8fb8de", "#9ec1a3", "#b8b8d1", "#a7c7e7")
_HEAD: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="100%" role="img"'
    ' font-family="ui-monospace, monospace" font-size="11" aria-label="{label}">\n'
    '<rect width="100%" height="100%" fill="#ffffff"/>\n'
    '<text x="{margin}" y="16" fill="#333333" font-size="13">{label}</text>\n'
)


@dataclass(slots=True)
class _Node:
    """A function, how often it was seen, and those it had called then."""

    name: str
    count: int = 0
    called: "dict[str, _Node]" = field(default_factory=dict)


def flame_graph(stacks: Mapping[tuple[str, ...], int], label: str) -> str:
    """Draw stacks, the outermost function first, with how often each was seen."""
    root = _tree(stacks)
    height = (_depth(root) + 1) * ROW + 3 * _MARGIN
    parts = [_HEAD.format(width=WIDTH + 2 * _MARGIN, height=height, label=escape(label), margin=_MARGIN)]
    if root.count:
        _draw(root, float(_MARGIN), height - _MARGIN - ROW, WIDTH / root.count, root.count, parts)
    return "".join((*parts, "</svg>\n"))


def _tree(stacks: Mapping[tuple[str, ...], int]) -> _Node:
    root = _Node("all")
    for stack, count in stacks.items():
        node = root
        node.count += count
        for name in stack:
            node = node.called.setdefault(name, _Node(name))
            node.count += count
    return root


def _depth(node: _Node) -> int:
    return 1 + max(map(_depth, node.called.values()), default=0)


def _draw(node: _Node, x: float, y: float, scale: float, all_of_them: int, parts: list[str]) -> None:
    width = node.count * scale
    share = f"{node.name}: {node.count} of {all_of_them} ({node.count / all_of_them:.1%})"
    letters = int((width - 6) / _LETTER)
    text = ""
    if letters > 2:  # noqa: PLR2004 - less says nothing
        name = node.name.rpartition(":")[2] if len(node.name) > letters else node.name
        shown = name if len(name) <= letters else f"{name[: letters - 1]}…"
        text = f'<text x="{x + 3:.1f}" y="{y + 13:.0f}" fill="#222222">{escape(shown)}</text>'
    parts.append(
        f'<g><title>{escape(share)}</title><rect x="{x:.1f}" y="{y:.0f}" width="{max(width - 0.5, 0.5):.1f}"'
        f' height="{ROW - 1}" rx="2" fill="{_colour(node.name)}"/>{text}</g>\n'
    )
    for name in sorted(node.called):
        called = node.called[name]
        if called.count * scale >= _NARROWEST:
            _draw(called, x, y - ROW, scale, all_of_them, parts)
        x += called.count * scale


def _colour(name: str) -> str:
    """Choose the same colour for the same function always: warm ones for our own."""
    colours = _COLOURS if name.startswith("app/") else _OTHERS
    return colours[sum(name.encode()) % len(colours)]
