"""The port: one submission in, one report out."""

from typing import Protocol

from msgspec import Struct

from app.game import TestReport, Verdict
from app.judge.problems import JudgeProblem


class Report(Struct, frozen=True, kw_only=True):
    """What the judge found; `tests` are the visible ones, `detail` is a short text for the player."""

    verdict: Verdict
    tests_passed: int
    tests_total: int
    duration_s: float
    detail: str = ""
    tests: list[TestReport] = []


class JudgeUnavailable(Exception):  # noqa: N818 - a state of the judge
    """The judge could not run the code; the submission is not to blame and is tried again."""


class Judge(Protocol):
    """What every judge does."""

    async def open(self) -> None:
        """Start the workers."""

    async def close(self) -> None:
        """Stop the workers; what is running is waited for, bounded by the time limit."""

    async def judge(self, problem: JudgeProblem, code: str) -> Report:
        """Run `code` against all tests of `problem`.

        Raises:
            JudgeUnavailable: the sandbox failed, not the code.
        """
