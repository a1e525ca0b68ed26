"""The judge's workers: every way code can go wrong has its verdict, and none harms the service."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.game import Verdict
from app.judge import JudgeProblem, JudgeUnavailable, Report, SandboxJudge, Test, load_problems
from app.sandbox.jobs import MAX_ANSWER_BYTES
from app.sandbox.runner import same
from app.settings import JudgeSettings
from app.telemetry.observer import Observer
from app.vocabulary import Difficulty, Stop
from tools.harness.processes import children, cpu_ticks, freeze, is_alive
from tools.harness.server import until

pytestmark = pytest.mark.anyio
ECHO = JudgeProblem(
    "echo", "Echo", Difficulty.EASY, "", "", [], [], [Test([[1, 2]], [1, 2]), Test([[3]], [3], hidden=True)]
)


def limits(time_s: float, grace_s: float, processes: int = 1) -> JudgeSettings:
    return JudgeSettings(
        judge_processes=processes,
        judge_time_limit_s=time_s,
        judge_kill_grace_s=grace_s,
        judge_memory_bytes=32_000_000,
    )


LIMITS = limits(1, 60)
PATIENT = limits(60, 1)
ENDLESS = "def solve(x):\n    while True:\n        pass"
RETURN_X = "def solve(x):\n    return x"
DOUBLED = "x = [1]\nfor _ in range({}):\n    x = [x, x]\n"


class Noted(Observer):
    """Notes what the judge tells of runs that were cut short."""

    def __init__(self) -> None:
        self.stops: list[tuple[Stop, bool]] = []

    def judge_stopped(self, cause: Stop, *, worker_ended: bool) -> None:
        """See `Observer.judge_stopped`."""
        self.stops.append((cause, worker_ended))


@pytest.fixture(scope="module")
async def judge() -> AsyncIterator[SandboxJudge]:
    running = SandboxJudge(limits(1, 60, processes=2), Observer())
    await running.open()
    yield running
    await running.close()


@contextlib.contextmanager
def costs_the_loop_nothing() -> Iterator[None]:
    """No more than 300 calls on the loop's thread; half of that is what every judgement takes. Calls know no noise."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
    assert calls <= 300


def returning(value: str, before: str = "") -> str:
    return f"def solve(x):\n    {before}\n    return {value}"


