"""Problems: TOML files, one each, in the folder `problems` beside this module.

A submission defines ``solve(...)``; each test calls it with `args` and compares with `expected`, both JSON
values. `solutions` must be accepted and `wrong` must not be: the tests of this project prove it.
"""

import tomllib
from importlib import resources

import msgspec
from msgspec import Struct

from app.game import Problem, VisibleTest
from app.sandbox.jobs import Test
from app.vocabulary import Difficulty


class JudgeProblem(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole problem, hidden tests and solutions included: never leaves the server."""

    id: str
    title: str
    difficulty: Difficulty
    statement: str
    starter: str
    solutions: list[str]
    wrong: list[str]
    tests: list[Test]

    @property
    def public(self) -> Problem:
        """Show what players may see."""
        visible = [VisibleTest(test.args, test.expected) for test in self.tests if not test.hidden]
        return Problem(self.id, self.title, self.difficulty, self.statement, self.starter, visible)


class UnusableProblem(Exception):  # noqa: N818 - it says what is wrong
    """A file is no problem; the message says which, and why."""


def load_problems() -> dict[str, JudgeProblem]:
    """Load all problems by id, easy ones first. Raises UnusableProblem."""
    problems = []
    for file in resources.files(__package__).joinpath("problems").iterdir():
        if file.name.endswith(".toml"):
            try:
                problems.append(msgspec.convert(tomllib.loads(file.read_text("utf-8")), JudgeProblem))
            except (OSError, ValueError, msgspec.ValidationError) as error:  # of a value are also TOML's and UTF-8's
                raise UnusableProblem(f"problem {file}: {error}") from None
    order = list(Difficulty)
    problems.sort(key=lambda problem: (order.index(problem.difficulty), problem.id))
    return {problem.id: problem for problem in problems}
