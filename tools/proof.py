"""What was proved on the real thing: a part's record, `docs/proof/PART.json`, and the page that is made of all of them.

The records are written by ``python -m tests.proof``; ``python -m tools.generate`` makes `docs/proof.md` of them.
"""

from pathlib import Path
from typing import Final

import msgspec

RECORDS: Final = Path(__file__).parent.parent / "docs" / "proof"


class Started(msgspec.Struct, frozen=True):
    """A program that ran: its own word for its version, and where it came from."""

    program: str
    version: str
    origin: str


class Answer(msgspec.Struct, frozen=True):
    """What was asked of the real thing, and what it answered."""

    question: str
    answer: str
    held: bool


class NotRun(msgspec.Struct, frozen=True):
    """What nobody could try here, and why."""

    what: str
    why: str


class Proof(msgspec.Struct, frozen=True):
    """One part: what it is about, and what its last run showed."""

    part: str
    about: str
    date: str
    machine: str
    seconds: int
    started: tuple[Started, ...] = ()
    answers: tuple[Answer, ...] = ()
    not_run: tuple[NotRun, ...] = ()


def records(folder: Path = RECORDS) -> list[Proof]:
    """The records of all parts, by name."""
    return [msgspec.json.decode(path.read_bytes(), type=Proof) for path in sorted(folder.glob("*.json"))]


def page(proofs: list[Proof]) -> str:
    """`docs/proof.md`: each claim about containers, clusters and other programs, with what was asked and answered."""
    return "\n\n".join((_HEAD, *map(_part, proofs))) + "\n"


_HEAD: Final = """\
# Proved on the real thing

Written by `make conformance`: the programs that the service is run with are started for real, and asked. A record is of
the last run of its part, `python -m tests.proof PART`; what could not be tried is listed with the reason."""


def _part(proof: Proof) -> str:
    lines = [f"## {proof.part}", "", proof.about, "", f"{proof.date}, {proof.machine}, {proof.seconds} s."]
    if proof.started:
        lines += ["", "| program | version | from |", "|---|---|---|"]
        lines += [_row(each.program, each.version, each.origin) for each in proof.started]
    if proof.answers:
        lines += ["", "| asked | answered | held |", "|---|---|---|"]
        lines += [_row(each.question, each.answer, "yes" if each.held else "**no**") for each in proof.answers]
    if proof.not_run:
        lines += ["", "| not tried | why |", "|---|---|"]
        lines += [_row(each.what, each.why) for each in proof.not_run]
    return "\n".join(lines)


def _row(*cells: str) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"
