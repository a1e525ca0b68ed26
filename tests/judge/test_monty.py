"""The sandbox: every way code can go wrong has its verdict, and none harms the server."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.game import Verdict
from app.judge import JudgeProblem, JudgeUnavailable, MontyJudge, Test, load_problems
from app.judge.monty import same
from tests.support.server import until

pytestmark = pytest.mark.anyio
ECHO = JudgeProblem("echo", "Echo", "easy", "", "", [], [], [Test([[1, 2]], [1, 2]), Test([[3]], [3], hidden=True)])


@pytest.fixture(scope="module")
async def judge() -> AsyncIterator[MontyJudge]:
    monty = MontyJudge(processes=2, time_limit_s=1, memory_bytes=32_000_000)
    await monty.open()
    yield monty
    await monty.close()


@pytest.mark.parametrize(
    ("code", "verdict", "detail"),
    [
        ("def solve(x):\n    return x", Verdict.ACCEPTED, ""),
        ("def solve(x):\n    return tuple(x)", Verdict.ACCEPTED, ""),
        ("def solve(x):\n    return [9]", Verdict.WRONG_ANSWER, "another value"),
        ("def solve(x):\n    return None", Verdict.WRONG_ANSWER, "another value"),
        ("def solve(x):\n    return x[99]", Verdict.RUNTIME_ERROR, "IndexError"),
        ("def solve():\n    return 1", Verdict.RUNTIME_ERROR, "TypeError"),
        ("def solve(x):\n    return solve(x)", Verdict.RUNTIME_ERROR, "RecursionError"),
        ("def solve(x):\n    raise SystemExit", Verdict.RUNTIME_ERROR, "SystemExit"),
        ("def solve(x):\n    return open('/etc/passwd').read()", Verdict.RUNTIME_ERROR, "PermissionError"),
        ("import os\ndef solve(x):\n    return os.listdir('/')", Verdict.RUNTIME_ERROR, "PermissionError"),
        ("import requests", Verdict.RUNTIME_ERROR, "ModuleNotFoundError"),
        ("1/0", Verdict.RUNTIME_ERROR, "ZeroDivisionError"),
        ("def solve(x):\n    while True:\n        pass", Verdict.TIME_LIMIT, "1 s"),
        (
            "def solve(x):\n    try:\n        while 1:\n            pass\n    except BaseException:\n        return x",
            Verdict.TIME_LIMIT,
            "1 s",
        ),
        ("def solve(x):\n    a = [0]\n    while True:\n        a = a + a", Verdict.MEMORY_LIMIT, "32 MB"),
        ("def solve(x)\n    return x", Verdict.INVALID, "syntax error"),
        ("", Verdict.INVALID, "solve"),
        ("answer = 42", Verdict.INVALID, "solve"),
        ("def solve(x):\n    yield x", Verdict.UNSUPPORTED, "yield"),
        ("def solve(x):\n    del x[0]\n    return x", Verdict.UNSUPPORTED, "del"),
        ("import heapq", Verdict.UNSUPPORTED, "heapq"),
    ],
)
async def test_every_end_has_its_verdict(judge: MontyJudge, code: str, verdict: Verdict, detail: str) -> None:
    report = await judge.judge(ECHO, code)
    assert report.verdict is verdict
    assert detail in report.detail
    assert len(report.detail) <= 300


async def test_only_visible_tests_are_reported(judge: MontyJudge) -> None:
    report = await judge.judge(ECHO, "def solve(x):\n    return [1, 2]")
    assert [(test.input, test.expected, test.got, test.passed) for test in report.tests] == [
        ("[1, 2]", "[1, 2]", "[1, 2]", True)
    ]
    assert (report.verdict, report.tests_passed, report.tests_total) == (Verdict.WRONG_ANSWER, 1, 2)


async def test_submissions_do_not_see_each_other(judge: MontyJudge) -> None:
    await judge.judge(ECHO, "def solve(x):\n    return x\nleft_behind = 1")
    report = await judge.judge(ECHO, "def solve(x):\n    return left_behind")
    assert "NameError" in report.detail


async def test_a_worker_that_dies_is_the_judges_fault_and_is_replaced() -> None:
    monty = MontyJudge(processes=1, time_limit_s=30, memory_bytes=32_000_000)
    before = children()
    await monty.open()
    (worker,) = children() - before
    endless = asyncio.ensure_future(monty.judge(ECHO, "def solve(x):\n    while True:\n        pass"))
    await asyncio.to_thread(until, lambda: cpu_ticks(worker) >= 10)  # the code really runs in the worker
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(JudgeUnavailable):
        await endless
    report = await monty.judge(ECHO, "def solve(x):\n    return x")
    assert report.verdict is Verdict.ACCEPTED
    await monty.close()


def children() -> set[int]:
    """The processes that this one has started."""
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def cpu_ticks(pid: int) -> int:
    """The processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


async def test_a_judge_that_is_closed_is_unavailable() -> None:
    monty = MontyJudge(processes=1, time_limit_s=1, memory_bytes=32_000_000)
    await monty.open()
    monty._pool.__exit__(None, None, None)
    with pytest.raises(JudgeUnavailable):
        await monty.judge(ECHO, "def solve(x):\n    return x")
    monty._threads.shutdown()


async def test_a_hundred_submissions_at_once_are_all_judged(judge: MontyJudge) -> None:
    problem = load_problems()["podium"]
    reports = await asyncio.gather(*(judge.judge(problem, problem.solutions[0]) for _ in range(100)))
    assert {report.verdict for report in reports} == {Verdict.ACCEPTED}


PAGE = (Path(__file__).parents[2] / "app/web/static/index.html").read_text()
SUBSET = re.search(r"the modules (?P<known>[^.]+)\. Not understood: (?P<unknown>.+?)\. A submission", PAGE)
SYNTAX = {"<code>yield</code>", "<code>del</code>", "inheritance"}


async def test_the_subset_that_the_page_tells_is_the_sandboxs(judge: MontyJudge) -> None:
    assert SUBSET is not None
    for name in SUBSET["known"].split(", "):
        report = await judge.judge(ECHO, f"import {name}\ndef solve(x):\n    return x")
        assert report.verdict is Verdict.ACCEPTED, name
    unknown = set(SUBSET["unknown"].split(", "))
    assert unknown >= SYNTAX
    codes = {f"import {name}" for name in unknown - SYNTAX} | {"class A:\n    pass\nclass B(A):\n    pass"}
    for code in codes:
        assert (await judge.judge(ECHO, code)).verdict is Verdict.UNSUPPORTED, code


@pytest.mark.parametrize(
    ("got", "expected", "equal"),
    [
        (1, 1, True),
        (1, True, False),
        (0, False, False),
        (1.0, 1, True),
        (0.1 + 0.2, 0.3, True),
        (1.1, 1, False),
        ("1", 1, False),
        ([1, [2]], [1, [2]], True),
        ([1], [1, 2], False),
        ({"a": 1.0}, {"a": 1}, True),
        ({"a": 1}, {"b": 1}, False),
        (None, 0, False),
        (float("nan"), 1.0, False),
    ],
)
def test_equality_is_that_of_json_values(got: object, expected: object, equal: bool) -> None:
    assert same(got, expected) is equal