@pytest.mark.parametrize(
    ("code", "verdict", "detail"),
    [
        (RETURN_X, Verdict.ACCEPTED, ""),
        (returning("tuple(x)"), Verdict.ACCEPTED, ""),
        (returning("[9]"), Verdict.WRONG_ANSWER, "another value"),
        (returning("None"), Verdict.WRONG_ANSWER, "another value"),
        (returning("x[99]"), Verdict.RUNTIME_ERROR, "IndexError: list index out of range"),
        ("def solve():\n    return 1", Verdict.RUNTIME_ERROR, "TypeError"),
        (returning("solve(x)"), Verdict.RUNTIME_ERROR, "RecursionError"),
        ("def solve(x):\n    raise SystemExit", Verdict.RUNTIME_ERROR, "SystemExit"),
        (returning("open('/etc/passwd').read()"), Verdict.RUNTIME_ERROR, "PermissionError"),
        ("import os\ndef solve(x):\n    return os.listdir('/')", Verdict.RUNTIME_ERROR, "PermissionError"),
        ("import requests", Verdict.RUNTIME_ERROR, "ModuleNotFoundError"),
        ("1/0", Verdict.RUNTIME_ERROR, "ZeroDivisionError"),
        ("def solve(x):\n    raise Exception('a\\nb')", Verdict.RUNTIME_ERROR, "Exception: a"),
        (ENDLESS, Verdict.TIME_LIMIT, "1 s"),
        (
            "def solve(x):\n    try:\n        while 1:\n            pass\n    except BaseException:\n        return x",
            Verdict.TIME_LIMIT,
            "1 s",
        ),
        ("def solve(x):\n    a = [0]\n    while True:\n        a = a + a", Verdict.MEMORY_LIMIT, "32 MB"),
        ("def solve(x):\n    raise Exception('x' * 50_000_000)", Verdict.MEMORY_LIMIT, "32 MB"),
        ("def solve(x)\n    return x", Verdict.INVALID, "syntax error"),
        ("(" * 10_000, Verdict.INVALID, "syntax error"),
        ("", Verdict.INVALID, "solve"),
        ("answer = 42", Verdict.INVALID, "solve"),
        ("solve = 42", Verdict.RUNTIME_ERROR, "TypeError"),
        ("def solve(x):\n    yield x", Verdict.UNSUPPORTED, "not supported here: yield"),
        ("def solve(x):\n    del x[0]\n    return x", Verdict.UNSUPPORTED, "del"),
        ("import heapq", Verdict.UNSUPPORTED, "module heapq"),
        ("def solve(x):\n    import heapq\n    return x", Verdict.UNSUPPORTED, "module heapq"),
        ("raise Exception('does not yet support this')", Verdict.RUNTIME_ERROR, "Exception"),
        ("raise NotImplementedError('does not yet support this')", Verdict.RUNTIME_ERROR, "NotImplementedError"),
        ("raise ModuleNotFoundError(\"No module named 'heapq'\")", Verdict.RUNTIME_ERROR, "ModuleNotFoundError"),
        ("exec('def f():\\n    yield 1')", Verdict.RUNTIME_ERROR, "NotImplementedError"),
        ("raise Exception(\"name 'solve' is not defined\")", Verdict.RUNTIME_ERROR, "Exception"),
        ("raise Exception('time limit exceeded')", Verdict.RUNTIME_ERROR, "Exception"),
    ],
)
async def test_every_end_has_its_verdict(
    judge: SandboxJudge, patient: SandboxJudge, code: str, verdict: Verdict, detail: str
) -> None:
    report = await (judge if verdict is Verdict.TIME_LIMIT else patient).judge(ECHO, code)
    assert report.verdict is verdict
    assert detail in report.detail
    assert len(report.detail) <= 300


RESULTS = {
    "too large": [
        f"{DOUBLED.format(60)}def solve(_):\n    return x",
        f"{DOUBLED.format(22)}def solve(_):\n    return x",
        returning("['x' * 10**6] * 1500"),
        returning("{'k' * 10**6: 1}"),
        returning("'x' * 70_000"),
    ],
    "nested too deeply": [returning("x", "for _ in range(100_000):\n        x = [x]")],
    "refers to itself": [returning("x", "x.append(x)"), returning("10 ** 100_000")],
    "no JSON value": [
        returning("{1, 2}"),
        returning("{(1, 2): 3}"),
        returning("solve"),
        "class A:\n    def __repr__(self):\n        raise ValueError\ndef solve(x):\n    return A()",
    ],
    "another value": [returning("float('nan')"), returning("'\\ud800'"), returning("[float('inf')] * 2")],
}


@pytest.fixture(scope="module")
async def patient() -> AsyncIterator[SandboxJudge]:
    running = SandboxJudge(limits(60, 1, processes=2), Observer())
    await running.open()
    yield running
    await running.close()


@pytest.mark.parametrize(("detail", "code"), [(detail, code) for detail, codes in RESULTS.items() for code in codes])
async def test_a_result_is_right_or_wrong_however_it_is_shaped(patient: SandboxJudge, detail: str, code: str) -> None:
    with costs_the_loop_nothing():
        report = await patient.judge(ECHO, code)
    assert report.verdict is Verdict.WRONG_ANSWER
    assert detail in report.detail
    assert all(len(test.got) <= 200 for test in report.tests)


