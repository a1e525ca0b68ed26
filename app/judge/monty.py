"""The embedded judge: `pydantic-monty`, a sandboxed Python interpreter in worker processes.

Monty is a subset of Python without file, network or OS access. The synchronous pool is driven from threads
of our own: its asynchronous twin keeps a native thread that calls back into a finalised interpreter and
aborted one exit in four after a time limit had struck (3 of 12 runs; the synchronous one 0 of 72).
"""

import asyncio
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from pydantic_monty import (
    CollectString,
    Monty,
    MontyCrashedError,
    MontyError,
    MontySession,
    MontySyntaxError,
)

from app.game import TestReport, Verdict
from app.judge.port import JudgeUnavailable, Report
from app.judge.problems import JudgeProblem, Test

MAX_TEXT: Final = 200
MAX_OUTPUT_BYTES: Final = 100_000
MAX_RECURSION: Final = 900
KILL_GRACE_S: Final = 1.0
FLOAT_TOLERANCE: Final = 1e-9
_UNSUPPORTED_SYNTAX: Final = re.compile(r"does not yet support (?P<what>.+)$", re.MULTILINE)
_MISSING_MODULE: Final = re.compile(r"No module named '(?P<name>[\w.]+)'")
_STOPPING: Final = frozenset({Verdict.TIME_LIMIT, Verdict.MEMORY_LIMIT, Verdict.UNSUPPORTED, Verdict.INVALID})


class _Failure(Exception):  # noqa: N818 - the verdict on a piece of code
    def __init__(self, verdict: Verdict, detail: str) -> None:
        super().__init__(detail)
        self.verdict, self.detail = verdict, detail


