"""The commands of the documents: blocks for a shell, each an example that a test runs, or marked with why none does.

What could pass unseen is a fault: a fence that is not read, a language that is not known, a command where only text is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.harness.server import ROOT

RUNBOOKS: Final = tuple(sorted((ROOT / "alerts/runbooks").glob("*.md")))
"""Each of their blocks is run by a test that runs them all."""
DOCUMENTS: Final = tuple(
    document
    for pattern in ("*.md", "docs/**/*.md", "alerts/*.md", "dashboards/**/*.md", "deploy/**/*.md")
    for document in sorted(ROOT.glob(pattern))
    if document.name != "CHANGELOG.md"
)
"""All others for people who type commands; the changelog tells what was."""
SHELLS: Final = {"sh", "bash"}
OTHERS: Final = {"ini", "javascript", "json", "mermaid", "nginx", "promql", "python", "text", "yaml"}
_BLOCK: Final = re.compile(
    r"(?:^<!-- (example|not run): (.+?) -->\n)?^([ ]*)```(\w*)\n(.*?)^\3```$", re.DOTALL | re.MULTILINE
)
_FENCE: Final = re.compile(r"^[ >]*(?:```|~~~)", re.MULTILINE)
_INLINE: Final = re.compile(r"(?<!`)`((?:[^`\n]|\n(?!\n))+)`(?!`)")
_PROGRAM: Final = (
    r"(?:\$ )?(?:sudo |[A-Z_]+=\S+ )*"
    r"(?:amtool|apt|apt-get|bash|cp|curl|docker|git|helm|jq|journalctl|kill|kubectl|make|mv|nats|nginx|node|npm|npx"
    r"|openssl|pip|pipx|promtool|pytest|python3?|rm|sh|sqlite3|ssh|sysctl|systemctl|tar|ulimit|uv|uvx|wget"
    r"|(?:\S+/)?code-racer|\.venv/bin/\S+)"
)
_COMMAND: Final = re.compile(rf"{_PROGRAM} \S")
_INDENTED: Final = re.compile(rf"\n\n(?: {{4,}}|\t+){_PROGRAM} \S")
_HTML: Final = re.compile(r"<(?:pre|code)\b")


@dataclass(frozen=True)
class Block:
    """Code of a document, in a language; `name` is the example's, `reason` why none runs it."""

    document: Path
    language: str
    code: str
    name: str | None
    reason: str | None

    def __str__(self) -> str:
        """Where it is, and its first line."""
        return f"{self.document.name}: {(self.code.splitlines() or ['nothing'])[0]}"


def blocks(document: Path) -> list[Block]:
    """All blocks of code of a document."""
    return [
        Block(document, language, code, text if kind == "example" else None, text if kind == "not run" else None)
        for kind, text, _, language, code in _BLOCK.findall(document.read_text("utf-8"))
    ]


def examples(document: Path) -> dict[str, str]:
    """The commands of a document that are run, by name."""
    return {block.name: block.code for block in blocks(document) if block.name and block.language in SHELLS}


def in_sentences(document: Path) -> list[str]:
    """The commands that stand in a sentence, each on one line."""
    spans = (" ".join(span.split()) for span in _INLINE.findall(_BLOCK.sub("", document.read_text("utf-8"))))
    return [span for span in spans if _COMMAND.match(span)]


def faults(document: Path) -> list[str]:
    """Where a command stands that no test runs, though nothing says why, or could stand unseen."""
    return list(_faults(document))


def _faults(document: Path) -> Iterator[str]:
    text = document.read_text("utf-8")
    found = blocks(document)
    if len(_FENCE.findall(text)) != 2 * len(found):
        yield f"{document.name}: a fence that begins or ends no block; write ```LANGUAGE, alone on its line"
    if _HTML.search(text) or _INDENTED.search(_BLOCK.sub("", text)):
        yield f"{document.name}: a command outside of a block; write it between fences"
    run = _names_in_tests(document)
    for block in found:
        if block.language not in SHELLS | OTHERS:
            yield f"{block}: of no language that is known"
        elif block.language not in SHELLS:
            if block.language == "text" and any(_COMMAND.match(line.strip()) for line in block.code.splitlines()):
                yield f"{block}: a command that is called text; write ```sh"
        elif block.name is None and block.reason is None:
            yield f"{block}: mark it: <!-- example: NAME --> with a test, or <!-- not run: WHY -->"
        elif block.name is not None and block.name not in run:
            yield f"{block}: no test that reads {document.name} takes the example {block.name}"


def _names_in_tests(document: Path) -> set[str]:
    """What tests that name the document have in quotes: the examples that they take are among it."""
    sources = [file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py")]
    return {
        name for source in sources if f'{document.name}"' in source for name in re.findall(r'"([a-z][\w-]*)"', source)
    }