WORST = {
    "a long line in each of many frames": f"def f(n):\n    return f(n + 1) or {'y' * 50_000!r}\n{returning('f(0)')}",
    "more waits than may be": returning("x", "import time\n    for _ in range(10**5):\n        time.sleep(0)"),
    "many waits at once": (
        "import asyncio\nasync def f():\n    await asyncio.gather(*[asyncio.sleep(9)] * 2000)\nasyncio.run(f())"
    ),
    "an integer that fills the memory": returning("10 ** 10**9"),
    "a string that fills it": returning("f'{1:>1000000000}'"),
    "a replacement that fills it": returning("('a' * 10**6).replace('a', 'b' * 10**6)"),
    "a product that fills it": returning("list(itertools.product(range(99), repeat=8))", "import itertools"),
    "a decimal that fills it": returning(
        "1", "import decimal\n    decimal.getcontext().prec = 10**9\n    decimal.Decimal(1) / 3"
    ),
    "an integer of a million digits to read": returning("int('9' * 10**6)"),
    "a copy of something deep": returning(
        "copy.deepcopy(y)", "import copy\n    y = []\n    for _ in range(10**5):\n        y = [y]"
    ),
    "deep things compared": returning("y == z", "y, z = [], []\n    for _ in range(10**5):\n        y, z = [y], [z]"),
    "the text of something doubled": returning("repr(y)", "y = [1]\n    for _ in range(60):\n        y = [y, y]"),
    "doubled things compared": returning(
        "y == z", "y, z = [1], [1]\n    for _ in range(60):\n        y, z = [y, y], [z, z]"
    ),
    "a deep JSON text": returning("json.loads('[' * 10**5)", "import json"),
    "a deep pattern": returning("re.compile('(' * 50_000)", "import re"),
    "a pattern that takes for ever elsewhere": returning("None", "import re\n    re.match('(a+)+$', 'a' * 40 + 'b')"),
    "a deep source": "x = " + "lambda: " * 10_000 + "1",
    "a long sum": "x = " + " + ".join(["1"] * 20_000),
    "a long list": f"x = [{'1, ' * 15_000}]",
    "many exceptions in a chain": (
        "e = None\nfor _ in range(10**4):\n    try:\n        raise Exception from e\n"
        "    except Exception as f:\n        e = f\nraise e"
    ),
}


@pytest.mark.parametrize("worst", WORST)
async def test_the_worst_is_somebodys_verdict_and_costs_the_service_nothing(judge: SandboxJudge, worst: str) -> None:
    with costs_the_loop_nothing():
        report = await judge.judge(ECHO, WORST[worst])
    assert report.verdict not in {Verdict.ACCEPTED, Verdict.JUDGE_ERROR}
    assert len(repr(report)) < 2_000


async def test_a_large_result_is_compared_whole(patient: SandboxJudge) -> None:
    numbers = list(range(9_000))
    problem = JudgeProblem("count", "", Difficulty.EASY, "", "", [], [], [Test([9_000], numbers)])
    for code, verdict in (("list(range(x))", Verdict.ACCEPTED), ("[*range(x - 1), 0]", Verdict.WRONG_ANSWER)):
        assert (await patient.judge(problem, returning(code))).verdict is verdict


async def test_only_visible_tests_are_reported(patient: SandboxJudge) -> None:
    report = await patient.judge(ECHO, returning("[1, 2]"))
    assert [(test.input, test.expected, test.got, test.passed) for test in report.tests] == [
        ("[1, 2]", "[1, 2]", "[1, 2]", True)
    ]
    assert (report.verdict, report.tests_passed, report.tests_total) == (Verdict.WRONG_ANSWER, 1, 2)


