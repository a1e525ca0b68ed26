"""What the service and a worker send each other: each message is JSON behind its length, four bytes, big-endian."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from app.game import TestReport, Verdict
from app.vocabulary import Stop

PREFIX_BYTES: Final = 4
MAX_ANSWER_BYTES: Final = 262_144
"""No worker has more to say: a few short texts for each visible test. The service reads no further."""


class Limits(Struct, frozen=True):
    """What one submission may take: seconds and bytes for all its tests, bytes for each result."""

    time_limit_s: float
    memory_bytes: int
    result_bytes: int
    kill_grace_s: float


class Test(Struct, frozen=True, forbid_unknown_fields=True):
    """One test: call arguments, expected value, and whether players may see it."""

    __test__ = False  # not a pytest class

    args: list[Any]
    expected: Any
    hidden: bool = False


class SandboxJob(Struct, frozen=True):
    """One submission and the tests it is to be run against."""

    code: str
    tests: list[Test]


class Report(Struct, frozen=True, kw_only=True):
    """What came of a submission; `tests` are the visible ones, `detail` is a short text for the player.

    `stop` says what cut it short; None where nothing did.
    """

    verdict: Verdict
    tests_passed: int
    tests_total: int
    duration_s: float
    detail: str = ""
    tests: list[TestReport] = []
    stop: Stop | None = None


class Answer(Struct, frozen=True):
    """A worker is ready (no report yet), or has run a submission; `failed` says why it could not."""

    report: Report | None = None
    failed: str = ""


encode: Final = msgspec.json.Encoder().encode
decode_limits: Final = msgspec.json.Decoder(Limits).decode
decode_job: Final = msgspec.json.Decoder(SandboxJob).decode
decode_answer: Final = msgspec.json.Decoder(Answer).decode


def framed(message: SandboxJob | Answer) -> bytes:
    """Return a message as it is written."""
    body = encode(message)
    return len(body).to_bytes(PREFIX_BYTES, "big") + body
