"""Whatever is appended in whatever order: both backends give the same answers, and no log has a gap."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from app.eventlog import START, Conflict, Cursor, EventLog, open_event_log
from app.game import GameEvent, PlayerReady

GAMES = ("a", "b")
STEPS = st.lists(
    st.tuples(st.sampled_from(GAMES), st.integers(1, 3), st.sampled_from(["right", "behind", "start"])), max_size=15
)


async def play(log: EventLog, steps: list[tuple[str, int, str]]) -> list[object]:
    """Do the steps; every answer, and what the logs hold in the end."""
    await log.open()
    cursors: dict[str, list[Cursor]] = {game: [START] for game in GAMES}
    delivered: list[int] = []
    subscription = await log.subscribe("a", lambda commit: delivered.extend(event.seq for event in commit.events))
    answers: list[object] = []
    for game, count, where in steps:
        known = cursors[game]
        after = {"right": known[-1], "behind": known[max(0, len(known) - 2)], "start": START}[where]
        first = sum(1 for _ in await _events(log, game)) + 1
        events: list[GameEvent] = [
            PlayerReady(seq=first + number, at=first, player_id=game, ready=True) for number in range(count)
        ]
        try:
            known.append(await log.append(game, after, events))
            answers.append("accepted")
        except Conflict:
            answers.append("conflict")
            assert after != known[-1]
    for game in GAMES:
        seqs = [event.seq for event in await _events(log, game)]
        assert seqs == list(range(1, len(seqs) + 1))
        for after_seq in range(len(seqs) + 1):
            later = [event.seq for commit in await log.read(game, after_seq) for event in commit.events]
            assert later[-1:] == seqs[-1:] if after_seq < len(seqs) else not later
        answers.append(seqs)
    assert delivered == [event.seq for event in await _events(log, "a")]
    subscription.close()
    await log.close()
    return answers


async def _events(log: EventLog, game: str) -> list[GameEvent]:
    return [event for commit in await log.read(game) for event in commit.events]


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_both_backends_answer_alike(steps: list[tuple[str, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sqlite = asyncio.run(play(open_event_log(f"sqlite:///{Path(folder) / 'log.db'}"), steps))
    assert asyncio.run(play(open_event_log("memory:"), steps)) == sqlite
