"""The commands of the documents: blocks for a shell, each an example that a test runs, or marked with why none does."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.harness.server import ROOT

DOCUMENTS: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "alerts/README.md")
"""Runbooks have tests of their own, which run every query and every search of the log in them."""
SHELLS: Final = {"sh", "bash"}
_BLOCK: Final = re.compile(
    r"(?:^<!-- (example|not run): (.+?) -->\n)?^([ ]*)```(\w*)\n(.*?)^\3```$", re.DOTALL | re.MULTILINE
)


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
        return f"{self.document.name}: {self.code.splitlines()[0]}"


def blocks(document: Path) -> list[Block]:
    """All blocks of code of a document."""
    return [
        Block(document, language, code, text if kind == "example" else None, text if kind == "not run" else None)
        for kind, text, _, language, code in _BLOCK.findall(document.read_text("utf-8"))
    ]


def examples(document: Path) -> dict[str, str]:
    """The commands of a document that are run, by name."""
    return {block.name: block.code for block in blocks(document) if block.name and block.language in SHELLS}
