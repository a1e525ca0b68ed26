"""The event log on NATS JetStream, for many replicas.

One stream holds the commits of all games, one message a commit, on the game's own subject. An append names the sequence
of the game's last commit, and the stream refuses it where another came first (`Nats-Expected-Last-Subject-Sequence`).
An append whose answer was lost is tried again under the same `Nats-Msg-Id`: it is stored once. What is stored is told
live to whoever has the game (`republish`), at most once: gaps show in the events' `seq` and are read again, and
`behind` finds those after which nothing came.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from nats.aio.msg import Msg

from app.eventlog.codec import decode_events, encode_events, ended_at
from app.eventlog.nats import replies
from app.eventlog.nats.batch import BATCH, Batch, Stored, last_of_subjects, next_by_subject
from app.eventlog.nats.config import NatsConfig
from app.eventlog.nats.link import Link
from app.eventlog.nats.streams import (
    differences,
    live_subjects,
    log_stream,
    log_subject,
    progress_subject,
    state_stream,
)
from app.eventlog.port import START, Commit, Conflict, Cursor, LogOwner, LogUnavailable, Subscription
from app.game import GameEvent
from app.telemetry.bulkhead import Bulkhead
from app.vocabulary import LogTrouble

ATTEMPT_TIMEOUT_S: Final = 2.0
RETRY_DELAY_S: Final = 0.02
ASK_TIMEOUT_S: Final = 0.5
PROBE_SUBJECT: Final = log_subject("probe")
PROBE: Final = bytes(4_096)
"""As large as a commit of some length, so that a stream that is full does not pass for one that takes commits."""
_TRY_AGAIN: Final = {LogTrouble.NO_LEADER, LogTrouble.TIMEOUT, LogTrouble.UNREACHABLE}


class NatsEventLog:
    """See the module. Streams are made where they do not exist, unless they `must_exist`."""

    shared = True

    def __init__(self, config: NatsConfig, *, must_exist: bool = False) -> None:
        self._config = config
        self._must_exist = must_exist
        self._link = Link(config, self)
        self._appending = 0
        self._verified = 0
        self._open: set[str] = set()
        self._settling: set[asyncio.Task[None]] = set()
        self._owner: LogOwner | None = None
        self._bulkhead = Bulkhead(self.failed, "subscriber")

    # ---------------------------------------------------------------- life

    async def open(self) -> None:
        """Connect, make or verify the streams. Raises LogUnavailable."""
        await self._link.open()
        try:
            for wanted in (log_stream(self._config), state_stream(self._config)):
                await self._require_stream(wanted)
        except LogUnavailable:
            await self._link.close()
            raise

    async def close(self) -> None:
        """Finish what is under way, within the time of an append, and let go."""
        if self._settling:
            await asyncio.wait(self._settling, timeout=self._config.append_timeout_s)
        await self._link.close()

    def listen(self, owner: LogOwner) -> None:
        """See `EventLog.listen`."""
        self._owner = owner

    def troubled(self, trouble: LogTrouble, detail: str) -> None:
        """See `LogOwner.troubled`."""
        if self._owner is not None:
            self._owner.troubled(trouble, detail)

    def returned(self) -> None:
        """See `LogOwner.returned`."""
        if self._owner is not None:
            self._owner.returned()

    def untold(self) -> None:
        """See `LogOwner.untold`."""
        if self._owner is not None:
            self._owner.untold()

    def failed(self, where: str, error: BaseException) -> None:
        """See `LogOwner.failed`."""
        if self._owner is not None:
            self._owner.failed(where, error)

    async def _require_stream(self, wanted: dict[str, object]) -> None:
        name = wanted["name"]
        found = replies.stream_info(await self._api(f"STREAM.INFO.{name}"))
        if found.error is not None and found.error.err_code == replies.NO_STREAM and not self._must_exist:
            found = replies.stream_info(await self._api(f"STREAM.CREATE.{name}", msgspec.json.encode(wanted)))
            if found.error is not None and found.error.err_code == replies.STREAM_EXISTS:  # another replica made it
                found = replies.stream_info(await self._api(f"STREAM.INFO.{name}"))
        if found.error is not None:
            raise _refused(f"stream {name}", found.error)
        wrong = differences(found.config, wanted)
        if wrong:
            raise LogUnavailable(f"stream {name} is set up otherwise: {'; '.join(wrong)}", LogTrouble.MISCONFIGURED)

    # ---------------------------------------------------------------- the log

    async def append(self, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Cursor:
        """See `EventLog.append`."""
        if self._appending >= self._config.max_pending_appends:
            raise LogUnavailable(f"{self._appending} appends are under way already", LogTrouble.BUSY)
        self._appending += 1
        try:
            if after == START:  # it is known to be open before there is anything of it
                await self._put(f"state.open.{game_id}", b"")
            cursor = await self._store(log_subject(game_id), encode_events(events), after)
        finally:
            self._appending -= 1
        ended = ended_at(events)
        if ended is not None:
            self._settle(game_id, ended)
        return Cursor(cursor)

    async def read(self, game_id: str, after: Cursor = START) -> list[Commit]:
        """See `EventLog.read`. A node that lags may answer a direct read: the leader is asked how far the game is."""
        subject = log_subject(game_id)
        found, last = await asyncio.gather(
            self._all(self._config.stream, subject, after + 1), self._last_seq(self._config.stream, subject)
        )
        while (found[-1].seq if found else after) < last:
            found.append(await self._next_of_leader(subject, (found[-1].seq if found else after) + 1))
        commits = [Commit(Cursor(message.seq), decode_events(message.data)) for message in found]
        ended = ended_at(commits[-1].events) if commits else None
        if ended is not None and game_id in self._open:  # whoever ended it could not say so
            self._settle(game_id, ended)
        return commits

    async def subscribe(
        self, game_id: str, deliver: Callable[[Commit], None], hear: Callable[[bytes], None] | None = None
    ) -> Subscription:
        """See `EventLog.subscribe`."""

        def take(message: Msg) -> None:
            with self._bulkhead:
                if message.subject.endswith(".log"):
                    commit = self._live_commit(message)
                    if commit is not None:
                        deliver(commit)
                elif hear is not None:
                    hear(message.data)

        return await self._link.subscribe(live_subjects(game_id), take)

    def tell(self, game_id: str, payload: bytes) -> None:
        """See `EventLog.tell`."""
        self._link.tell(progress_subject(game_id), payload)

    async def behind(self, cursors: Mapping[str, Cursor]) -> list[str]:
        """See `EventLog.behind`. Asked is only behind what was in order last time: what is late is asked again."""
        games = list(cursors)
        late: list[str] = []
        up_to = self._verified
        for begin in range(0, len(games), BATCH):
            subjects = [log_subject(game_id) for game_id in games[begin : begin + BATCH]]
            answer = await self._direct(self._config.stream, last_of_subjects(subjects, self._verified + 1))
            found = {message.subject.split(".")[1]: message.seq for message in answer.messages}
            up_to = min(up_to, answer.up_to) if begin else answer.up_to
            for game_id, seq in found.items():
                if seq > cursors[game_id]:
                    late.append(game_id)
                    up_to = min(up_to, seq - 1)
        self._verified = max(self._verified, up_to)
        return late

    async def probe(self) -> None:
        """See `EventLog.probe`: a write like any other, which replaces the one before it."""
        await self._publish(PROBE_SUBJECT, PROBE, {"Nats-Rollup": "sub"})

    # ---------------------------------------------------------------- which games there are

    async def games(self) -> list[str]:
        """See `EventLog.games`."""
        ended = await self._all(self._config.state_stream, "state.ended.*", 1)
        return sorted({*await self.open_games(), *(message.subject.rpartition(".")[2] for message in ended)})

    async def open_games(self) -> list[str]:
        """See `EventLog.open_games`."""
        found = await self._all(self._config.state_stream, "state.open.*", 1)
        self._open = {message.subject.rpartition(".")[2] for message in found}
        return sorted(self._open)

    async def expire(self, ended_before: int, now: int) -> int:  # noqa: ARG002 - claims end by themselves here
        """See `EventLog.expire`. The games stand in the order in which they ended."""
        gone = 0
        while True:
            page = (await self._direct(self._config.state_stream, next_by_subject("state.ended.*", 1))).messages
            due = [message.subject.rpartition(".")[2] for message in page if int(message.data) < ended_before]
            for game_id in due:
                await self._purge(self._config.stream, log_subject(game_id))
                await self._purge(self._config.state_stream, f"state.open.{game_id}")
                await self._purge(self._config.state_stream, f"state.ended.{game_id}")
            gone += len(due)
            if len(due) < BATCH:
                return gone

    def _settle(self, game_id: str, ended: int) -> None:
        """A game has ended: it is no longer open, and retention counts. A fault here is mended by whoever reads it."""
        self._open.discard(game_id)
        task = asyncio.get_running_loop().create_task(self._note_end(game_id, ended), name="game ended")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _note_end(self, game_id: str, ended: int) -> None:
        try:
            await self._put(f"state.ended.{game_id}", str(ended).encode())
            await self._purge(self._config.state_stream, f"state.open.{game_id}")
        except LogUnavailable as error:
            self.troubled(error.trouble, str(error))

    # ---------------------------------------------------------------- claims and replicas

    async def claim(self, key: str, ttl_s: float) -> bool:
        """See `EventLog.claim`."""
        subject = f"state.claim.{key.replace(' ', '.')}"
        try:
            await self._store(subject, b"", START, _lasting(ttl_s))
        except Conflict:
            return False
        return True

    async def count(self, key: str, ttl_s: float) -> int:
        """See `EventLog.count`. Whoever is overtaken by another counts again, on top of it."""
        subject = f"state.count.{key.replace(' ', '.')}"
        while True:
            last = await self._leader_message(self._config.state_stream, {"last_by_subj": subject})
            count = 1 if last is None else int(last.data) + 1
            try:
                await self._store(subject, str(count).encode(), 0 if last is None else last.seq, _lasting(ttl_s))
            except Conflict:
                continue
            return count

    async def beat(self, instance: str, ttl_s: float) -> float:
        """See `EventLog.beat`."""
        seq = await self._put(f"state.replica.{instance}", b"", _lasting(ttl_s))
        message = await self._leader_message(self._config.state_stream, {"seq": seq})
        if message is None:
            raise LogUnavailable(f"state.replica.{instance}: what was there a moment ago is gone", LogTrouble.OTHER)
        return datetime.fromisoformat(message.time).timestamp()

    async def withdraw(self, instance: str) -> None:
        """See `EventLog.withdraw`."""
        await self._purge(self._config.state_stream, f"state.replica.{instance}")

    async def instances(self) -> frozenset[str]:
        """See `EventLog.instances`."""
        found = await self._all(self._config.state_stream, "state.replica.*", 1)
        return frozenset(message.subject.rpartition(".")[2] for message in found)

    async def usage(self) -> tuple[int, int]:
        """See `EventLog.usage`."""
        found = replies.stream_info(await self._api(f"STREAM.INFO.{self._config.stream}"))
        if found.error is not None:
            raise _refused(f"stream {self._config.stream}", found.error)
        return found.state.bytes, max(0, int(found.config.get("max_bytes", 0)))

    # ---------------------------------------------------------------- JetStream

    async def _store(self, subject: str, payload: bytes, after: int, more: dict[str, str] | None = None) -> int:
        """Store where nothing came after `after`. Raises Conflict, LogUnavailable."""
        headers = {"Nats-Expected-Last-Subject-Sequence": str(after), **(more or {})}
        return await self._publish(subject, payload, headers)

    async def _put(self, subject: str, payload: bytes, more: dict[str, str] | None = None) -> int:
        return await self._publish(subject, payload, more or {})

    async def _publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> int:
        """Store once, however often it has to be tried within the time; the sequence."""
        message_id = uuid.uuid4().hex
        headers = {**headers, "Nats-Msg-Id": message_id}
        deadline = time.monotonic() + self._config.append_timeout_s
        unsure = False
        while True:
            left_s = deadline - time.monotonic()
            try:
                answer = await self._link.request(subject, payload, min(ATTEMPT_TIMEOUT_S, left_s), headers)
            except LogUnavailable as error:
                if error.trouble is LogTrouble.NO_LEADER:
                    await self._require_existence(self._stream_of(subject))
                unsure = unsure or error.trouble is not LogTrouble.NO_LEADER
                await self._pause_or_give_up(error, deadline)
                continue
            ack = replies.pub_ack(answer)
            if ack.error is None:
                return ack.seq
            if ack.error.err_code == replies.CONFLICT:
                return await self._own_or_conflict(subject, message_id, headers, unsure=unsure)
            unsure = unsure or ack.error.err_code == replies.FIRST_TRY_UNDECIDED
            await self._pause_or_give_up(_refused(subject, ack.error), deadline)

    async def _pause_or_give_up(self, error: LogUnavailable, deadline: float) -> None:
        """Where trying again may help and there is time for it."""
        if error.trouble not in _TRY_AGAIN or time.monotonic() + RETRY_DELAY_S >= deadline:
            raise error
        await asyncio.sleep(RETRY_DELAY_S)

    async def _own_or_conflict(self, subject: str, message_id: str, headers: dict[str, str], *, unsure: bool) -> int:
        """Who came first may have been an earlier try of ours whose answer was lost."""
        if unsure:
            seq = int(headers["Nats-Expected-Last-Subject-Sequence"]) + 1
            first = await self._leader_message(self._stream_of(subject), {"seq": seq, "next_by_subj": subject})
            if first is not None and message_id.encode() in first.hdrs:
                return first.seq
        raise Conflict(subject)

    async def _require_existence(self, stream: str) -> None:
        """Nobody takes what is published: because nobody leads the stream, or is there none? Raises LogUnavailable."""
        try:
            found = replies.stream_info(await self._link.request(f"$JS.API.STREAM.INFO.{stream}", b"", ASK_TIMEOUT_S))
        except LogUnavailable:
            return  # nobody knows
        if found.error is not None and found.error.err_code == replies.NO_STREAM:
            self._verified = 0  # a new one counts from 1
            raise _refused(f"stream {stream}", found.error)

    def _stream_of(self, subject: str) -> str:
        return self._config.stream if subject.startswith("game.") else self._config.state_stream

    async def _all(self, stream: str, subject: str, seq: int) -> list[Stored]:
        """All messages of a subject from a sequence on, as far as the node that answers has them."""
        found: list[Stored] = []
        while True:
            page = await self._direct(stream, next_by_subject(subject, seq))
            found += page.messages
            if not page.pending or not page.messages:
                return found
            seq = page.messages[-1].seq + 1

    async def _direct(self, stream: str, body: bytes) -> Batch:
        try:
            return await self._link.batch(f"$JS.API.DIRECT.GET.{stream}", body, self._config.append_timeout_s)
        except LogUnavailable as error:
            if error.trouble is LogTrouble.NO_LEADER:
                await self._require_existence(stream)
            raise

    async def _last_seq(self, stream: str, subject: str) -> int:
        message = await self._leader_message(stream, {"last_by_subj": subject})
        return message.seq if message else 0

    async def _next_of_leader(self, subject: str, seq: int) -> Stored:
        message = await self._leader_message(self._config.stream, {"seq": seq, "next_by_subj": subject})
        if message is None:
            raise LogUnavailable(f"{subject}: what was there a moment ago is gone", LogTrouble.OTHER)
        return Stored(subject, message.seq, message.data)

    async def _leader_message(self, stream: str, body: dict[str, object]) -> replies.StoredMessage | None:
        reply = replies.message_reply(await self._api(f"STREAM.MSG.GET.{stream}", msgspec.json.encode(body)))
        if reply.error is not None and reply.error.err_code != replies.NO_MESSAGE:
            raise _refused(f"stream {stream}", reply.error)
        return reply.message

    async def _purge(self, stream: str, subject: str) -> None:
        reply = replies.done(await self._api(f"STREAM.PURGE.{stream}", msgspec.json.encode({"filter": subject})))
        if reply.error is not None:
            raise _refused(f"stream {stream}", reply.error)

    async def _api(self, name: str, body: bytes = b"") -> bytes:
        return await self._link.request(f"$JS.API.{name}", body, self._config.append_timeout_s)

    def _live_commit(self, message: Msg) -> Commit | None:
        headers = message.headers or {}
        try:
            accepted_at = datetime.fromisoformat(headers["Nats-Time-Stamp"]).timestamp()
            return Commit(Cursor(int(headers["Nats-Sequence"])), decode_events(message.data), accepted_at)
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            self.troubled(LogTrouble.OTHER, f"{message.subject}: no commit: {type(error).__name__}")
            return None


def _lasting(ttl_s: float) -> dict[str, str]:
    """What is stored goes by itself after so long (ADR-43)."""
    return {"Nats-TTL": f"{max(1, round(ttl_s))}s"}


def _refused(what: str, error: replies.ApiError) -> LogUnavailable:
    return LogUnavailable(f"{what}: {error.description} ({error.err_code})", replies.trouble_of(error))
