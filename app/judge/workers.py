"""The judge: worker processes (`app.sandbox`), one submission each at a time, in which nothing lasts or grows for ever.

Of a worker's answer so much is read as a report can be; a worker that takes too long, dies, or says something else is
ended with all that it has started, and replaced. What a submission has done to its worker is that submission's verdict;
what somebody else has done to it is `JudgeUnavailable`.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from app.game import Verdict
from app.judge.port import JudgeUnavailable, Report
from app.judge.problems import JudgeProblem
from app.sandbox.jobs import MAX_ANSWER_BYTES, PREFIX_BYTES, Answer, Limits, SandboxJob, decode_answer, encode, framed
from app.settings import JudgeSettings
from app.telemetry.observer import Observer
from app.vocabulary import Stop

SANDBOX: Final = (sys.executable, "-m", "app.sandbox")
START_TIMEOUT_S: Final = 20.0
END_TIMEOUT_S: Final = 1.0
_POLL_S: Final = 0.005
_ROOT: Final = Path(__file__).parents[2]
_KEPT: Final = ("PATH", "MONTY_BIN", "LD_LIBRARY_PATH")
"""What a worker gets of the environment: there are secrets in the rest."""
_CRASHES: Final = frozenset({-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE})


class SandboxJudge:
    """Has JUDGE_PROCESSES workers; whoever wants one while all are busy waits for the next that is free."""

    def __init__(self, settings: JudgeSettings, observer: Observer, program: Sequence[str] = SANDBOX) -> None:
        limits = Limits(
            time_limit_s=settings.judge_time_limit_s,
            memory_bytes=settings.judge_memory_bytes,
            result_bytes=settings.judge_result_bytes,
            kill_grace_s=settings.judge_kill_grace_s,
        )
        self._workers = [_JudgeWorker(limits, observer, program) for _ in range(settings.judge_processes)]
        self._idle: asyncio.Queue[_JudgeWorker] = asyncio.Queue()

    async def open(self) -> None:
        """Start the workers. Raises JudgeUnavailable."""
        await asyncio.gather(*(worker.start() for worker in self._workers))
        for worker in self._workers:
            self._idle.put_nowait(worker)

    async def close(self) -> None:
        """End the workers, whatever they are doing."""
        await asyncio.gather(*(worker.close() for worker in self._workers))

    async def judge(self, problem: JudgeProblem, code: str) -> Report:
        """Run `code` in the next worker that is free. Raises JudgeUnavailable."""
        worker = await self._idle.get()
        try:
            return await worker.run(SandboxJob(code, problem.tests))
        finally:
            self._idle.put_nowait(worker)


class _Lost(Exception):  # noqa: N818 - it says what happened
    """The worker gave no report."""

    def __init__(self, stop: Stop, text: str) -> None:
        super().__init__(text)
        self.stop = stop


class _JudgeWorker:
    """Keeps one worker: its process is started anew where it is not there."""

    def __init__(self, limits: Limits, observer: Observer, program: Sequence[str]) -> None:
        self._limits = limits
        self._program = program
        self._observer = observer
        self._process: _Process | None = None
        self._closed = False

    async def start(self) -> None:
        """Start the process and wait until it takes jobs. Raises JudgeUnavailable."""
        if self._closed:
            raise JudgeUnavailable("the judge is closed")
        self._process = await _spawn([*self._program, encode(self._limits).decode()])
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._process.ready()
        except (TimeoutError, _Lost) as error:
            await self._end()
            raise JudgeUnavailable(f"a worker could not be started: {error or 'it took too long'}") from None
        except BaseException:  # cancelled: nobody will ever ask it for anything
            await self._end()
            raise

    async def close(self) -> None:
        """End the process, for good."""
        self._closed = True
        await self._end()

    async def run(self, job: SandboxJob) -> Report:
        """Run one submission. Raises JudgeUnavailable."""
        await self._ensure()
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._limits.time_limit_s + self._limits.kill_grace_s):
                report = await self._ask(job)
        except TimeoutError:
            text = f"not done within {self._limits.time_limit_s:g} s"
            return await self._cut_short(job, started, Verdict.TIME_LIMIT, Stop.WALL, text)
        except _Lost as lost:
            if lost.stop is Stop.CRASH:
                return await self._cut_short(job, started, Verdict.RUNTIME_ERROR, lost.stop, str(lost))
            await self._end(lost.stop)
            raise JudgeUnavailable(str(lost)) from None
        except BaseException:  # cancelled: what it does is of no use any more
            await self._end()
            raise
        self._note(report.stop)
        return report

    async def _ensure(self) -> None:
        if self._process is not None and self._process.child.poll() is not None:
            await self._end(Stop.DIED)
        if self._process is None:
            await self.start()

    async def _ask(self, job: SandboxJob) -> Report:
        if self._process is None:
            raise _Lost(Stop.DIED, "the worker is gone")
        answer = await self._process.ask(job)
        if answer.report is None:
            raise _Lost(Stop.DIED, answer.failed)
        return answer.report

    async def _cut_short(self, job: SandboxJob, started: float, verdict: Verdict, stop: Stop, detail: str) -> Report:
        await self._end(stop)
        duration_s = time.monotonic() - started
        return Report(
            verdict=verdict,
            tests_passed=0,
            tests_total=len(job.tests),
            duration_s=duration_s,
            detail=detail,
            stop=stop,
        )

    async def _end(self, stop: Stop | None = None) -> None:
        """End the process and all that it has started; another takes its place when it is needed."""
        process, self._process = self._process, None
        self._note(stop)
        if process is not None:
            await process.end()

    def _note(self, stop: Stop | None) -> None:
        if stop is not None:
            self._observer.judge_stopped(stop, worker_ended=self._process is None)


@dataclass(slots=True)
class _Process:
    """A worker's process, in a group of its own, and the socket to it."""

    child: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, job: SandboxJob) -> Answer:
        """Have a submission run; the worker's answer. Raises _Lost."""
        self.writer.write(framed(job))
        with contextlib.suppress(ConnectionError):  # then there is no answer either, and that says why
            await self.writer.drain()
        return await self.answer()

    async def ready(self) -> None:
        """Wait until it takes jobs. Raises _Lost."""
        answer = await self.answer()
        if answer.failed:
            raise _Lost(Stop.DIED, answer.failed)

    async def answer(self) -> Answer:
        """Read what it says next. Raises _Lost."""
        try:
            size = int.from_bytes(await self.reader.readexactly(PREFIX_BYTES), "big")
            if size > MAX_ANSWER_BYTES:
                raise _Lost(Stop.GARBLED, f"a worker's answer has {size} bytes")
            return decode_answer(await self.reader.readexactly(size))
        except msgspec.MsgspecError as error:
            raise _Lost(Stop.GARBLED, f"a worker's answer is none: {type(error).__name__}") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise _death(await self._exit_code()) from None

    async def end(self) -> None:
        """End the process and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.writer.close()
        await self._exit_code()

    async def _exit_code(self) -> int | None:
        """Wait for the exit code of a process that is about to end; None where it does not."""
        until = time.monotonic() + END_TIMEOUT_S
        while self.child.poll() is None and time.monotonic() < until:  # noqa: ASYNC110 - a process has no event everywhere
            await asyncio.sleep(_POLL_S)
        return self.child.returncode


async def _spawn(command: list[str]) -> _Process:
    """Start a process. Raises JudgeUnavailable."""
    ours, theirs = socket.socketpair()
    try:
        child = _popen(command, theirs.fileno())
    except OSError as error:
        ours.close()
        raise JudgeUnavailable(f"a worker could not be started: {error}") from None
    finally:
        theirs.close()
    return _Process(child, *await asyncio.open_connection(sock=ours))


def _popen(command: list[str], theirs: int) -> subprocess.Popen[bytes]:
    """Start a process, not by the loop: uvloop's way would copy the service's page tables, 20 ms for each gigabyte."""
    return subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,  # what the sandbox says there is about the code, once a run
        env={name: os.environ[name] for name in _KEPT if name in os.environ} | {"PYTHONPATH": str(_ROOT)},
        start_new_session=True,
    )


def _death(exit_code: int | None) -> _Lost:
    """Return whether a worker that is gone ended by a fault that the code it ran has caused."""
    if exit_code in _CRASHES:
        return _Lost(Stop.CRASH, "the sandbox cannot run this code")
    return _Lost(Stop.DIED, f"a worker died ({'still there' if exit_code is None else exit_code})")
