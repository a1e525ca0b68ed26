"""Erasing: what a player is called and wrote is gone from the games that are kept, and these are as they were."""

import pytest

from app.console.erasing import Eraser
from app.eventlog import START
from app.eventlog.codec import encode_events
from app.eventlog.embedded import MemoryEventLog
from app.game import GameEvent, Join, RecordVerdict, SetReady, Submit, Verdict, erased, fold
from app.protocol import TestReport
from tools.harness.games import GAME_ID, Game

pytestmark = pytest.mark.anyio
SECRET_CODE, SECRET_NAME, SECRET_OUTPUT = "ann-wrote-this", "Ann-is-called-this", "ann-printed-this"
ENDLESS_ID = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a01"
OTHERS_ID = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a02"


def race() -> Game:
    """A race of two, with code of both, that has ended."""
    game = Game(time_limit_ms=60_000)
    game.do(Join("ann", SECRET_NAME, "c-ann"))
    game.do(Join("bob", "Bob", "c-bob"))
    for player in ("ann", "bob"):
        game.do(SetReady(player, True))
    game.wait(game.known.rules.countdown_ms)
    for player, code in (("ann", SECRET_CODE), ("bob", "bob-wrote-this")):
        game.do(Submit(player, code, "python"))
        tests = [TestReport("1", "1", SECRET_OUTPUT if player == "ann" else "bob-printed-this", passed=False)]
        verdict = RecordVerdict(
            player_id=player, attempt=1, verdict=Verdict.WRONG_ANSWER, tests_passed=3, tests_total=8,
            duration_ms=5, detail=SECRET_OUTPUT if player == "ann" else "", tests=tests,
        )  # fmt: skip
        game.do(verdict)
    game.wait(60_000)
    return game


def test_of_one_player_nothing_is_left_but_the_id_and_how_it_went() -> None:
    game = race()
    without = erased(game.events, "ann")
    text = encode_events(without).decode()
    for secret in (SECRET_CODE, SECRET_NAME, SECRET_OUTPUT):
        assert secret not in text
    whole = encode_events(game.events).decode()
    for other in ("bob-wrote-this", '"Bob"', "bob-printed-this"):
        assert text.count(other) == whole.count(other) > 0, "those of others stay"
    before, after = fold(game.events), fold(without)
    assert before is not None
    assert after is not None
    assert [(one.player_id, one.rank, one.tests_passed) for one in after.ranking] == [
        (one.player_id, one.rank, one.tests_passed) for one in before.ranking
    ]
    assert [(one.seq, one.at, type(one)) for one in without] == [(one.seq, one.at, type(one)) for one in game.events]
    assert erased(without, "ann") == without


async def append(log: MemoryEventLog, game_id: str, events: list[GameEvent]) -> None:
    await log.append(game_id, START, events)


async def test_games_that_go_on_are_named_and_those_of_others_stay_as_they_are() -> None:
    log, game = MemoryEventLog(), race()
    await append(log, GAME_ID, game.events)
    await append(log, ENDLESS_ID, game.events[:-1])
    others = Game().events
    await append(log, OTHERS_ID, others)
    erasure = await Eraser(log).erase("ann")
    assert erasure is not None
    assert (erasure.games, erasure.going_on, erasure.failed) == (1, [ENDLESS_ID], [])
    assert erasure.stays
    (commit,) = await log.read(GAME_ID)
    assert list(commit.events) == erased(game.events, "ann")
    assert [event for commit in await log.read(ENDLESS_ID) for event in commit.events] == game.events[:-1]
    assert await Eraser(log).erase("nobody") is None
