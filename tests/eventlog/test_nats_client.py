"""The shorter way of NATS's messages: what is written, and what is read however it arrives."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from nats.errors import BadSubjectError

from app.eventlog import START, Commit, Cursor, LogListener, LogUnavailable
from app.eventlog.nats import NatsEventLog
from app.eventlog.nats.client import QuickClient, headers_of, message
from app.game import PlayerReady
from app.vocabulary import LogTrouble
from tools.harness.nats import Nats, log_settings

pytestmark = pytest.mark.anyio

HEAD = b"NATS/1.0\r\nNats-Sequence: 7\r\n\r\n"
WIRE = (
    b"PING\r\nMSG a.b 1 2\r\n\r\n\r\n+OK\r\nHMSG a.c 1 _INBOX.x 30 33\r\n"
    + HEAD
    + b"MSG\r\nMSG a.d 2 0\r\n\r\nPING\r\n"
)
HEARD = [("a.b", b"", b"\r\n"), ("a.c", HEAD, b"MSG"), ("other a.d", b"", b"")]


class Pinged(QuickClient):
    """Notes what it hears and how often it was pinged, connected to nothing."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes, bytes]] = []
        self.pings = 0
        self.faults: list[str] = []
        super().__init__(lambda where, error: self.faults.append(f"{where}: {error}"))

    async def _process_ping(self) -> None:
        self.pings += 1

    async def _send_subscribe(self, sub: object) -> None:
        """Nobody is there."""


async def listening() -> Pinged:
    client = Pinged()
    await client.receive("a.*", lambda *got: client.heard.append(got))
    await client.receive("a.d", lambda subject, *got: client.heard.append((f"other {subject}", *got)))
    return client


async def test_what_is_read_does_not_depend_on_where_it_is_cut() -> None:
    for first in range(len(WIRE) + 1):
        for second in range(first, len(WIRE) + 1, 7):
            client = await listening()
            for part in (WIRE[:first], WIRE[first:second], WIRE[second:]):
                await client._ps.parse(part)
            assert (client.heard, client.pings) == (HEARD, 2)


async def test_whoever_raises_at_a_message_is_told_of_and_the_others_get_theirs() -> None:
    client = Pinged()

    def fail(*_: object) -> None:
        raise ValueError("a fault")

    await client.receive("a.b", fail)
    await client.receive("a.d", lambda *got: client.heard.append(got))
    await client._ps.parse(WIRE)
    assert client.faults == ["nats receive: a fault"] * 2
    assert [subject for subject, _, _ in client.heard] == ["a.d"]


async def test_what_came_for_a_subscription_that_has_ended_is_ignored() -> None:
    client = await listening()
    await client._ps.parse(b"MSG a.x 9 1\r\n!\r\nMSG a.b 1 1\r\n!\r\n")
    assert (client.heard, client.faults) == ([("a.b", b"", b"!")], [])


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB b 0\r\n", "a\x00"])
async def test_no_subject_begins_another_command(subject: str) -> None:
    with pytest.raises(BadSubjectError):
        message(subject, b"")
    with pytest.raises(BadSubjectError):
        await Pinged().receive(subject, print)


def test_headers() -> None:
    sent = message("a", b"body", "r", {"One": "1", "Two": "a: b"})
    assert sent == b"HPUB a r 31 35\r\nNATS/1.0\r\nOne: 1\r\nTwo: a: b\r\n\r\nbody\r\n"
    assert headers_of(sent.partition(b"\r\n")[2][:31]) == {"One": "1", "Two": "a: b"}
    assert headers_of(b"NATS/1.0 503\r\n\r\n") == {"Status": "503", "Description": ""}
    ended = b"NATS/1.0 204 EOB\r\nNats-Num-Pending: 3\r\n\r\n"
    assert headers_of(ended) == {"Status": "204", "Description": "EOB", "Nats-Num-Pending": "3"}


# ---------------------------------------------------------------- with a server


async def opened(nats: Nats) -> NatsEventLog:
    log = NatsEventLog(log_settings(nats.url, nats_timeout_s=60), "r1")
    await log.open()
    return log


class Dropping(LogListener):
    """Counts broadcasts that were not sent."""

    def __init__(self) -> None:
        self.dropped = 0

    def on_broadcast_dropped(self) -> None:
        self.dropped += 1


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not check():  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.01)


async def test_commits_of_many_games_are_under_way_at_once_and_each_games_arrive_in_order(tmp_path: Path) -> None:
    with Nats(tmp_path) as nats:
        writer, reader = await opened(nats), await opened(nats)
        heard: dict[str, list[Commit]] = {f"g{number}": [] for number in range(60)}
        for game, commits in heard.items():
            await reader.subscribe(game, commits.append)

        async def play(game: str) -> list[Cursor]:
            cursors = [START]
            for seq in range(1, 9):
                event = PlayerReady(seq=seq, at=1, player_id="ann", ready=True)
                cursors.append((await writer.append(game, cursors[-1], [event])).cursor)
            return cursors[1:]

        played = dict(zip(heard, await asyncio.gather(*map(play, heard)), strict=True))
        await until(lambda: all(len(commits) == 8 for commits in heard.values()))
        assert {game: [one.cursor for one in commits] for game, commits in heard.items()} == played
        await writer.close()
        await reader.close()


async def test_no_more_broadcasts_wait_to_be_sent_than_the_bound(tmp_path: Path) -> None:
    with Nats(tmp_path) as nats:
        log, dropping = await opened(nats), Dropping()
        log.listen(dropping)
        nats.nodes[0].freeze()
        async with asyncio.timeout(30):
            while not dropping.dropped:
                log.coordination.broadcast("g", bytes(100_000))
                await asyncio.sleep(0)
        nats.nodes[0].kill()
        await log._link.lost.wait()
        await log.close()


async def test_without_a_connection_no_broadcast_is_kept_and_who_waits_for_it_is_told_of_the_end(
    tmp_path: Path,
) -> None:
    with Nats(tmp_path) as nats:
        log, dropping = await opened(nats), Dropping()
        log.listen(dropping)
        nats.nodes[0].kill()
        await log._link.lost.wait()
        log.coordination.broadcast("g", b"one")
        assert dropping.dropped == 1
        waiting = asyncio.create_task(log.append("g", START, [PlayerReady(seq=1, at=1, player_id="a", ready=True)]))
        await asyncio.sleep(0)  # one turn: it waits for a connection
        ending = asyncio.create_task(log.abandon(LogUnavailable("enough")))
        for _ in range(5):  # turns: it waits for nothing else
            await asyncio.sleep(0)
        assert waiting.done()
        assert isinstance(waiting.exception(), LogUnavailable)
        await ending
        await log.close()


async def test_what_is_too_large_or_for_nobody_is_refused_and_the_connection_stays(tmp_path: Path) -> None:
    with Nats(tmp_path) as nats:
        log = await opened(nats)
        large = [PlayerReady(seq=seq, at=1, player_id="ann" * 1_000, ready=True) for seq in range(1, 500)]
        with pytest.raises(LogUnavailable) as refused:
            await log.append("g", START, large)
        assert refused.value.trouble is LogTrouble.FULL
        await log.append("g", START, large[:1])
        with pytest.raises(LogUnavailable) as refused:
            await log._link.request("game.nobody", b"", 30)
        assert refused.value.trouble is LogTrouble.NO_LEADER
        await log.close()
