"""Appends that are under way at once on one server are stored together, each as if it were alone."""

import asyncio
import contextlib
import json
from functools import partial
from pathlib import Path

import nats as nats_client
import pytest

from app.eventlog import START, Commit, Conflict, Cursor, LogUnavailable
from app.eventlog.nats import NatsEventLog
from app.eventlog.nats.together import LEAST
from app.game import GameEvent, PlayerReady
from tools.harness.nats import Nats, log_settings
from tools.harness.proxy import TcpProxy

pytestmark = pytest.mark.anyio


def event(seq: int) -> list[GameEvent]:
    return [PlayerReady(seq=seq, at=1, player_id="ann", ready=True)]


async def opened(url: str) -> NatsEventLog:
    log = NatsEventLog(log_settings(url, nats_timeout_s=20), "r1")
    await log.open()
    return log


async def appended(log: NatsEventLog, game_id: str, count: int) -> list[Commit]:
    """One commit after the other, as a game has them; an append that is not known to be stored is tried again."""
    commits: list[Commit] = []
    while len(commits) < count:
        after = commits[-1].cursor if commits else START
        with contextlib.suppress(LogUnavailable):
            commits.append(await log.append(game_id, after, event(len(commits) + 1)))
    return commits


def batches(tmp_path: Path) -> int:
    """How many commits the server has that came in a batch."""
    return sum(
        one.read_bytes().count(b"Nats-Batch-Id")
        for one in tmp_path.glob("store0/jetstream/*/streams/CODE_RACER/msgs/*.blk")
    )


async def test_appends_that_wait_for_one_another_are_stored_together(tmp_path: Path) -> None:
    with Nats(tmp_path) as nats:
        log = await opened(nats.url)
        games = [f"g{number}" for number in range(2 * LEAST)]
        told = await asyncio.gather(*(appended(log, game, 3) for game in games))
        assert batches(tmp_path) > LEAST
        assert [[one.cursor for one in await log.read(game)] for game in games] == [
            [one.cursor for one in commits] for commits in told
        ]
        await log.close()


async def test_a_stream_that_was_made_without_batches_and_with_compression_is_taken_as_it_is(tmp_path: Path) -> None:
    with Nats(tmp_path) as nats:
        await (await opened(nats.url)).close()
        client = await nats_client.connect(nats.url)
        found = json.loads((await client.request("$JS.API.STREAM.INFO.CODE_RACER")).data)["config"]
        assert found["allow_atomic"]
        assert found["compression"] == "none"
        changed = found | {"allow_atomic": False, "compression": "s2"}
        await client.request("$JS.API.STREAM.UPDATE.CODE_RACER", json.dumps(changed).encode())
        log = await opened(nats.url)
        await asyncio.gather(*(appended(log, f"g{number}", 2) for number in range(2 * LEAST)))
        assert batches(tmp_path) == 0
        found = json.loads((await client.request("$JS.API.STREAM.INFO.CODE_RACER")).data)["config"]
        assert not found.get("allow_atomic")
        assert found["compression"] == "s2"
        await log.close()
        await client.close()


async def test_of_those_stored_together_one_that_comes_late_is_a_conflict_and_the_others_are_stored(
    tmp_path: Path,
) -> None:
    with Nats(tmp_path) as nats:
        log, other = await opened(nats.url), await opened(nats.url)
        games = [f"g{number}" for number in range(2 * LEAST)]
        firsts = await asyncio.gather(*(appended(log, game, 1) for game in games))
        await other.append("g5", firsts[5][0].cursor, event(2))
        found = await asyncio.gather(
            *(log.append(game, first.cursor, event(2)) for game, (first,) in zip(games, firsts, strict=True)),
            return_exceptions=True,
        )
        assert [type(one) for one in found] == [Conflict if game == "g5" else Commit for game in games]
        assert [len(await log.read(game)) for game in games] == [2] * len(games)
        await log.close()
        await other.close()


async def test_a_batch_whose_answer_was_lost_is_stored_once_even_where_the_server_has_forgotten_its_ids(
    tmp_path: Path,
) -> None:
    with Nats(tmp_path) as nats, TcpProxy(nats.nodes[0].port) as proxy:
        log = await opened(f"nats://127.0.0.1:{proxy.port}")
        games = [f"g{number}" for number in range(2 * LEAST)]
        client = await nats_client.connect(nats.url)
        info = await client.jetstream().stream_info("CODE_RACER")
        info.config.duplicate_window = 0.1
        await client.jetstream().update_stream(info.config)
        await client.close()
        firsts = await asyncio.gather(*(appended(log, game, 1) for game in games))
        proxy.lose_next(b'"batch":')
        seconds = await asyncio.gather(
            *(log.append(game, first.cursor, event(2)) for game, (first,) in zip(games, firsts, strict=True))
        )
        assert proxy.lose is None, "the answer was lost"
        assert [[one.cursor for one in await log.read(game)] for game in games] == [
            [first.cursor, second.cursor] for (first,), second in zip(firsts, seconds, strict=True)
        ]
        await log.close()


async def test_what_was_stored_together_is_told_once_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server tells it before, and answers no question until then."""
    with Nats(tmp_path) as nats:
        log, reader = await opened(nats.url), await opened(nats.url)
        asked, answered, all_told = asyncio.Event(), asyncio.Event(), asyncio.Event()
        ask = reader._commits.last

        async def answer(subject: str) -> object:
            asked.set()
            await answered.wait()
            return await ask(subject)

        monkeypatch.setattr(reader._commits, "last", answer)
        games = [f"g{number}" for number in range(2 * LEAST)]
        told: dict[str, list[Cursor]] = {game: [] for game in games}

        def hear(game: str, commit: Commit) -> None:
            told[game].append(commit.cursor)
            if sum(map(len, told.values())) == 3 * len(games):
                all_told.set()

        for game in games:
            await reader.subscribe(game, partial(hear, game))
        stored = await asyncio.gather(*(appended(log, game, 3) for game in games))
        async with asyncio.timeout(20):
            await asked.wait()
            assert sum(map(len, told.values())) < LEAST
            answered.set()
            await all_told.wait()
        assert list(told.values()) == [[one.cursor for one in commits] for commits in stored]
        await log.close()
        await reader.close()


async def test_what_was_stored_together_survives_the_server_and_stands_there_once(tmp_path: Path) -> None:
    with Nats(tmp_path) as nats:
        log = await opened(nats.url)
        games = [f"g{number}" for number in range(4 * LEAST)]
        appending = asyncio.gather(*(appended(log, game, 12) for game in games))
        for count in (LEAST, 4 * LEAST):
            async with asyncio.timeout(20):
                while batches(tmp_path) < count:  # noqa: ASYNC110 - another process's
                    await asyncio.sleep(0)
            nats.nodes[0].kill()
            nats.nodes[0].start()
        told = await appending
        for game, commits in zip(games, told, strict=True):
            assert [(one.cursor, one.events) for one in await log.read(game)] == [
                (one.cursor, one.events) for one in commits
            ]
        await log.close()
