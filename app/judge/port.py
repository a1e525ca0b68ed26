"""The port: one submission in, one report out."""

from typing import Protocol

from app.judge.problems import JudgeProblem
from app.sandbox.jobs import Report

__all__ = ["Judge", "JudgeUnavailable", "Report"]


class JudgeUnavailable(Exception):  # noqa: N818 - a state of the judge
    """The judge could not run the code; the submission is not to blame and is tried again."""


class Judge(Protocol):
    """Runs submissions, in whatever it runs them."""

    async def open(self) -> None:
        """Start the workers. Raises JudgeUnavailable."""

    async def close(self) -> None:
        """Stop at once; nothing that runs is waited for."""

    async def judge(self, problem: JudgeProblem, code: str) -> Report:
        """Run `code` against all tests of `problem`.

        Raises:
            JudgeUnavailable: the sandbox failed, not the code.
        """
