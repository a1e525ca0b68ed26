"""A measured event log: what is observed of it, and that it otherwise is the log behind it."""

from collections.abc import Sequence

import pytest

from app.eventlog import START, Commit, Conflict, Cursor, LogListener, LogUnavailable
from app.eventlog.embedded import MemoryEventLog
from app.game import GameEvent
from app.telemetry.measured import MeasuredEventLog
from app.telemetry.observer import Observer
from app.vocabulary import AppendOutcome, LogOp, LogTrouble
from tools.harness.games import GAME_ID, Game

pytestmark = pytest.mark.anyio


class FailingLog(MemoryEventLog):
    """A log in memory that is full while it `is_full`, and keeps who listens."""

    is_full = False
    listener = LogListener()

    def listen(self, listener: LogListener) -> None:
        self.listener = listener

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        if self.is_full:
            raise LogUnavailable("full", LogTrouble.FULL)
        return await super().append(game_id, after, events)


class Noting(Observer, LogListener):
    """Notes what is observed, and what the listener behind the measurement is told."""

    def __init__(self) -> None:
        self.noted: list[object] = []

    def append(self, outcome: AppendOutcome, duration_s: float, trace_id: str | None = None) -> None:
        assert duration_s >= 0
        assert trace_id is None
        self.noted.append(outcome)

    def event(self, game_id: str, event: GameEvent) -> None:
        self.noted.append((game_id, event.seq))

    def event_log_failed(self, op: LogOp, trouble: LogTrouble) -> None:
        self.noted.append((op, trouble))

    def event_log_troubled(self, trouble: LogTrouble, detail: str) -> None:
        self.noted.append(("observed", trouble, detail))

    def broadcast_dropped(self) -> None:
        self.noted.append("observed dropped")

    def fault(self, where: str, error: BaseException, game_id: str | None = None) -> None:
        assert game_id is None
        self.noted.append((where, str(error)))

    def on_trouble(self, trouble: LogTrouble, detail: str) -> None:
        self.noted.append(("told", trouble, detail))

    def on_restored(self) -> None:
        self.noted.append("told restored")


async def test_every_append_is_observed_once_and_its_events_where_they_were_accepted() -> None:
    log, noting = FailingLog(), Noting()
    measured = MeasuredEventLog(log, noting)
    events = Game().events
    commit = await measured.append(GAME_ID, START, events)
    assert (commit.events, await measured.read(GAME_ID)) == (tuple(events), await log.read(GAME_ID))
    with pytest.raises(Conflict):
        await measured.append(GAME_ID, START, events)
    log.is_full = True
    with pytest.raises(LogUnavailable):
        await measured.append(GAME_ID, commit.cursor, events)
    assert noting.noted == [
        AppendOutcome.ACCEPTED,
        (GAME_ID, 1),
        AppendOutcome.CONFLICT,
        (LogOp.APPEND, LogTrouble.FULL),
        AppendOutcome.UNAVAILABLE,
    ]


async def test_what_a_log_reports_is_observed_and_passed_on_where_there_is_something_to_do() -> None:
    log, noting = FailingLog(), Noting()
    MeasuredEventLog(log, noting).listen(noting)
    log.listener.on_trouble(LogTrouble.UNREACHABLE, "gone")
    log.listener.on_restored()
    log.listener.on_broadcast_dropped()
    log.listener.on_fault("subscriber", ValueError("a fault"))
    assert noting.noted == [
        ("observed", LogTrouble.UNREACHABLE, "gone"),
        ("told", LogTrouble.UNREACHABLE, "gone"),
        "told restored",
        "observed dropped",
        ("subscriber", "a fault"),
    ]


async def test_what_coordination_could_not_be_had_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    log, noting = FailingLog(), Noting()

    async def refuse(*_: object) -> bool:
        raise LogUnavailable("gone", LogTrouble.UNREACHABLE)

    for name, op in (
        ("claim", LogOp.CLAIM),
        ("count", LogOp.COUNT),
        ("heartbeat", LogOp.REPLICAS),
        ("subscribe", LogOp.SUBSCRIBE),
    ):
        monkeypatch.setattr(log.coordination, name, refuse)
        with pytest.raises(LogUnavailable):
            await getattr(MeasuredEventLog(log, noting).coordination, name)("one", 1)
        assert noting.noted.pop() == (op, LogTrouble.UNREACHABLE)
    assert noting.noted == []
