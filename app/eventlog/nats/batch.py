"""Batched direct reads: one request, many messages (ADR-31, ADR-39; nats-server 2.11 and later).

Any node that holds the stream answers, also one that lags behind: whoever needs the very last asks the leader too.
"""

import asyncio
from typing import Any, Final

import msgspec
from msgspec import Struct

from app.eventlog.nats.client import headers_of
from app.eventlog.port import LogUnavailable
from app.vocabulary import LogTrouble

BATCH: Final = 1_000
_END: Final = "204"
_NO_MESSAGE: Final = "404"


class Stored(Struct, frozen=True):
    """A message as it was stored."""

    subject: str
    seq: int
    data: bytes

    @property
    def last_word(self) -> str:
        """Tell what the message is about: its subject's end."""
        return self.subject.rpartition(".")[2]


class StoredBatch(Struct, frozen=True):
    """What a batch brought: `pending` more would follow; `up_to` is the last sequence the answering node knew."""

    messages: list[Stored]
    pending: int
    up_to: int


class Collector:
    """Gathers the answers to one request, which come one message each."""

    def __init__(self) -> None:
        self.done: asyncio.Future[StoredBatch] = asyncio.get_running_loop().create_future()
        self._messages: list[Stored] = []

    def take(self, headers: bytes, data: bytes) -> None:
        """Take one answer; the one that says that there are no more completes `done`."""
        self._take(headers_of(headers), data)

    def _take(self, headers: dict[str, str], data: bytes) -> None:
        status = headers.get("Status")
        if status is None:
            self._messages.append(Stored(headers["Nats-Subject"], int(headers["Nats-Sequence"]), data))
        elif status in {_END, _NO_MESSAGE}:
            up_to = int(headers.get("Nats-UpTo-Sequence", 0))
            self.done.set_result(StoredBatch(self._messages, int(headers.get("Nats-Num-Pending", 0)), up_to))
        else:
            trouble = LogTrouble.NO_LEADER if status == "503" else LogTrouble.OTHER
            text = headers.get("Description", "")
            self.done.set_exception(LogUnavailable(f"a direct read was answered {status} {text}", trouble))


def next_by_subject(subject: str, seq: int) -> bytes:
    """Ask for messages of a subject from a sequence on."""
    return msgspec.json.encode({"seq": seq, "next_by_subj": subject, "batch": BATCH})


def last_of_subjects(subjects: list[str], since: int = 0) -> bytes:
    """Ask for the last message of each subject (wildcards are allowed), where it is not older than a sequence."""
    body: dict[str, Any] = {"multi_last": subjects, "batch": BATCH}
    return msgspec.json.encode(body | ({"seq": since} if since else {}))
