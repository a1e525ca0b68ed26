"""One submission in `pydantic-monty`: a sandboxed subset of Python, in a process of its own.

The code is run once to define its functions; each test then starts from a copy of that state, so that none sees what
another left. A result leaves the sandbox as text of bounded length: the sandbox itself makes it, under the limits of
the code, and an f-string is a string whatever the code has done to names. So no result, however it is shaped, is ever
larger out here than `result_bytes`, and it is compared here: the expected values never enter the sandbox.

Of a hidden test only the kind of a failure is shown, out of a closed list: whatever text the code makes could hold its
arguments.
"""

import builtins
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Self

from pydantic_monty import (
    ExternalModule,
    Monty,
    MontyCrashedError,
    MontyError,
    MontyRuntimeError,
    MontySession,
    MontySyntaxError,
)

from app.game import TestReport, Verdict
from app.sandbox.jobs import Limits, Report, SandboxJob, Test
from app.vocabulary import Stop

MAX_TEXT: Final = 200
MAX_RECURSION: Final = 900
FLOAT_TOLERANCE: Final = 1e-9
_CALL: Final = "_ = solve(*args)"
_DEFINED: Final = "solve is None"
"""Fails where there is no `solve`; what it says otherwise is a bool, whatever `solve` is."""
_UNSUPPORTED: Final = "does not yet support "
_KINDS: Final = frozenset(
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
)
_NO_VALUE: Final = {
    "RecursionError": "is nested too deeply",
    "ValueError": "refers to itself or holds too long an integer",
}
_FINAL: Final = frozenset({Verdict.TIME_LIMIT, Verdict.MEMORY_LIMIT, Verdict.UNSUPPORTED, Verdict.INVALID})
_ENOUGH: Final = frozenset({Stop.RESULT, Stop.CRASH})
_KILLED: Final = ("SIGKILL", "SIGTERM")


class SandboxLost(Exception):  # noqa: N818 - it says what happened
    """The sandbox is gone and the code is not to blame: somebody ended its process, or it could not be started."""


class _CodeFailure(Exception):  # noqa: N818 - the verdict on a piece of code
    """Why a test is not passed. `detail` may hold text that the code made, `kind` may not."""

    def __init__(self, verdict: Verdict, kind: str, detail: str = "", stop: Stop | None = None) -> None:
        super().__init__(kind)
        self.verdict, self.kind, self.stop = verdict, kind, stop
        self.detail = _cut(detail or kind)

    def hidden(self) -> "_CodeFailure":
        """Return what may be shown where the test is hidden."""
        return _CodeFailure(self.verdict, self.kind, f"in a hidden test: {self.kind}", self.stop)