HIDDEN = JudgeProblem(
    "secret", "", Difficulty.EASY, "", "", [], [], [Test([1], 1), Test(["s3cret"], "s3cret", hidden=True)]
)
LEAKS = {
    "raise Exception(x)": "in a hidden test: Exception",
    "raise Exception('does not yet support ' + x)": "in a hidden test: Exception",
    "raise NotImplementedError('does not yet support ' + x)": "in a hidden test: NotImplementedError",
    "raise ModuleNotFoundError(f\"No module named '{x}'\")": "in a hidden test: ModuleNotFoundError",
    "raise Exception(\"name 'solve' is not defined\" + x)": "in a hidden test: Exception",
    "print(x)\n        raise ValueError(x)": "in a hidden test: ValueError",
    "import json\n        json.loads(x)": "in a hidden test: an exception",
    "{}[x]": "in a hidden test: KeyError",
    "exec(x + ' = = 1')": "in a hidden test: SyntaxError",
    "eval(x + '.' + x)": "in a hidden test: NameError",
    "import heapq": "in a hidden test: a module",
    "exec(f'class {x}(object):\\n    yield 1')": "in a hidden test: NotImplementedError",
    "return [x] * 100_000": "in a hidden test: the result is too large: more than 65536 bytes as JSON",
    "return {(x,): 1}": "in a hidden test: the result is no JSON value",
    "class A:\n            pass\n        A.__name__ = x\n        return A()": "",
    "assert 1 == x": "in a hidden test: AssertionError",
    "return x + x": "a test gave another value",
    "while True:\n            pass": "in a hidden test: not done within 1 s",
}


@pytest.mark.parametrize("leak", LEAKS)
async def test_nothing_that_code_makes_of_a_hidden_test_is_told(judge: SandboxJudge, leak: str) -> None:
    report = await judge.judge(HIDDEN, f"def solve(x):\n    if x != 1:\n        {leak}\n    return x")
    assert report.verdict is not Verdict.ACCEPTED
    assert "s3cret" not in repr(report)
    assert report.detail.startswith(LEAKS[leak])


async def test_no_test_sees_what_another_left(patient: SandboxJudge) -> None:
    code = "seen = []\ndef solve(x):\n    seen.append(x)\n    return x if len(seen) == 1 else 0"
    assert (await patient.judge(ECHO, code)).verdict is Verdict.ACCEPTED


async def test_code_is_run_once_however_many_tests_there_are() -> None:
    tests = [Test([number], number) for number in range(20)]
    judge = SandboxJudge(limits(20 * 0.3, 60), Observer())
    await judge.open()
    report = await judge.judge(
        JudgeProblem("many", "", Difficulty.EASY, "", "", [], [], tests),
        "import time\ntime.sleep(0.3)\ndef solve(x):\n    return x",
    )
    await judge.close()
    assert report.verdict is Verdict.ACCEPTED


async def test_submissions_do_not_see_each_other(patient: SandboxJudge) -> None:
    await patient.judge(ECHO, f"{RETURN_X}\nleft_behind = 1")
    report = await patient.judge(ECHO, returning("left_behind"))
    assert "NameError" in report.detail


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (ENDLESS, Stop.TIME),
        ("import time\ntime.sleep(100)", Stop.TIME),
        ("import time\ndef solve(x):\n    for _ in range(100):\n        time.sleep(0.1)", Stop.TIME),
        ("import asyncio\nasync def f():\n    await asyncio.sleep(100)\nasyncio.run(f())", Stop.TIME),
        ("while True:\n    print('x' * 1000)", Stop.TIME),
        ("x = [0]\nwhile True:\n    x = x + x", Stop.MEMORY),
        (f"{DOUBLED.format(60)}def solve(_):\n    return x", Stop.RESULT),
    ],
)
async def test_a_run_that_is_cut_short_is_counted_and_its_worker_goes_on(code: str, cause: Stop) -> None:
    noted = Noted()
    judge = SandboxJudge(LIMITS if cause is Stop.TIME else PATIENT, noted)
    await judge.open()
    worker = pid_of(judge)
    report = await judge.judge(ECHO, code)
    assert report.stop is cause, "by the worker itself: it was not killed"
    assert noted.stops == [(cause, False)]
    assert (await judge.judge(ECHO, RETURN_X)).verdict is not Verdict.JUDGE_ERROR
    assert pid_of(judge) == worker
    await judge.close()


