"""Progress is fair: bounded for each player and for the room, and the newest of everybody arrives."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any, cast

import uvloop
from hypothesis import given
from hypothesis import strategies as st

from app.realtime.connection.outbox import Sent
from app.realtime.connection.session import Session
from app.realtime.room.progress import MOST_PER_TURN, PlayerProgress, ProgressBoard
from app.settings import LimitSettings
from app.telemetry.observer import Observer
from app.transport import Frame
from tools.harness.clock import VirtualLoop

Arrival = tuple[float, str, int]
"""When, whose, and which."""
INTERVAL_S = 0.2


class Member:
    """A member's outbox, which notes what is put into it: what is measured here is before any socket."""

    ended = None

    def __init__(self, player_id: str) -> None:
        self.player_id = player_id
        self.outbox = self
        self.arrived: list[Arrival] = []
        self.turns: list[int] = []
        self.broken = False
        self.failed = False

    def cork(self) -> None:
        """Nothing is written."""

    def put_now(self, frame: Frame) -> bool:
        if self.broken:
            raise ConnectionError("a fault of this member")
        data = json.loads(frame.payload)["data"]
        self.arrived.append((asyncio.get_running_loop().time(), data["player_id"], data["lines"]))
        return True

    def put_droppable(self, type: str, key: str, frame: Frame) -> Sent:
        raise AssertionError((type, key, frame))

    def fail(self, error: Exception) -> None:
        assert isinstance(error, ConnectionError)
        self.failed = True


class Counted(Observer):
    """Counts what is not sent."""

    def __init__(self) -> None:
        self.counts = {"coalesced": 0, "dropped": 0, "sent": 0}

    def sent_droppable(self, type: str, size: int, sent: int, replaced: int, dropped: int) -> None:  # noqa: ARG002 - the interface's
        self.counts["coalesced"] += replaced
        self.counts["dropped"] += dropped
        self.counts["sent"] += sent


class Board:
    """A board and its members."""

    def __init__(self, players: int, interval_s: float = INTERVAL_S, rate: float = 0.0) -> None:
        self.members = {str(number): Member(str(number)) for number in range(players)}
        self.observer = Counted()
        self.told: list[PlayerProgress] = []
        self.board = ProgressBoard(
            LimitSettings(progress_interval_s=interval_s, progress_deliveries_per_second=rate),
            cast("dict[str, Session]", self.members),
            self.observer,
            self.told.append,
        )

    def show(self, player: int, lines: int, *, here: bool = True) -> None:
        self.board.show(PlayerProgress(player_id=str(player), lines=lines), here=here)

    @property
    def arrivals(self) -> list[Arrival]:
        """Of all members."""
        return sorted(one for member in self.members.values() for one in member.arrived)


