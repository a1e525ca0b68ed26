"""What a part says while it runs; at its end it is `docs/proof/PART.json`."""

import datetime as dt
import os
import platform
import time
from pathlib import Path

import msgspec

from tools.proof import RECORDS, Answer, NotRun, Proof, Started


class NotHeldError(AssertionError):
    """The real thing answered otherwise than is claimed, or something could not be tried that is not declared."""


class Record:
    """The answers of one part, told as they come."""

    def __init__(self, part: str, about: str, may_miss: frozenset[str] = frozenset()) -> None:
        """`may_miss`: what the part declares that it may be unable to try; to miss anything else is a failure."""
        self._part = part
        self._about = about
        self._may_miss = may_miss
        self._began = time.monotonic()
        self._started: dict[str, Started] = {}
        self._answers: list[Answer] = []
        self._not_run: list[NotRun] = []

    def started(self, program: str, version: str, origin: str) -> None:
        """A program runs: `version` in its own words, `origin` as ``Debian 12``, ``PyPI``, ``Go module …``."""
        self._started[program] = Started(program, version, origin)
        self._say(f"started {program} {version} ({origin})")

    def asked(self, question: str, answer: str, *, held: bool = True) -> None:
        """The real thing was asked; where the answer is not what we claim the part goes on and fails at its end."""
        self._answers.append(Answer(question, answer, held))
        self._say(f"{'held' if held else 'NOT HELD'}: {question}: {answer}")

    def not_run(self, what: str, why: str) -> None:
        """Something could not be tried here."""
        self._not_run.append(NotRun(what, why))
        self._say(f"not tried: {what}: {why}")

    def write(self, folder: Path = RECORDS) -> None:
        """Write the record of what was said so far."""
        folder.mkdir(exist_ok=True)
        proof = Proof(
            self._part,
            self._about,
            dt.datetime.now(dt.UTC).date().isoformat(),
            f"{_system()}, Linux {platform.release().partition('-')[0]}, {os.cpu_count()} cores",
            round(time.monotonic() - self._began),
            tuple(self._started.values()),
            tuple(self._answers),
            tuple(self._not_run),
        )
        text = msgspec.json.format(msgspec.json.encode(proof), indent=2)
        (folder / f"{self._part}.json").write_bytes(text + b"\n")

    def verify(self) -> None:
        """Raise `NotHeldError` for each answer that did not hold, and for what was missed without being declared."""
        wrong = [f"{each.question}: {each.answer}" for each in self._answers if not each.held]
        wrong += [f"not tried: {each.what}: {each.why}" for each in self._not_run if each.what not in self._may_miss]
        if not self._answers and not self._not_run:
            wrong.append("nothing was asked")
        if wrong:
            raise NotHeldError(f"{self._part}: " + "\n".join(wrong))

    def _say(self, text: str) -> None:
        print(f"{self._part}: {text}", flush=True)


def _system() -> str:
    release = platform.freedesktop_os_release()
    return f"{release['NAME'].partition(' ')[0]} {release.get('VERSION_ID', '')}".strip()
