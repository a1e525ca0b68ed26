"""Every command that a document tells somebody to type is run by a test, or the document says why not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import test_guide
from tests.docs.commands import DOCUMENTS, SHELLS, Block, blocks, examples
from tools.harness.server import ROOT, ServerProcess

BIN = Path(sys.executable).parent
README = examples(ROOT / "README.md")
RUN = {
    "README.md": {
        "run",
        "test",
        "connect",
    },  # the first two: here as what make would do, in tests/fresh on a bare system
    "operations.md": {"pair", "pair-race", "drain", "backup", "restore", "install"},  # test_operations, test_wheel
    "WEBSOCKET_SETUP.md": set(test_guide.RUNNERS),
    "WEBSOCKET_SETUP.en.md": set(test_guide.RUNNERS),
}
"""Names of the examples that some test runs, by document."""
ALL = [block for document in DOCUMENTS for block in blocks(document)]


@pytest.mark.parametrize("block", [block for block in ALL if block.language in SHELLS], ids=str)
def test_commands_are_run_or_say_why_not(block: Block) -> None:
    if block.name is None:
        assert block.reason is not None, "mark it: <!-- example: NAME --> with a test, or <!-- not run: WHY -->"
    else:
        assert block.name in RUN[block.document.name]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_what_commands_use_has_been_set_before(document: Path) -> None:
    known: set[str] = set()
    for block in blocks(document):
        if block.language in SHELLS:
            known |= set(re.findall(r"\b([A-Z_]+)=", block.code))
            assert set(re.findall(r"\$\{?([A-Z_]+)", block.code)) <= known, str(block)


def test_every_block_says_what_it_is() -> None:
    assert [str(block) for block in ALL if not block.language] == []


def quoted() -> list[str]:
    """What stands in the documents as code, in sentences and in blocks, a line each."""
    inline = [text for document in DOCUMENTS for text in re.findall(r"`([^`\n]+)`", document.read_text("utf-8"))]
    return [*inline, *(line for block in ALL for line in block.code.splitlines())]


def named(pattern: str) -> set[str]:
    """What follows a command's name, wherever one is quoted."""
    return {name for line in quoted() for name in re.findall(pattern, line)}


def test_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    names = named(r"^(?:[A-Z_]+=\S+ )*make ([a-z][a-z-]+)")
    assert len(names) > 10
    assert names <= targets


def test_commands_of_the_service_that_are_named_exist() -> None:
    helped = subprocess.run(
        [sys.executable, "-m", "app", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    subcommands = set(re.findall(r"^    ([a-z-]+)(?: |$)", helped.stdout, re.MULTILINE))
    names = named(r"(?:^|[ /(])(?<!-n )code-racer ([a-z][a-z-]+)")
    assert {"serve", "token", "canary"} <= names
    assert names <= subcommands


@pytest.mark.parametrize("name", ["run", "test"])
def test_the_two_commands_are_targets(name: str) -> None:
    """That they do on a bare machine what they say is shown by tests/fresh."""
    done = subprocess.run(
        ["bash", "-c", README[name].replace("make", "make -n")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_newcomer_connects_with_the_commands_of_the_readme(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server:
        commands = README["connect"].replace("localhost:8080", server.host).replace(".venv/bin", str(BIN))
        commands = commands.replace("npx wscat", f"{ROOT}/tests/node/node_modules/.bin/wscat -x '{{}}' -w 1")
        terminal, keyboard = os.pipe()  # nobody types, but nobody has gone either
        done = subprocess.run(
            ["bash", "-euc", commands], cwd=tmp_path, env=os.environ | server.settings | {"PYTHONPATH": str(ROOT)},
            stdin=terminal, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        os.close(terminal)
        os.close(keyboard)
    assert done.returncode == 0, done.stderr
    assert '"type":"welcome"' in done.stdout