def run(work: Coroutine[Any, Any, None]) -> None:
    """On a clock that need not be waited for."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)


def timers() -> int:
    """How many timers the loop holds."""
    loop = cast("Any", asyncio.get_running_loop())
    return sum(not handle.cancelled() for handle in loop._scheduled)


def test_the_first_is_shown_at_once_then_the_newest_after_the_interval() -> None:
    async def work() -> None:
        board = Board(3)
        for lines in range(50):
            board.show(0, lines)
        one = board.members["1"]
        assert one.arrived == [(1_000.0, "0", 0)]
        await asyncio.sleep(10)
        assert one.arrived == [(1_000.0, "0", 0), (1_000.0 + INTERVAL_S, "0", 49)]
        assert board.members["0"].arrived == [], "nobody is shown their own"
        assert board.observer.counts == {"coalesced": 48 * 2, "dropped": 0, "sent": 4}
        assert [progress.lines for progress in board.told] == [0, 49], "other replicas are told as often"
        assert timers() == 0, "where nothing waits there is no timer"

    run(work())


def test_more_comes_while_the_rest_is_due_at_once_on_the_loop_that_serves() -> None:
    async def work() -> None:
        board = Board(MOST_PER_TURN + 10)
        board.show(0, 1)
        board.show(1, 2)
        async with asyncio.timeout(20):
            while len(board.members["2"].arrived) < 2 or len(board.arrivals) < 2 * (MOST_PER_TURN + 9):  # noqa: ASYNC110 - what is waited for announces itself to nobody
                await asyncio.sleep(0.001)

    uvloop.run(work())


def test_what_another_replica_told_is_not_told_again() -> None:
    async def work() -> None:
        board = Board(3)
        board.show(7, 1, here=False)
        assert [one[1] for one in board.arrivals] == ["7"] * 3
        assert board.told == []

    run(work())


@given(
    plan=st.lists(st.tuples(st.floats(0, 0.3), st.integers(0, 5)), min_size=1, max_size=120),
    players=st.sampled_from([2, 6, 40, 400]),
    rate=st.sampled_from([0.0, 50.0, 400.0, 20_000.0]),
)
def test_whatever_is_said_the_bounds_hold_and_the_newest_of_everybody_arrives(
    plan: list[tuple[float, int]], players: int, rate: float
) -> None:
    async def work() -> None:
        board = Board(players, rate=rate)
        newest: dict[str, int] = {}
        said: dict[tuple[str, int], float] = {}
        for lines, (gap_s, speaker) in enumerate(plan):
            await asyncio.sleep(gap_s)
            player = speaker % players
            board.show(player, lines)
            newest[str(player)] = lines
            said[str(player), lines] = asyncio.get_running_loop().time()
        await asyncio.sleep(1_000 + 10 * players * len(newest) / (rate or 1_000))
        for member in board.members.values():
            _hold_to_the_interval(member, newest)
        _hold_to_the_rate(board.arrivals, rate, players)
        assert all(at >= said[who, lines] for at, who, lines in board.arrivals)
        assert timers() == 0

    run(work())


def _hold_to_the_interval(member: Member, newest: dict[str, int]) -> None:
    seen: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in member.arrived:
        seen[arrival[1]].append(arrival)
    expected = {player: lines for player, lines in newest.items() if player != member.player_id}
    assert {player: arrivals[-1][2] for player, arrivals in seen.items()} == expected
    for arrivals in seen.values():
        assert [lines for _, _, lines in arrivals] == sorted({lines for _, _, lines in arrivals}), "older after newer"


def _hold_to_the_rate(arrivals: list[Arrival], rate: float, players: int) -> None:
    at_once: dict[float, int] = defaultdict(int)
    for at, *_ in arrivals:
        at_once[at] += 1
    begin = arrivals[0][0]
    sent = 0
    for at, count in at_once.items():
        if rate:
            assert count <= MOST_PER_TURN
            assert sent <= (at - begin) * rate * players / (players - 1) + 1e-3, "over the rate"
        sent += count


def test_each_player_waits_for_the_interval_and_nobody_longer_than_a_round() -> None:
    """All talk all the time: everybody's turn comes, as often as anybody else's."""

    async def work() -> None:
        board = Board(40, interval_s=0.1, rate=4_000)
        for lines in range(2_000):
            for player in range(40):
                board.show(player, lines)
            await asyncio.sleep(0.005)
        shown = [sum(one[1] == str(player) for one in board.members["0"].arrived) for player in range(1, 40)]
        assert max(shown) - min(shown) <= 1, "round robin"
        assert 10 * 4_000 * 0.9 < board.observer.counts["sent"] <= 10 * 4_000 + MOST_PER_TURN

    run(work())


def test_a_thousand_players_are_served_in_turns() -> None:
    async def work() -> None:
        board = Board(1_000, rate=10_000)
        for player in range(1_000):
            board.show(player, 1)
        assert len(board.arrivals) <= MOST_PER_TURN, "one turn of the loop"
        await asyncio.sleep(50)
        assert 450_000 < board.observer.counts["sent"] < 500_000 + MOST_PER_TURN
        board.show(999, 2)
        await asyncio.sleep(60)
        assert {one[1] for one in board.members["0"].arrived} == {str(player) for player in range(1, 1_000)}
        assert board.members["0"].arrived[-1][1:] == ("999", 2)
        assert timers() == 0

    run(work())


def test_nothing_is_shown_after_the_end_and_what_waited_is_counted() -> None:
    async def work() -> None:
        board = Board(3)
        board.show(0, 1)
        board.show(0, 2)
        board.show(1, 1)
        board.show(1, 2)
        before = board.arrivals
        board.board.clear()
        assert timers() == 0
        await asyncio.sleep(10)
        assert board.arrivals == before
        assert board.observer.counts == {"coalesced": 2, "dropped": 4, "sent": 2}

    run(work())


def test_a_member_that_fails_ends_alone() -> None:
    async def work() -> None:
        board = Board(40, rate=1_000)
        board.members["3"].broken = True
        for player in range(5, 30):
            board.show(player, 1)
        await asyncio.sleep(60)
        assert board.members["3"].failed
        for one in ("0", "4", "39"):
            assert len(board.members[one].arrived) == 25
        assert timers() == 0

    run(work())
