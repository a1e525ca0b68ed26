"""Judging in the background: submissions from the log to verdicts in the log.

The queue is only a hint: what is pending stands in the game's state, so a submission that finds the queue full, a judge
that is down or a replica that died is picked up again by the hub's sweep. Players take turns in it. Each try is counted
before it begins, beside the log: one that takes the whole service down with it is not made for ever.
"""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from app.aio.tasks import TaskOwner
from app.game import CodeSubmitted, Problem, RecordVerdict, Verdict
from app.judge import Judge, JudgeProblem, JudgeUnavailable, Report
from app.rate_limits import LimitPolicy
from app.settings import JudgeSettings
from app.telemetry.observer import Judged, Observer
from app.telemetry.tracer import Value
from app.vocabulary import LimitScope, SpanName

MAX_RETRY_DELAY_S: Final = 30.0
Item = TypeVar("Item")
Record = Callable[[str, RecordVerdict], Awaitable[None]]
Take = Callable[[str, int], Awaitable[int]]
"""Begin a try of the submission of a game with that seq: which one it is; 0 where another replica is at it."""


@dataclass(frozen=True, slots=True)
class _Submission:
    """One submission and what it is judged by; since when it is in the queue (`time.monotonic`)."""

    game_id: str
    problem: Problem
    submitted: CodeSubmitted
    queued_at: float

    @property
    def key(self) -> tuple[str, int]:
        return (self.game_id, self.submitted.seq)


class Turns(Generic[Item]):
    """Items of parties: the parties round robin, those of one party in order, at most so many of it taken at once.

    So whoever puts much into it waits for that, and makes nobody else wait.
    """

    def __init__(self, size: int, taken_per_party: int) -> None:
        self._size = size
        self._most = taken_per_party
        self._waiting: OrderedDict[str, deque[Item]] = OrderedDict()  # whose turn is next stands first
        self._taken: Counter[str] = Counter()
        self._depth = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return self._depth

    def waiting(self, party: str) -> int:
        """Count the items of a party that wait."""
        return len(self._waiting.get(party, ()))

    def put(self, party: str, item: Item) -> Item | None:
        """Add an item behind the others of its party; what has no room, where the queue is full.

        That is the last item of the party with the most, unless this one then had as many: it is no use to fill it.
        """
        left_out = None
        if self._depth >= self._size:
            most = max(self._waiting, key=self.waiting)
            if self.waiting(most) <= self.waiting(party) + 1:
                return item
            left_out = self._waiting[most].pop()
            self._depth -= 1
        self._waiting.setdefault(party, deque()).append(item)
        self._depth += 1
        self._changed.set()
        return left_out

    async def take(self) -> tuple[str, Item]:
        """Wait for the next item, and its party, for which `done` must be called once."""
        while (party := self._next()) is None:
            self._changed.clear()
            await self._changed.wait()
        items = self._waiting.pop(party)
        item = items.popleft()
        if items:
            self._waiting[party] = items  # behind all others
        self._depth -= 1
        self._taken[party] += 1
        return party, item

    def done(self, party: str) -> None:
        """Note that an item of a party is done with."""
        self._taken[party] -= 1
        if not self._taken[party]:
            del self._taken[party]
        self._changed.set()

    def _next(self) -> str | None:
        return next((party for party in self._waiting if self._taken[party] < self._most), None)


