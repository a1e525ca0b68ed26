"""Judging: how often a submission is tried, by whom, and what is told in the end."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from app.aio.tasks import TaskOwner
from app.eventlog.embedded import MemoryEventLog
from app.game import CodeSubmitted, RecordVerdict, Verdict
from app.judge import JudgeProblem, SandboxJudge, Test
from app.judge.workers import SANDBOX
from app.rate_limits import LimitPolicy
from app.realtime.room.judging import Judging
from app.settings import JudgeSettings
from app.telemetry.observer import Observer
from app.vocabulary import Difficulty

pytestmark = pytest.mark.anyio
ECHO = JudgeProblem("echo", "Echo", Difficulty.EASY, "", "", [], [], [Test([1], 1)])
SUBMITTED = CodeSubmitted(
    seq=7, at=1, player_id="ann", attempt=1, language="python", code="def solve(x):\n    return x"
)
DYING = (sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'\\0\\0\\0\\2{}')")
"""A worker that says it is ready, and is gone."""


class Replica:
    """Judging as a replica does it, on a log that it shares; `record` keeps the verdicts."""

    def __init__(self, log: MemoryEventLog, judge: SandboxJudge, retries: int) -> None:
        self.verdicts: asyncio.Queue[RecordVerdict] = asyncio.Queue()
        self.tries = 0
        self.others = False
        self._log = log
        settings = JudgeSettings(
            judge_processes=1, judge_queue_size=8, judge_retries=retries, judge_retry_delay_s=0.001
        )
        observer = Observer()
        self.tasks = TaskOwner(observer.fault)
        policy = LimitPolicy(frozenset(), observer)
        self.judging = Judging(judge, {"echo": ECHO}, settings, self._take, policy)
        self.judging.start(self.tasks, self._record)

    async def judge(self) -> RecordVerdict:
        """The verdict on the submission."""
        self.judging.enqueue("game", ECHO.public, SUBMITTED)
        return await asyncio.wait_for(self.verdicts.get(), 60)

    async def _take(self, game_id: str, seq: int) -> int:
        if self.others:
            return 0
        self.tries += 1
        return await self._log.coordination.count(f"judge {game_id} {seq}", 60)

    async def _record(self, _game_id: str, verdict: RecordVerdict) -> None:
        self.verdicts.put_nowait(verdict)


Make = Callable[..., Awaitable[Replica]]


@pytest.fixture
async def replica() -> AsyncIterator[Make]:
    """Makes replicas that share a log."""
    log = MemoryEventLog()
    made: list[tuple[SandboxJudge, Replica]] = []

    async def make(retries: int, program: tuple[str, ...] = SANDBOX) -> Replica:
        judge = SandboxJudge(
            JudgeSettings(judge_processes=1, judge_time_limit_s=10, judge_memory_bytes=32_000_000), Observer(), program
        )
        await judge.open()
        made.append((judge, Replica(log, judge, retries)))
        return made[-1][1]

    yield make
    for judge, one in made:
        await one.tasks.close()
        await judge.close()


async def test_what_no_try_can_run_is_told_in_the_end(replica: Make) -> None:
    one = await replica(2, DYING)
    verdict = await one.judge()
    assert (verdict.verdict, one.tries) == (Verdict.JUDGE_ERROR, 3)
    assert "could not run" in verdict.detail


async def test_tries_are_counted_over_replicas_and_restarts(replica: Make) -> None:
    first = await replica(0, DYING)
    assert (await first.judge()).verdict is Verdict.JUDGE_ERROR
    second = await replica(1, DYING)
    assert (await second.judge()).verdict is Verdict.JUDGE_ERROR
    assert second.tries == 1, "one was made elsewhere"
    third = await replica(1)
    assert (await third.judge()).verdict is Verdict.JUDGE_ERROR, "it could, but there were tries enough"
    fourth = await replica(3)
    assert (await fourth.judge()).verdict is Verdict.ACCEPTED, "the fourth of four"


async def test_what_another_replica_is_at_is_left_to_it(replica: Make) -> None:
    one = await replica(3)
    one.others = True
    one.judging.enqueue("game", ECHO.public, SUBMITTED)
    other = CodeSubmitted(seq=8, at=1, player_id="bob", attempt=1, language="python", code=SUBMITTED.code)
    while one.judging.depth:  # noqa: ASYNC110 - what is given back has no event
        await asyncio.sleep(0)
    one.others = False
    one.judging.enqueue("game", ECHO.public, other)
    assert (await asyncio.wait_for(one.verdicts.get(), 60)).player_id == "bob"
    assert one.verdicts.empty()
    assert (await one.judge()).verdict is Verdict.ACCEPTED, "and taken up when it comes again"
