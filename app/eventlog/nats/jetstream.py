"""One JetStream stream, asked through its API: storing exactly once, reading from any node or from the leader.

What is stored may name the sequence of its subject's last message, and is refused where another came first
(`Nats-Expected-Last-Subject-Sequence`). A message whose answer was lost is tried again under the same `Nats-Msg-Id`: it
is stored once.
"""

import asyncio
import time
import uuid
from typing import Any, Final

import msgspec

from app.eventlog.nats import replies
from app.eventlog.nats.batch import Stored, StoredBatch, next_by_subject
from app.eventlog.nats.link import NatsLink
from app.eventlog.nats.streams import differences, takes_batches
from app.eventlog.nats.together import ATTEMPT_TIMEOUT_S, SINCE, Publication, Together
from app.eventlog.port import START, Conflict, LogUnavailable
from app.settings import EventLogSettings
from app.vocabulary import LogTrouble

RETRY_DELAY_S: Final = 0.02
EXISTENCE_TIMEOUT_S: Final = 0.5
_RETRIED: Final = {LogTrouble.NO_LEADER, LogTrouble.TIMEOUT, LogTrouble.UNREACHABLE}


class Stream:
    """Asks one stream, which `definition` describes, over a link that several share.

    `made_with` is what it has besides where it is made here, and may lack where it is there already.

    `verified` is up to which sequence its user has looked through it; 0 again once the stream is found to be gone.
    """

    def __init__(
        self, link: NatsLink, settings: EventLogSettings, definition: dict[str, Any], made_with: dict[str, Any]
    ) -> None:
        self.name: str = definition["name"]
        self.verified = 0
        self._link = link
        self._definition = definition
        self._made_with = made_with
        self._timeout_s = settings.nats_timeout_s
        self._id = uuid.uuid4().hex
        self._stored = 0
        self._takes_batches = False
        self._together = Together(link, self._put, self._id[:12])

    # ---------------------------------------------------------------- the stream itself

    async def require(self, *, must_exist: bool) -> None:
        """Make the stream where it is missing, unless it `must_exist`; verify it otherwise. Raises LogUnavailable."""
        found = replies.stream_info(await self._api("STREAM.INFO"))
        if found.error is not None and found.error.err_code == replies.NO_STREAM and not must_exist:
            body = msgspec.json.encode(self._definition | self._made_with)
            found = replies.stream_info(await self._api("STREAM.CREATE", body))
            if found.error is not None and found.error.err_code == replies.STREAM_EXISTS:  # another replica made it
                found = replies.stream_info(await self._api("STREAM.INFO"))
        if found.error is not None:
            raise self._refused(found.error)
        wrong = differences(found.config, self._definition)
        if wrong:
            text = f"stream {self.name} is set up otherwise: {'; '.join(wrong)}"
            raise LogUnavailable(text, LogTrouble.MISCONFIGURED)
        self._takes_batches = self._link.server_version >= SINCE and takes_batches(found.config)

    async def info(self) -> replies.StreamInfo:
        """Ask how the stream is set up, and how full it is."""
        found = replies.stream_info(await self._api("STREAM.INFO"))
        if found.error is not None:
            raise self._refused(found.error)
        return found

    async def _require_existence(self) -> None:
        """Raise LogUnavailable where nobody answers because there is no such stream, rather than no leader."""
        try:
            answer = await self._link.request(f"$JS.API.STREAM.INFO.{self.name}", b"", EXISTENCE_TIMEOUT_S)
        except LogUnavailable:
            return  # nobody knows
        error = replies.stream_info(answer).error
        if error is not None and error.err_code == replies.NO_STREAM:
            self.verified = 0  # a new one counts from 1
            raise self._refused(error)

    # ---------------------------------------------------------------- storing

    async def store(self, subject: str, payload: bytes, after: int, headers: dict[str, str] | None = None) -> int:
        """Store where `after` is the subject's last sequence; the new one. Raises Conflict, LogUnavailable."""
        expected = {"Nats-Expected-Last-Subject-Sequence": str(after)}
        one = self._publication(subject, payload, expected | (headers or {}))
        return await (self._together.store(one) if self._takes_batches else self._put(one))

    async def put(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> int:
        """Store once, however often it has to be tried within the time; the sequence. Raises LogUnavailable."""
        return await self._put(self._publication(subject, payload, headers or {}))

    def _publication(self, subject: str, payload: bytes, headers: dict[str, str]) -> Publication:
        self._stored += 1
        headers = {**headers, "Nats-Msg-Id": f"{self._id}{self._stored:x}"}
        return Publication(subject, payload, headers, time.monotonic() + self._timeout_s)

    async def _put(self, one: Publication) -> int:
        while True:
            left_s = one.deadline - time.monotonic()
            try:
                answer = await self._link.request(one.subject, one.payload, min(ATTEMPT_TIMEOUT_S, left_s), one.headers)
            except LogUnavailable as error:
                if error.trouble is LogTrouble.NO_LEADER:
                    await self._require_existence()
                one.unsure = one.unsure or error.trouble is not LogTrouble.NO_LEADER
                await self._pause_or_give_up(error, one.deadline)
                continue
            ack = replies.pub_ack(answer)
            if ack.error is None:
                return ack.seq
            if ack.error.err_code == replies.CONFLICT:
                return await self._own_or_conflict(one)
            one.unsure = one.unsure or ack.error.err_code == replies.FIRST_TRY_UNDECIDED
            await self._pause_or_give_up(replies.refusal(one.subject, ack.error), one.deadline)

    async def _pause_or_give_up(self, error: LogUnavailable, deadline: float) -> None:
        """Wait a moment where trying again may help and there is time for it; else raise `error`."""
        self._link.require_open()
        if error.trouble not in _RETRIED or time.monotonic() + RETRY_DELAY_S >= deadline:
            raise error
        await asyncio.sleep(RETRY_DELAY_S)

    async def _own_or_conflict(self, one: Publication) -> int:
        """Tell whether what came first was an earlier try of ours, whose answer was lost. Raises Conflict."""
        if one.unsure:
            seq = int(one.headers["Nats-Expected-Last-Subject-Sequence"]) + 1
            first = await self.first(one.subject, seq)
            if first is not None and one.headers["Nats-Msg-Id"].encode() in first.hdrs:
                return first.seq
        raise Conflict(one.subject)

    async def purge(self, subject: str) -> None:
        """Remove all messages of a subject."""
        reply = replies.done(await self._api("STREAM.PURGE", msgspec.json.encode({"filter": subject})))
        if reply.error is not None:
            raise self._refused(reply.error)

    async def overwrite(self, seq: int) -> None:
        """Remove a message, and what it held from the servers' files; one that is gone already is gone."""
        reply = replies.done(await self._api("STREAM.MSG.DELETE", msgspec.json.encode({"seq": seq})))
        if reply.error is not None and await self.at(seq) is not None:
            raise self._refused(reply.error)

    # ---------------------------------------------------------------- reading from any node

    async def read_all(self, subject: str, seq: int = START + 1) -> list[Stored]:
        """Read all messages of a subject from a sequence on, as far as the node that answers has them."""
        found: list[Stored] = []
        while True:
            page = await self.read_batch(next_by_subject(subject, seq))
            found += page.messages
            if not page.pending or not page.messages:
                return found
            seq = page.messages[-1].seq + 1

    async def read_batch(self, body: bytes) -> StoredBatch:
        """Read what `body` asks for, as far as the node that answers has it."""
        try:
            return await self._link.batch(f"$JS.API.DIRECT.GET.{self.name}", body, self._timeout_s)
        except LogUnavailable as error:
            if error.trouble is LogTrouble.NO_LEADER:
                await self._require_existence()
            raise

    # ---------------------------------------------------------------- reading from the leader

    async def last(self, subject: str) -> replies.StoredMessage | None:
        """Ask the leader for the last message of a subject."""
        return await self._message({"last_by_subj": subject})

    async def first(self, subject: str, seq: int) -> replies.StoredMessage | None:
        """Ask the leader for the first message of a subject from a sequence on."""
        return await self._message({"seq": seq, "next_by_subj": subject})

    async def at(self, seq: int) -> replies.StoredMessage | None:
        """Ask the leader for the message with a sequence."""
        return await self._message({"seq": seq})

    async def _message(self, body: dict[str, object]) -> replies.StoredMessage | None:
        reply = replies.message_reply(await self._api("STREAM.MSG.GET", msgspec.json.encode(body)))
        if reply.error is not None and reply.error.err_code != replies.NO_MESSAGE:
            raise self._refused(reply.error)
        return reply.message

    async def _api(self, request: str, body: bytes = b"") -> bytes:
        return await self._link.request(f"$JS.API.{request}.{self.name}", body, self._timeout_s)

    def _refused(self, error: replies.ApiError) -> LogUnavailable:
        return replies.refusal(f"stream {self.name}", error)