async def test_a_worker_that_does_not_answer_in_time_is_replaced_and_that_is_the_codes_verdict() -> None:
    noted = Noted()
    judge = SandboxJudge(limits(2, 1), noted)  # so long that a busy machine is done with the second one
    await judge.open()
    worker = pid_of(judge)
    freeze(worker)
    report = await judge.judge(ECHO, RETURN_X)
    assert (report.verdict, report.stop) == (Verdict.TIME_LIMIT, Stop.WALL)
    assert (await judge.judge(ECHO, RETURN_X)).verdict is Verdict.ACCEPTED
    assert not is_alive(worker)
    assert noted.stops == [(Stop.WALL, True)]
    await judge.close()


async def run_into(judge: SandboxJudge, number: signal.Signals, *, sandbox: bool) -> Report:
    """The report on a submission whose worker, or the sandbox in it, gets a signal while the code runs."""
    (inner,) = children(pid_of(judge))
    before = cpu_ticks(inner)
    endless = asyncio.ensure_future(judge.judge(ECHO, ENDLESS))
    await asyncio.to_thread(until, lambda: cpu_ticks(inner) >= before + 10)  # the code really runs
    os.kill(inner if sandbox else pid_of(judge), number)
    try:
        return await endless
    finally:
        await asyncio.to_thread(until, lambda: not is_alive(inner))


@pytest.mark.parametrize("sandbox", [False, True])
async def test_a_worker_that_is_killed_is_the_judges_fault_one_that_falls_over_code_is_the_codes(sandbox: bool) -> None:
    noted = Noted()
    judge = SandboxJudge(limits(30, 1), noted)
    await judge.open()
    with pytest.raises(JudgeUnavailable):
        await run_into(judge, signal.SIGKILL, sandbox=sandbox)
    assert (await judge.judge(ECHO, RETURN_X)).verdict is Verdict.ACCEPTED
    assert (await run_into(judge, signal.SIGABRT, sandbox=sandbox)).verdict is Verdict.RUNTIME_ERROR
    assert (await judge.judge(ECHO, RETURN_X)).verdict is Verdict.ACCEPTED
    assert noted.stops == [(Stop.DIED, True), (Stop.CRASH, not sandbox)]
    await judge.close()


READY = """
import sys, time
say = sys.stdout.buffer.write
say(b'\\0\\0\\0\\2{}')
sys.stdout.flush()
sys.stdin.buffer.read(1)
"""


@pytest.mark.parametrize(
    ("after", "cause"),
    [
        ("say(b'no answer at all'); sys.stdout.flush(); time.sleep(60)", Stop.GARBLED),
        ("say(b'\\0\\0\\0\\4junk'); sys.stdout.flush(); time.sleep(60)", Stop.GARBLED),
        (f"say(({MAX_ANSWER_BYTES} + 1).to_bytes(4, 'big')); sys.stdout.flush(); time.sleep(60)", Stop.GARBLED),
        ("sys.exit(3)", Stop.DIED),
    ],
)
async def test_a_worker_that_says_nonsense_or_goes_is_ended(after: str, cause: Stop) -> None:
    noted = Noted()
    judge = SandboxJudge(LIMITS, noted, (sys.executable, "-c", READY + after))
    await judge.open()
    worker = pid_of(judge)
    with pytest.raises(JudgeUnavailable):
        await judge.judge(ECHO, RETURN_X)
    assert noted.stops == [(cause, True)]
    assert not is_alive(worker)
    await judge.close()


async def test_a_worker_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    for program in ((str(tmp_path / "missing"),), (sys.executable, "-c", "raise SystemExit(1)")):
        with pytest.raises(JudgeUnavailable, match="could not be started"):
            await SandboxJudge(LIMITS, Observer(), program).open()


