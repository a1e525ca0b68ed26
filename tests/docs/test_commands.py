"""Every command that a document tells somebody to type is run by a test, or the document says why not."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from app import cli
from tests.docs.commands import DOCUMENTS, RUNBOOKS, SHELLS, blocks, examples, faults, in_sentences
from tools.harness.server import ROOT, SOURCES, ServerProcess

BIN = Path(sys.executable).parent
README = examples(ROOT / "README.md")
ALL = [block for document in DOCUMENTS for block in blocks(document)]
ELSEWHERE = {
    r"kubectl .+": "a cluster of Kubernetes",
    r"docker run": "a daemon of Docker",
    r"ssh -L .+": "another machine",
    r"nats (stream|server) .+": "the program of NATS",
    r"systemctl (enable --now|restart) .+": "a machine that systemd runs",
    r"python -m tests\.proof \w+": "minutes, and what it starts; `make conformance` runs each",
    r"nginx -s reload": "the machine of the guide's nginx",
    r"amtool alert query \w+|curl (-v|\S+/readyz\?verbose)|openssl s_client .+": "a service that is in trouble",
    r"(DAY=[\d-]+ )?make [a-z-]+": "the target, which is tested to exist; each is run by the test of what it is for",
    r"PATH=/tmp/autobahn/bin:\$PATH make autobahn": "Autobahn's suite",
    r"(\S+/)?code-racer .+": "a service; its arguments are tested to be ones",
    r"\.venv/bin/python -m alerts --config mine\.toml --to rules/": "nothing: test_alerts_config runs it",
    r"uv run code-racer serve": "nothing: test_wheel runs it",
    r"openssl rand -hex 32": "nothing: it prints a number",
    r"npx wscat": "nothing: the example runs it",
    r"npm (install @code-racer/client|pack)|pip (install code-racer-client|wheel \./clients/python)": "an index that"
    " has the packages; tests/clients makes them, installs what it has made, and uses it",
    r"(\.venv/bin/)?python -m [\w.]+( NAME)?": "minutes; the module is tested to exist",
    r"\.venv/bin/pytest tests/observability": "nothing more: these are tests",
    r"ulimit -n|kill -9": "nothing more than is said",
    r"(npm|pip) install @?code-racer.client": "the packages' tests install what is published",
    r"npm pack|pip wheel \./clients/python": "the same tests make them",
}
"""Why a command that stands in a sentence is run by no test: what it would need."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_commands_are_run_or_say_why_not(document: Path) -> None:
    assert faults(document) == []


@pytest.mark.parametrize("document", [*DOCUMENTS, *RUNBOOKS], ids=lambda document: document.name)
def test_commands_in_sentences_say_why_not(document: Path) -> None:
    assert [span for span in in_sentences(document) if not any(re.fullmatch(one, span) for one in ELSEWHERE)] == []


EVASIONS = {
    "no mark": "```sh\nfrobnicate\n```",
    "an example that no test takes": "<!-- example: nobodys -->\n```sh\nfrobnicate\n```",
    "a mark that is not before it": "<!-- not run: it is long -->\n\n```sh\nfrobnicate\n```",
    "an empty mark": "<!-- not run:  -->\n```sh\nfrobnicate\n```",
    "no language": "```\nfrobnicate\n```",
    "another shell": "```console\n$ frobnicate\n```",
    "called text": "```text\n$ make frobnicate\n```",
    "a fence of tildes": "~~~sh\nfrobnicate\n~~~",
    "a longer fence": "````sh\nfrobnicate\n````",
    "a fence with a title": "```sh title=x\nfrobnicate\n```",
    "in a quotation": "> ```sh\n> frobnicate\n> ```",
    "in a list": "1. Do:\n\n   ```sh\n   frobnicate\n   ```",
    "indented": "Do:\n\n    make frobnicate\n",
    "in HTML": "<pre>frobnicate</pre>",
}


@pytest.mark.parametrize("text", EVASIONS.values(), ids=EVASIONS)
def test_a_new_command_cannot_pass_unseen(tmp_path: Path, text: str) -> None:
    document = tmp_path / "README.md"
    document.write_text(f"{(ROOT / 'README.md').read_text()}\n{text}\n")
    assert len(faults(document)) == 1


def test_a_new_command_in_a_sentence_is_seen(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text("Type `helm install\nx` and `git push`, not `helm`, and see `kubectl`.\n")
    assert in_sentences(document) == ["helm install x", "git push"]


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda runbook: runbook.stem)
def test_the_commands_of_a_runbook_run(runbook: Path, tmp_path: Path) -> None:
    """In place of the cluster stand a few lines of the log; what they are asked for, `make check` looks at."""
    (tmp_path / "kubectl").write_text('#!/bin/sh\necho \'{"event": "app.started", "timestamp": "now"}\'\n')
    (tmp_path / "kubectl").chmod(0o755)
    for block in blocks(runbook):
        assert block.language in {"sh", "promql"}
        if block.language == "sh":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.code], cwd=tmp_path,
                env={"PATH": f"{tmp_path}:{BIN}:/usr/bin:/bin", "PYTHONPATH": SOURCES},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, ""), block.code


def test_commands_of_the_service_that_stand_in_sentences_have_arguments_that_there_are() -> None:
    said = {span for document in (*DOCUMENTS, *RUNBOOKS) for span in in_sentences(document)}
    commands = [shlex.split(span)[1:] for span in said if re.match(r"(\S+/)?code-racer ", span)]
    assert len(commands) > 3
    for arguments in commands:
        with pytest.raises(SystemExit) as ended:
            cli.run([*arguments, "--help"], began=0)
        assert ended.value.code == 0


def test_modules_that_stand_in_sentences_exist() -> None:
    said = {span for document in (*DOCUMENTS, *RUNBOOKS) for span in in_sentences(document)}
    modules = {match[1] for span in said if (match := re.match(r"(?:\.venv/bin/)?python -m ([\w.]+)", span))}
    assert len(modules) > 2
    for module in modules:
        assert importlib.util.find_spec(module) is not None


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
    names = named(r"(?:^|[ /(])(?<!-n )(?<!namespace )(?<!install )code-racer ([a-z][a-z-]+)")
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
            ["bash", "-euc", commands], cwd=tmp_path, env=os.environ | server.settings | {"PYTHONPATH": SOURCES},
            stdin=terminal, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        os.close(terminal)
        os.close(keyboard)
    assert done.returncode == 0, done.stderr
    assert '"type":"welcome"' in done.stdout