class MontyJudge:
    """A pool of `processes` workers; each submission gets a fresh session in one of them."""

    def __init__(self, *, processes: int, time_limit_s: float, memory_bytes: int) -> None:
        self._time_limit_s = time_limit_s
        self._memory_bytes = memory_bytes
        self._processes = processes
        self._pool = Monty(
            min_processes=processes,
            max_processes=processes,
            feed_duration_limit_grace=KILL_GRACE_S,
            request_timeout=time_limit_s + 2 * KILL_GRACE_S,
        )
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="judge")

    async def open(self) -> None:
        """Start the workers."""
        await self._in_thread(self._pool.__enter__)

    async def close(self) -> None:
        """Stop the workers."""
        await self._in_thread(self._pool.__exit__, None, None, None)
        self._threads.shutdown()

    async def judge(self, problem: JudgeProblem, code: str) -> Report:
        """See `Judge.judge`."""
        report: Report = await self._in_thread(self._judge, problem, code)
        return report

    async def _in_thread(self, call: Any, *args: Any) -> Any:  # noqa: ANN401 - passes through
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    def _judge(self, problem: JudgeProblem, code: str) -> Report:
        started = time.monotonic()
        try:
            with self._checkout() as session:
                return self._run_tests(session, problem.tests, code, started)
        except MontyCrashedError as error:
            if error.timed_out:
                return self._refused(problem, started, Verdict.TIME_LIMIT, self._time_text())
            raise JudgeUnavailable(f"sandbox worker died: {error}") from None
        except (TimeoutError, OSError, RuntimeError) as error:
            raise JudgeUnavailable(f"no sandbox worker: {error}") from None

    def _checkout(self) -> MontySession:
        return self._pool.checkout(
            script_name="solution.py",
            limits={
                "max_feed_duration_secs": self._time_limit_s,
                "max_memory": self._memory_bytes,
                "max_recursion_depth": MAX_RECURSION,
            },
        )

    def _run_tests(self, session: MontySession, tests: list[Test], code: str, started: float) -> Report:
        reports: list[TestReport] = []
        passed = 0
        failure: _Failure | None = None
        try:
            self._feed(session, code, {}, started)
            for test in tests:
                report, problem = self._run_test(session, test, started)
                passed += report.passed
                if not test.hidden:
                    reports.append(report)
                failure = failure or problem
        except _Failure as stop:
            failure = stop
        return Report(
            verdict=failure.verdict if failure else Verdict.ACCEPTED,
            tests_passed=passed,
            tests_total=len(tests),
            duration_s=time.monotonic() - started,
            detail=failure.detail if failure else "",
            tests=reports,
        )

    def _run_test(self, session: MontySession, test: Test, started: float) -> tuple[TestReport, _Failure | None]:
        """One test; a failure that leaves no point in going on is raised."""
        failure = None
        got = ""
        try:
            value = _plain(self._feed(session, "solve(*args)", {"args": test.args}, started))
            got = _short(value)
            if not same(value, test.expected):
                failure = _Failure(Verdict.WRONG_ANSWER, "a test gave another value")
        except _Failure as error:
            if error.verdict in _STOPPING:
                raise
            failure, got = error, error.detail
        shown = ", ".join(map(_short, test.args))
        return TestReport(shown[:MAX_TEXT], _short(test.expected), got[:MAX_TEXT], failure is None), failure

    def _feed(self, session: MontySession, code: str, inputs: dict[str, Any], started: float) -> Any:  # noqa: ANN401 - a value of the sandbox
        if time.monotonic() - started > self._time_limit_s:
            raise _Failure(Verdict.TIME_LIMIT, self._time_text())
        try:
            return session.feed_run(code, inputs=inputs, print_callback=CollectString(MAX_OUTPUT_BYTES))
        except MontyCrashedError:
            raise
        except MontyError as error:
            raise self._failure(error) from None

    def _failure(self, error: MontyError) -> _Failure:
        text = str(error)
        if isinstance(error, MontySyntaxError):
            return _Failure(Verdict.INVALID, f"syntax error: {_line(text)}")
        if what := _unsupported(text):
            return _Failure(Verdict.UNSUPPORTED, f"not supported here: {what}")
        limits = {
            "time limit exceeded": _Failure(Verdict.TIME_LIMIT, self._time_text()),
            "memory limit exceeded": _Failure(
                Verdict.MEMORY_LIMIT, f"more than {self._memory_bytes // 1_000_000} MB were used"
            ),
            "name 'solve' is not defined": _Failure(Verdict.INVALID, "define a function named solve"),
        }
        other = _Failure(Verdict.RUNTIME_ERROR, _line(text))
        return next((failure for mark, failure in limits.items() if mark in text), other)

    def _time_text(self) -> str:
        return f"not done within {self._time_limit_s:g} s"

    def _refused(self, problem: JudgeProblem, started: float, verdict: Verdict, detail: str) -> Report:
        return Report(
            verdict=verdict,
            tests_passed=0,
            tests_total=len(problem.tests),
            duration_s=time.monotonic() - started,
            detail=detail,
        )


def same(got: object, expected: object) -> bool:
    """Whether two JSON values are equal: lists element by element, floats within a tolerance, bool is no number."""
    if isinstance(got, bool) or isinstance(expected, bool):
        return got is expected
    if isinstance(got, float) or isinstance(expected, float):
        return (
            isinstance(got, (int, float))
            and isinstance(expected, (int, float))
            and abs(got - expected) <= FLOAT_TOLERANCE * max(1.0, abs(expected))
        )
    if isinstance(got, list) and isinstance(expected, list):
        return len(got) == len(expected) and all(map(same, got, expected))
    if isinstance(got, dict) and isinstance(expected, dict):
        return got.keys() == expected.keys() and all(same(got[key], expected[key]) for key in got)
    return type(got) is type(expected) and got == expected


def _unsupported(text: str) -> str | None:
    """What the subset of Python lacks, if that is what went wrong."""
    if match := _UNSUPPORTED_SYNTAX.search(text):
        return _line(match["what"])
    if (match := _MISSING_MODULE.search(text)) and match["name"].split(".")[0] in sys.stdlib_module_names:
        return f"module {match['name']}"
    return None


def _plain(value: object) -> object:
    """Tuples as lists, all the way down: a JSON value has no tuples."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _short(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer too long to print, or nesting too deep
        text = f"<{type(value).__name__} too large to show>"
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _line(text: str) -> str:
    """The last line, which names the error, shortened."""
    return text.strip().rsplit("\n", 1)[-1][:MAX_TEXT]