async def test_a_sandbox_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONTY_BIN", "/no/such/sandbox")
    with pytest.raises(JudgeUnavailable, match="/no/such/sandbox"):
        await SandboxJudge(LIMITS, Observer()).open()


async def test_closing_waits_for_nothing() -> None:
    judge = SandboxJudge(limits(60, 60), Observer())
    await judge.open()
    worker = pid_of(judge)
    (sandbox,) = children(worker)
    endless = asyncio.ensure_future(judge.judge(ECHO, ENDLESS))
    await asyncio.to_thread(until, lambda: cpu_ticks(sandbox) >= 10)
    async with asyncio.timeout(10):
        await judge.close()
        with pytest.raises(JudgeUnavailable):
            await endless
    await asyncio.to_thread(until, lambda: not is_alive(sandbox))
    with pytest.raises(JudgeUnavailable, match="closed"):
        await judge.judge(ECHO, RETURN_X)


async def test_a_cancelled_run_holds_no_worker() -> None:
    judge = SandboxJudge(limits(60, 60), Observer())
    await judge.open()
    worker = pid_of(judge)
    (sandbox,) = children(worker)
    endless = asyncio.ensure_future(judge.judge(ECHO, ENDLESS))
    await asyncio.to_thread(until, lambda: cpu_ticks(sandbox) >= 10)
    endless.cancel()
    assert (await judge.judge(ECHO, RETURN_X)).verdict is Verdict.ACCEPTED
    await judge.close()


async def test_workers_know_no_secret_and_end_with_whoever_started_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "a-secret")
    judge = SandboxJudge(LIMITS, Observer())
    await judge.open()
    worker = pid_of(judge)
    (sandbox,) = children(worker)
    for pid in (worker, sandbox):
        assert b"a-secret" not in environment(pid)
    process = judge._workers[0]._process
    assert process is not None
    process.writer.close()
    await asyncio.to_thread(until, lambda: not is_alive(worker) and not is_alive(sandbox))
    await judge.close()


def pid_of(judge: SandboxJudge) -> int:
    """Its first worker."""
    process = judge._workers[0]._process
    assert process is not None
    return process.child.pid


def environment(pid: int) -> bytes:
    """What a process was given."""
    return Path(f"/proc/{pid}/environ").read_bytes()


async def test_a_hundred_submissions_at_once_are_all_judged(patient: SandboxJudge) -> None:
    problem = load_problems()["podium"]
    reports = await asyncio.gather(*(patient.judge(problem, problem.solutions[0]) for _ in range(100)))
    assert {report.verdict for report in reports} == {Verdict.ACCEPTED}


PAGE = (Path(__file__).parents[2] / "app/web/static/index.html").read_text()
SUBSET = re.search(r"the modules (?P<known>[^.]+)\. Not understood: (?P<unknown>.+?)\. A submission", PAGE)
SYNTAX = {"<code>yield</code>", "<code>del</code>", "inheritance"}


async def test_the_subset_that_the_page_tells_is_the_sandboxs(patient: SandboxJudge) -> None:
    assert SUBSET is not None
    for name in SUBSET["known"].split(", "):
        report = await patient.judge(ECHO, f"import {name}\ndef solve(x):\n    return x")
        assert report.verdict is Verdict.ACCEPTED, name
    unknown = set(SUBSET["unknown"].split(", "))
    assert unknown >= SYNTAX
    codes = {f"import {name}" for name in unknown - SYNTAX} | {"class A:\n    pass\nclass B(A):\n    pass"}
    for code in codes:
        assert (await patient.judge(ECHO, code)).verdict is Verdict.UNSUPPORTED, code


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
        (10**400, 1.5, False),
    ],
)
def test_equality_is_that_of_json_values(got: object, expected: object, equal: bool) -> None:
    assert same(got, expected) is equal
