"""Whatever is appended in whatever order: all backends give the same answers, and no log has a gap."""

import asyncio
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.eventlog import START, Conflict, Cursor, EventLog, open_event_log
from app.game import GameEvent, PlayerReady
from tools.harness.nats import Nats, log_settings

GAMES = ("a", "b")
STEPS = st.lists(
    st.tuples(st.sampled_from(GAMES), st.integers(1, 3), st.sampled_from(["right", "behind", "start"])), max_size=15
)


async def play(log: EventLog, steps: list[tuple[str, int, str]]) -> list[object]:
    """Do the steps, in games of their own; every answer, and what the logs hold in the end."""
    await log.open()
    ids = {game: f"{game}-{uuid.uuid4()}" for game in GAMES}
    cursors: dict[str, list[Cursor]] = {game: [START] for game in ids.values()}
    delivered: list[int] = []
    subscription = await log.subscribe(ids["a"], lambda commit: delivered.extend(event.seq for event in commit.events))
    answers: list[object] = []
    for letter, count, where in steps:
        game = ids[letter]
        known = cursors[game]
        after = {"right": known[-1], "behind": known[max(0, len(known) - 2)], "start": START}[where]
        first = sum(1 for _ in await _events(log, game)) + 1
        events: list[GameEvent] = [
            PlayerReady(seq=first + number, at=first, player_id=game, ready=True) for number in range(count)
        ]
        try:
            known.append((await log.append(game, after, events)).cursor)
            answers.append("accepted")
        except Conflict:
            answers.append("conflict")
            assert after != known[-1]
    for game in ids.values():
        seqs = [event.seq for event in await _events(log, game)]
        assert seqs == list(range(1, len(seqs) + 1))
        commits = await log.read(game)
        for number, after in enumerate(cursors[game]):
            assert await log.read(game, after) == commits[number:]
        answers.append(seqs)
    expected = [event.seq for event in await _events(log, ids["a"])]
    async with asyncio.timeout(20):
        while len(delivered) < len(expected):  # noqa: ASYNC110 - a shared log delivers a moment later
            await asyncio.sleep(0.001)
    assert delivered == expected
    subscription.close()
    await log.close()
    return answers


async def _events(log: EventLog, game: str) -> list[GameEvent]:
    return [event for commit in await log.read(game) for event in commit.events]


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with Nats(tmp_path_factory.mktemp("nats")) as running:
        yield running


@settings(max_examples=40)
@given(STEPS)
def test_all_backends_answer_alike(nats: Nats, steps: list[tuple[str, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sqlite = asyncio.run(play(open_event_log(log_settings(f"sqlite:///{Path(folder) / 'log.db'}"), "r1"), steps))
    assert asyncio.run(play(open_event_log(log_settings("memory:"), "r1"), steps)) == sqlite
    assert asyncio.run(play(open_event_log(log_settings(nats.url), "r1"), steps)) == sqlite