class Judging:
    """Queues submissions, within a bound, and has a worker per sandbox process judge them."""

    def __init__(
        self,
        judge: Judge,
        problems: Mapping[str, JudgeProblem],
        settings: JudgeSettings,
        take: Take,
        policy: LimitPolicy,
    ) -> None:
        self._judge = judge
        self._take = take
        self._problems = problems
        self._settings = settings
        self._policy = policy
        self._observer: Observer = policy.observer
        self._report_fault = policy.observer.fault
        self._turns: Turns[_Submission] = Turns(settings.judge_queue_size, settings.judge_max_running_per_player)
        self._under_way: set[tuple[str, int]] = set()

    @property
    def depth(self) -> int:
        """Count the submissions that wait for a worker."""
        return len(self._turns)

    def start(self, tasks: TaskOwner, record: Record) -> None:
        """Start the workers; each verdict is handed to `record`."""
        for number in range(self._settings.judge_processes):
            tasks.spawn(self._work(record), f"judging {number}")

    def enqueue(self, game_id: str, problem: Problem, submitted: CodeSubmitted) -> None:
        """Have a submission judged; one under way already is left alone."""
        player_id = submitted.player_id
        one = _Submission(game_id, problem, submitted, time.monotonic())
        if one.key in self._under_way or self._has_share(player_id):
            return
        self._under_way.add(one.key)
        left_out = self._turns.put(player_id, one)
        if left_out is not None:
            self._under_way.discard(left_out.key)
            self._observer.judge_queue_full()

    def _has_share(self, player_id: str) -> bool:
        """Return whether as many of a player wait as may."""
        if self._turns.waiting(player_id) < self._settings.judge_max_queued_per_player:
            return False
        return self._policy.refuses(LimitScope.SUBMISSIONS_PER_PLAYER, 0, player_id=player_id)

    async def _work(self, record: Record) -> None:
        while True:
            player_id, one = await self._turns.take()
            try:
                await self._handle(one, record)
            except Exception as fault:  # noqa: BLE001 - the worker lives on; the sweep finds the submission again
                self._report_fault("judging", fault)
            finally:
                self._under_way.discard(one.key)
                self._turns.done(player_id)

    async def _handle(self, one: _Submission, record: Record) -> None:
        waited_s = time.monotonic() - one.queued_at
        number = await self._take(*one.key)
        if not number:
            return  # another replica is at it; should that die, the sweep comes back to it
        game_id, problem, submitted = one.game_id, one.problem, one.submitted
        attributes: dict[str, Value] = {
            "game.id": game_id,
            "player.id": submitted.player_id,
            "attempt": submitted.attempt,
        }
        with self._observer.tracer.continued(SpanName.JUDGE, submitted.traceparent, attributes) as span:
            with self._observer.tracer.child(SpanName.JUDGE_RUN, {"problem": problem.id}):
                report = await self._report(one, number)
            if report is None:
                return
            if span is not None:
                span.note({"verdict": report.verdict})
            trace_id = span.trace_id if span else None
            took_s = time.monotonic() - one.queued_at
            self._observer.judged(problem.id, Judged(report.verdict, waited_s, report.duration_s, took_s), trace_id)
            await record(game_id, _verdict(submitted, report))

    async def _report(self, one: _Submission, number: int) -> Report | None:
        """Try as often as may be, this the `number`th time; None where another replica made the next."""
        started = time.monotonic()
        known = self._problems.get(one.problem.id)
        if known is None:
            return self._error(started, "this problem is no longer known to the judge")
        while number and number <= self._settings.judge_retries + 1:
            try:
                return await self._judge.judge(known, one.submitted.code)
            except JudgeUnavailable as fault:
                self._report_fault("judge", fault)
            if number > self._settings.judge_retries:
                break
            await asyncio.sleep(min(self._settings.judge_retry_delay_s * 2.0 ** (number - 1), MAX_RETRY_DELAY_S))
            number = await self._take(*one.key)
        return self._error(started, "the judge could not run this, however often it tried") if number else None

    @staticmethod
    def _error(started: float, detail: str) -> Report:
        return Report(
            verdict=Verdict.JUDGE_ERROR,
            tests_passed=0,
            tests_total=0,
            duration_s=time.monotonic() - started,
            detail=detail,
        )


def _verdict(submitted: CodeSubmitted, report: Report) -> RecordVerdict:
    return RecordVerdict(
        player_id=submitted.player_id,
        attempt=submitted.attempt,
        verdict=report.verdict,
        tests_passed=report.tests_passed,
        tests_total=report.tests_total,
        duration_ms=round(report.duration_s * 1000),
        detail=report.detail,
        tests=report.tests,
    )