class Runner:
    """One sandbox process that runs submissions one after the other, and is replaced if it dies."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        grace_s = limits.kill_grace_s / 2
        self._pool = Monty(
            min_processes=1,
            max_processes=1,
            feed_duration_limit_grace=grace_s,
            request_timeout=limits.time_limit_s + grace_s,
        )

    def __enter__(self) -> Self:
        """Start the sandbox, and see that it runs code: whoever waits for it learns of it now, not a player later."""
        self._pool.__enter__()
        with self._pool.checkout(script_name="start.py") as session:
            session.feed_run("None")
        return self

    def __exit__(self, *error: object) -> None:
        """End it."""
        self._pool.__exit__(*error)

    def run(self, job: SandboxJob) -> Report:
        """Run a submission against its tests.

        Raises:
            SandboxLost: the code could not be run.
        """
        tally = _Tally(len(job.tests))
        run = _SandboxRun(self._pool, self._limits, time.monotonic())
        try:
            state = run.define(job.code)
            for test in job.tests:
                tally.note(test, *run.outcome(state, test))
        except _CodeFailure as failure:
            tally.failure = failure
        except (TimeoutError, OSError, RuntimeError) as error:
            raise SandboxLost(f"no sandbox: {type(error).__name__}") from None
        return tally.report(time.monotonic() - run.started)


class _Tally:
    """What has come of the tests so far; the verdict is that of the first failure, or of the one that ended it all."""

    def __init__(self, total: int) -> None:
        self.failure: _CodeFailure | None = None
        self._total = total
        self._passed = 0
        self._visible: list[TestReport] = []

    def note(self, test: Test, got: str, failure: _CodeFailure | None) -> None:
        """Count a test that is done."""
        self._passed += failure is None
        self.failure = self.failure or failure
        if not test.hidden:
            shown = _cut(", ".join(map(_short, test.args)))
            self._visible.append(TestReport(shown, _short(test.expected), got, failure is None))

    def report(self, duration_s: float) -> Report:
        """Return the whole report."""
        failure = self.failure
        return Report(
            verdict=failure.verdict if failure else Verdict.ACCEPTED,
            tests_passed=self._passed,
            tests_total=self._total,
            duration_s=duration_s,
            detail=failure.detail if failure else "",
            tests=self._visible,
            stop=failure.stop if failure else None,
        )


class _SandboxRun:
    """One submission: what it asks of the sandbox, and what the sandbox says."""

    def __init__(self, pool: Monty, limits: Limits, started: float) -> None:
        self.started = started
        self._pool = pool
        self._limits = limits
        self._missing = _Missing()

    def define(self, code: str) -> bytes:
        """Run the code itself; the state it leads to."""
        with self._session() as session:
            self._feed(session, code)
            try:
                self._feed(session, _DEFINED)
            except _CodeFailure as failure:
                raise _undefined(failure) from None
            state: bytes = self._guarded(session.dump)
            return state

    def outcome(self, state: bytes, test: Test) -> tuple[str, _CodeFailure | None]:
        """Run one test, and return what it gave, shortened, and what is wrong with it.

        Raises:
            _CodeFailure: there is no point in running another.
        """
        try:
            value = self._value(state, test)
        except _CodeFailure as failure:
            shown = failure.hidden() if test.hidden else failure
            if failure.verdict in _FINAL or failure.stop in _ENOUGH:
                raise shown from None
            return shown.detail, shown
        if same(value, test.expected):
            return _short(value), None
        return _short(value), _CodeFailure(Verdict.WRONG_ANSWER, "a test gave another value")

    def _value(self, state: bytes, test: Test) -> object:
        with self._session() as session:
            self._guarded(lambda: session.load_session(state))
            self._feed(session, _CALL, {"args": test.args})
            return self._result(session)

    def _result(self, session: MontySession) -> object:
        """Return what `solve` returned, as a JSON value."""
        most = self._limits.result_bytes
        try:
            text = self._feed(session, f"import json\nf'{{json.dumps(_):.{most + 1}}}'")
        except _CodeFailure as failure:
            raise self._no_value(failure) from None
        if len(text) > most:
            raise self._too_large()
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise _CodeFailure(Verdict.WRONG_ANSWER, "the result is no JSON value", stop=Stop.RESULT) from None

    def _no_value(self, failure: _CodeFailure) -> _CodeFailure:
        """Return the verdict on a result that cannot be taken out: only a wrong one."""
        if failure.verdict is Verdict.TIME_LIMIT:
            return failure
        if failure.verdict is Verdict.MEMORY_LIMIT:
            return self._too_large()
        kind = f"the result {_NO_VALUE.get(failure.kind, 'is no JSON value')}"
        unfit = failure.kind in _NO_VALUE
        detail = kind if unfit else f"{kind}: {failure.detail}"
        return _CodeFailure(Verdict.WRONG_ANSWER, kind, detail, Stop.RESULT if unfit else None)

    def _too_large(self) -> _CodeFailure:
        text = f"the result is too large: more than {self._limits.result_bytes} bytes as JSON"
        return _CodeFailure(Verdict.WRONG_ANSWER, text, stop=Stop.RESULT)

    def _session(self) -> MontySession:
        """Make an empty sandbox for the time that is left."""
        left_s = self.started + self._limits.time_limit_s - time.monotonic()
        if left_s <= 0:
            raise self._late()
        return self._pool.checkout(
            script_name="solution.py",
            limits={
                "max_feed_duration_secs": left_s,
                "max_total_sleep_secs": left_s,
                "max_memory": self._limits.memory_bytes,
                "max_recursion_depth": MAX_RECURSION,
            },
            external_modules=self._missing,
        )

    def _feed(self, session: MontySession, code: str, inputs: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - a value of the sandbox
        self._missing.asked = None
        return self._guarded(lambda: session.feed_run(code, inputs=inputs, print_callback=_print))

    def _guarded(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the sandbox is asked for
        try:
            return call()
        except MontyCrashedError as error:
            raise self._crashed(error) from None
        except MontyError as error:
            raise self._failure(error) from None

    def _crashed(self, error: MontyCrashedError) -> Exception:
        if error.timed_out:
            return self._late()
        text = str(error)
        if any(name in text for name in _KILLED):
            return SandboxLost(_cut(text))
        return _CodeFailure(Verdict.RUNTIME_ERROR, "the sandbox cannot run this code", stop=Stop.CRASH)

    def _failure(self, error: MontyError) -> _CodeFailure:
        kind = type(error.exception()).__name__
        if kind not in _KINDS:
            kind = "an exception"
        if kind == "TimeoutError":
            return self._late()
        if kind == "MemoryError":
            most = self._limits.memory_bytes // 1_000_000
            return _CodeFailure(Verdict.MEMORY_LIMIT, f"more than {most} MB were used", stop=Stop.MEMORY)
        if kind == "ModuleNotFoundError" and self._missing.asked is not None:
            return _CodeFailure(Verdict.UNSUPPORTED, "a module", f"not supported here: module {self._missing.asked}")
        return _raised(error, kind)

    def _late(self) -> _CodeFailure:
        return _CodeFailure(Verdict.TIME_LIMIT, f"not done within {self._limits.time_limit_s:g} s", stop=Stop.TIME)


class _Missing(Mapping[str, ExternalModule]):
    """The modules that the sandbox may have of us: none. It asks here for those that it does not know itself."""

    asked: str | None = None
    """The last one asked for that Python has and the sandbox lacks."""

    def __getitem__(self, name: str) -> ExternalModule:
        if name.split(".", maxsplit=1)[0] in sys.stdlib_module_names:
            self.asked = name
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _undefined(failure: _CodeFailure) -> _CodeFailure:
    """Return the verdict on code that defines no `solve`."""
    if failure.kind != "NameError":
        return failure
    return _CodeFailure(Verdict.INVALID, failure.kind, "define a function named solve")


def _raised(error: MontyError, kind: str) -> _CodeFailure:
    """Return the verdict on an exception: raised by the code, or, before any of it ran, by the parser.

    Raises:
        SandboxLost: it is about what was given to the code.
    """
    if not isinstance(error, (MontySyntaxError, MontyRuntimeError)):
        raise SandboxLost(f"a test cannot be given to the code: {type(error).__name__}")
    frames = error.traceback()
    parsing = bool(frames) and frames[0].function_name is None
    text = _line(error.display("type-msg"))
    if parsing and kind == "NotImplementedError":
        return _CodeFailure(Verdict.UNSUPPORTED, kind, f"not supported here: {text.rpartition(_UNSUPPORTED)[2]}")
    if parsing and isinstance(error, MontySyntaxError):
        return _CodeFailure(Verdict.INVALID, kind, f"syntax error: {text}")
    return _CodeFailure(Verdict.RUNTIME_ERROR, kind, text)


def same(got: object, expected: object) -> bool:
    """Tell whether two JSON values are equal: lists element by element, floats by a tolerance, bool is no number."""
    if isinstance(got, bool) or isinstance(expected, bool):
        return got is expected
    if isinstance(got, float) or isinstance(expected, float):
        return _same_number(got, expected)
    if isinstance(got, list) and isinstance(expected, list):
        return len(got) == len(expected) and all(map(same, got, expected))
    if isinstance(got, dict) and isinstance(expected, dict):
        return got.keys() == expected.keys() and all(same(got[key], expected[key]) for key in got)
    return type(got) is type(expected) and got == expected


def _same_number(got: object, expected: object) -> bool:
    if not (isinstance(got, (int, float)) and isinstance(expected, (int, float))):
        return False
    try:
        return abs(got - expected) <= FLOAT_TOLERANCE * max(1.0, abs(expected))
    except OverflowError:  # an integer that is larger than any float
        return False


def _print(_stream: str, _text: str) -> None:
    """Discard what the code prints."""


def _short(value: object) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    text = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    return text.encode("utf-8", "replace").decode()


def _line(text: str) -> str:
    """Return the first line, which names the error."""
    return text.strip().partition("\n")[0]
