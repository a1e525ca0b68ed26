"""Each problem proves itself: enough tests, good solutions accepted, the wrong one not."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from app.game import Verdict
from app.judge import JudgeProblem, SandboxJudge, load_problems
from app.settings import JudgeSettings
from app.telemetry.observer import Observer
from app.vocabulary import Difficulty

pytestmark = pytest.mark.anyio
PROBLEMS = load_problems()


@pytest.fixture(scope="module")
async def judge() -> AsyncIterator[SandboxJudge]:
    running = SandboxJudge(JudgeSettings(judge_processes=1, judge_time_limit_s=10), Observer())
    await running.open()
    yield running
    await running.close()


def test_there_are_enough_problems_of_each_difficulty() -> None:
    counts = Counter(problem.difficulty for problem in PROBLEMS.values())
    assert len(PROBLEMS) >= 12
    assert all(counts[difficulty] >= 3 for difficulty in Difficulty)


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=lambda problem: problem.id)
def test_a_problem_has_visible_and_hidden_tests(problem: JudgeProblem) -> None:
    assert len(problem.tests) >= 8
    assert 2 <= len(problem.public.tests) < len(problem.tests)
    assert len(problem.solutions) >= 2
    assert problem.wrong


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=lambda problem: problem.id)
async def test_ordinary_solutions_are_accepted(judge: SandboxJudge, problem: JudgeProblem) -> None:
    for code in problem.solutions:
        report = await judge.judge(problem, code)
        assert (report.verdict, report.detail) == (Verdict.ACCEPTED, "")
        assert report.tests_passed == report.tests_total == len(problem.tests)


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=lambda problem: problem.id)
async def test_wrong_solutions_are_wrong_answers(judge: SandboxJudge, problem: JudgeProblem) -> None:
    for code in (*problem.wrong, problem.starter):
        report = await judge.judge(problem, code)
        assert report.verdict is Verdict.WRONG_ANSWER
        assert report.tests_passed < report.tests_total


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=lambda problem: problem.id)
def test_the_public_part_holds_no_secret(problem: JudgeProblem) -> None:
    public = repr(problem.public)
    visible = [test.args for test in problem.tests if not test.hidden]
    for test in problem.tests:
        if test.hidden and test.args not in visible and len(repr(test.args)) > 8:
            assert repr(test.args) not in public
    assert not any(code.strip() in public for code in problem.solutions)
