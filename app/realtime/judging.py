"""Judging in the background: submissions from the log to verdicts in the log.

The queue is only a hint: what is pending stands in the game's state, so a submission that finds the queue
full, a judge that is down or a replica that died is picked up again by the hub's sweep.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from app.game import CodeSubmitted, Problem, RecordVerdict, Verdict
from app.judge import Judge, JudgeProblem, JudgeUnavailable, Report
from app.realtime.tasks import TaskOwner
from app.telemetry.observer import Observer
from app.telemetry.tracer import SpanName, Value

Record = Callable[[str, RecordVerdict], Awaitable[None]]
Claim = Callable[[str, int], Awaitable[bool]]
"""Whether this replica is to judge the submission of a game with that seq."""


@dataclass(frozen=True, slots=True)
class JudgingConfig:
    """See the settings of the same names."""

    workers: int
    queue_size: int
    retries: int
    retry_delay_s: float


class Judging:
    """A bounded queue and a worker per sandbox process."""

    def __init__(
        self,
        judge: Judge,
        problems: Mapping[str, JudgeProblem],
        config: JudgingConfig,
        record: Record,
        claim: Claim,
        observer: Observer,
    ) -> None:
        self._judge = judge
        self._claim = claim
        self._problems = problems
        self._config = config
        self._record = record
        self._observer = observer
        self._queue: asyncio.Queue[tuple[str, Problem, CodeSubmitted]] = asyncio.Queue(config.queue_size)
        self._under_way: set[tuple[str, int]] = set()

    @property
    def depth(self) -> int:
        """Submissions waiting for a worker."""
        return self._queue.qsize()

    def start(self, tasks: TaskOwner) -> None:
        """Start the workers."""
        for number in range(self._config.workers):
            tasks.spawn(self._work(), f"judging {number}")

    def enqueue(self, game_id: str, problem: Problem, submitted: CodeSubmitted) -> None:
        """Have a submission judged; one under way already is left alone."""
        key = (game_id, submitted.seq)
        if key in self._under_way:
            return
        try:
            self._queue.put_nowait((game_id, problem, submitted))
        except asyncio.QueueFull:
            self._observer.judge_queue_full()
            return
        self._under_way.add(key)

    async def _work(self) -> None:
        while True:
            game_id, problem, submitted = await self._queue.get()
            try:
                await self._handle(game_id, problem, submitted)
            except Exception as fault:  # noqa: BLE001 - the worker lives on; the sweep finds the submission again
                self._observer.fault("judging", fault)
            finally:
                self._under_way.discard((game_id, submitted.seq))

    async def _handle(self, game_id: str, problem: Problem, submitted: CodeSubmitted) -> None:
        if not await self._claim(game_id, submitted.seq):
            return  # another replica is at it; should that die, the sweep comes back to it
        attributes: dict[str, Value] = {
            "game.id": game_id,
            "player.id": submitted.player_id,
            "attempt": submitted.attempt,
        }
        with self._observer.tracer.continued(SpanName.JUDGE, submitted.traceparent, attributes) as span:
            with self._observer.tracer.child(SpanName.JUDGE_RUN, {"problem": problem.id}):
                report = await self._report(problem, submitted)
            if span is not None:
                span.note({"verdict": report.verdict})
            trace_id = span.trace_id if span else None
            self._observer.judged(problem.id, report.verdict, report.duration_s, trace_id)
            await self._append_verdict(game_id, submitted, report)

    async def _append_verdict(self, game_id: str, submitted: CodeSubmitted, report: Report) -> None:
        await self._record(
            game_id,
            RecordVerdict(
                player_id=submitted.player_id,
                attempt=submitted.attempt,
                verdict=report.verdict,
                tests_passed=report.tests_passed,
                tests_total=report.tests_total,
                duration_ms=round(report.duration_s * 1000),
                detail=report.detail,
                tests=report.tests,
            ),
        )

    async def _report(self, problem: Problem, submitted: CodeSubmitted) -> Report:
        started = time.monotonic()
        known = self._problems.get(problem.id)
        if known is None:
            return self._error(started, "this problem is no longer known to the judge")
        for attempt in range(self._config.retries + 1):
            if attempt:
                await asyncio.sleep(self._config.retry_delay_s * 2 ** (attempt - 1))
            try:
                return await self._judge.judge(known, submitted.code)
            except JudgeUnavailable as fault:
                self._observer.fault("judge", fault)
        return self._error(started, "the judge is out of order; that is not your code's fault")

    @staticmethod
    def _error(started: float, detail: str) -> Report:
        return Report(
            verdict=Verdict.JUDGE_ERROR,
            tests_passed=0,
            tests_total=0,
            duration_s=time.monotonic() - started,
            detail=detail,
        )
