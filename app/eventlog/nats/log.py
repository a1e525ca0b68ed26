"""The event log on NATS JetStream, for many replicas.

One stream holds the commits of all games, one message a commit, on the game's own subject. An append names the sequence
of the game's last commit, and the stream refuses it where another came first (`Stream.store`). What is stored is
delivered at once to whoever has the game (`republish`), at most once: gaps show in the events' `seq` and are read
again, and `behind` finds those after which nothing came.

Which games there are stands in the state stream, beside the coordination: a game is listed as open before its first
commit is stored, and as ended after its last; whoever reads a game that has ended and is still listed as open mends it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from app.aio.cancellation import end
from app.eventlog.codec import decode_events, encode_events, ended_at
from app.eventlog.coordination import Subscription
from app.eventlog.nats.batch import BATCH, Stored, last_of_subjects, next_by_subject
from app.eventlog.nats.client import headers_of
from app.eventlog.nats.coordination import NatsCoordination
from app.eventlog.nats.durable import Durable
from app.eventlog.nats.jetstream import Stream
from app.eventlog.nats.link import NatsLink
from app.eventlog.nats.streams import BROADCAST, COMMIT, COMMITS_MADE_WITH, log_stream, log_subject, state_stream
from app.eventlog.nats.topics import Topics
from app.eventlog.port import START, Commit, Conflict, Cursor, LogListener, LogUnavailable
from app.game import GameEvent
from app.settings import EventLogSettings
from app.vocabulary import LogTrouble

PROBE_SUBJECT: Final = log_subject("probe")
PROBE: Final = bytes(4_096)
"""As large as a commit of some length, so that a stream that is full does not pass for one that takes commits."""


class NatsEventLog:
    """Keeps all games in two streams, which are made where they do not exist, unless they `must_exist`."""

    shared = True

    def __init__(self, settings: EventLogSettings, replica: str, *, must_exist: bool = False) -> None:
        self._settings = settings
        self._must_exist = must_exist
        self._link = NatsLink(settings, replica)
        self._commits = Stream(self._link, settings, log_stream(settings), COMMITS_MADE_WITH)
        self._state = Stream(self._link, settings, state_stream(settings), {})
        durable = Durable(lambda: self._commits.last(PROBE_SUBJECT))
        self._topics = Topics(self._link, {COMMIT: self._commit_of, BROADCAST: _as_sent}, durable)
        self.coordination = NatsCoordination(self._link, self._state, self._topics)
        self._appending = 0
        self._open: set[str] = set()
        self._settling: set[asyncio.Task[None]] = set()

    # ---------------------------------------------------------------- life

    def reread_user(self) -> None:
        """Read the files again that say who connects. Raises SettingsError."""
        self._link.reread_user()

    def listen(self, listener: LogListener) -> None:
        """Report to `listener` from now on."""
        self._link.listener = listener

    async def open(self) -> None:
        """Connect, make or verify the streams. Raises LogUnavailable."""
        await self._link.open()
        try:
            for stream in (self._commits, self._state):
                await stream.require(must_exist=self._must_exist)
        except LogUnavailable:
            await self._link.close()
            raise

    async def abandon(self, why: LogUnavailable) -> None:  # noqa: ARG002 - the port's
        """End the connection: what is under way fails with it."""
        await self._link.close()

    async def close(self) -> None:
        """Finish what is under way, within the time of an append and while there is a connection, and let go."""
        if self._settling:
            lost = asyncio.ensure_future(self._link.lost.wait())
            settled = asyncio.ensure_future(asyncio.wait(self._settling))
            await asyncio.wait(
                {lost, settled}, timeout=self._settings.nats_timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            await end({lost, settled, *self._settling})  # a game that was not settled, who reads it next settles
        await self._link.close()

    # ---------------------------------------------------------------- commits

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Append one commit; so many may be under way at once as the settings say."""
        if self._appending >= self._settings.nats_max_pending:
            raise LogUnavailable(f"{self._appending} appends are under way already", LogTrouble.BUSY)
        self._appending += 1
        try:
            if after == START:  # it is known to be open before there is anything of it
                await self._state.put(f"state.open.{game_id}", b"")
            cursor = await self._commits.store(log_subject(game_id), encode_events(events), after)
        finally:
            self._appending -= 1
        ended = ended_at(events)
        if ended is not None:
            self._settle(game_id, ended)
        return Commit(Cursor(cursor), tuple(events), time.time())

    async def replace(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Commit:
        """Replace the commits of a game by one: it is stored behind them, and then they are overwritten, one by one.

        Until then, and where that ends in the midst, the last one that begins with the first event counts (`read`). A
        rollup would be one step, but leaves in the servers' files what it removes (measured, nats-server 2.15).
        """
        subject = log_subject(game_id)
        if after == START:
            raise Conflict(game_id)
        cursor = await self._commits.store(subject, encode_events(events), after)
        for message in await self._commits.read_all(subject):
            if message.seq < cursor:
                await self._commits.overwrite(message.seq)
        return Commit(Cursor(cursor), tuple(events), time.time())

    async def scrub(self) -> None:
        """Do nothing: messages are overwritten when they are replaced. A cluster's raft log is not ours to compact."""

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        """Read the commits after `after`: a node that lags may answer, so the leader is asked how far the game is."""
        subject = log_subject(game_id)
        found, last = await asyncio.gather(self._commits.read_all(subject, after + 1), self._commits.last(subject))
        while (found[-1].seq if found else after) < (last.seq if last else 0):
            found.append(await self._next_of_leader(subject, (found[-1].seq if found else after) + 1))
        commits = _whole([Commit(Cursor(message.seq), decode_events(message.data)) for message in found])
        ended = ended_at(commits[-1].events) if commits else None
        if ended is not None and game_id in self._open:  # whoever ended it could not say so
            self._settle(game_id, ended)
        return commits

    async def _next_of_leader(self, subject: str, seq: int) -> Stored:
        message = await self._commits.first(subject, seq)
        if message is None:
            raise LogUnavailable(f"{subject}: what was there a moment ago is gone", LogTrouble.OTHER)
        return Stored(subject, message.seq, message.data)

    async def subscribe(self, game_id: str, deliver: Callable[[Commit], None]) -> Subscription:
        """Deliver the commits to come, as they are republished."""
        return await self._topics.subscribe(game_id, COMMIT, deliver)

    def _commit_of(self, subject: str, raw: bytes, data: bytes) -> Commit | None:
        headers = headers_of(raw)
        try:
            accepted_at = datetime.fromisoformat(headers["Nats-Time-Stamp"]).timestamp()
            return Commit(Cursor(int(headers["Nats-Sequence"])), decode_events(data), accepted_at)
        except (KeyError, ValueError) as error:
            text = f"{subject}: no commit: {type(error).__name__}"
            self._link.listener.on_trouble(LogTrouble.OTHER, text)
            return None
        except LogUnavailable as error:
            self._link.listener.on_trouble(error.trouble, f"{subject}: {error}")
            return None

    async def behind(self, cursors: Mapping[str, Cursor]) -> list[str]:
        """Find games that have gone on, beyond what was in order last time: what is late is found again."""
        games = list(cursors)
        late: list[str] = []
        up_to = verified = self._commits.verified
        for begin in range(0, len(games), BATCH):
            subjects = [log_subject(game_id) for game_id in games[begin : begin + BATCH]]
            answer = await self._commits.read_batch(last_of_subjects(subjects, verified + 1))
            found = {message.subject.split(".")[1]: message.seq for message in answer.messages}
            up_to = min(up_to, answer.up_to) if begin else answer.up_to
            for game_id, seq in found.items():
                if seq > cursors[game_id]:
                    late.append(game_id)
                    up_to = min(up_to, seq - 1)
        self._commits.verified = max(self._commits.verified, up_to)
        return late

    async def probe(self) -> None:
        """Store a message as a commit is stored, and one in the state stream, which replace those before them.

        With the state stream missing, no game is made and no replica is known: such a log is not back.
        """
        await self._commits.put(PROBE_SUBJECT, PROBE, {"Nats-Rollup": "sub"})
        await self._state.put("state.probe", b"")

    async def usage(self) -> tuple[int, int]:
        """Measure the stream of the commits, and read its limit."""
        found = await self._commits.info()
        return found.state.bytes, max(0, int(found.config.get("max_bytes", 0)))

    # ---------------------------------------------------------------- which games there are

    async def games(self) -> list[str]:
        """List the games that are open, and those that have ended and not expired."""
        ended = await self._state.read_all("state.ended.*")
        return sorted({*await self.open_games(), *(message.last_word for message in ended)})

    async def open_games(self) -> list[str]:
        """List the games that are open."""
        self._open = {message.last_word for message in await self._state.read_all("state.open.*")}
        return sorted(self._open)

    async def expire(self, ended_before: int) -> int:
        """Remove the games that finished before `ended_before`; they stand in the order in which they ended."""
        gone = 0
        while True:
            page = (await self._state.read_batch(next_by_subject("state.ended.*", 1))).messages
            due = [message.last_word for message in page if int(message.data) < ended_before]
            for game_id in due:
                await self._commits.purge(log_subject(game_id))
                await self._state.purge(f"state.open.{game_id}")
                await self._state.purge(f"state.ended.{game_id}")
            gone += len(due)
            if len(due) < BATCH:
                return gone

    def _settle(self, game_id: str, ended: int) -> None:
        """List a game as ended: retention counts from now on. Where that fails, the next who reads it tries again."""
        self._open.discard(game_id)
        task = asyncio.get_running_loop().create_task(self._note_end(game_id, ended), name="game ended")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _note_end(self, game_id: str, ended: int) -> None:
        try:
            await self._state.put(f"state.ended.{game_id}", str(ended).encode())
            await self._state.purge(f"state.open.{game_id}")
        except LogUnavailable as error:
            self._link.listener.on_trouble(error.trouble, str(error))


def _as_sent(_subject: str, _headers: bytes, data: bytes) -> bytes:
    return data


def _whole(commits: list[Commit]) -> list[Commit]:
    """Leave out what stands before a commit that was put in place of it."""
    begins = [index for index, commit in enumerate(commits) if commit.events[0].seq == 1]
    return commits[begins[-1] :] if begins else commits
