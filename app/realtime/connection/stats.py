"""What one connection has done so far: the figures of its ``ws.closed`` line."""

import time
from array import array
from statistics import quantiles
from typing import Final

from app.protocol import CloseRow
from app.realtime.connection.outbox import Outbox
from app.telemetry.observer import Closed, Opened
from app.vocabulary import ClientTrouble, ErrorCode, Initiator, ResumeOutcome

RTT_SAMPLES: Final = 64
_TROUBLES: Final = {
    ErrorCode.INVALID_JSON: ClientTrouble.NOT_UNDERSTOOD,
    ErrorCode.INVALID_DATA: ClientTrouble.NOT_UNDERSTOOD,
    ErrorCode.UNKNOWN_TYPE: ClientTrouble.NOT_UNDERSTOOD,
    ErrorCode.BATCH_TOO_LARGE: ClientTrouble.NOT_UNDERSTOOD,
    ErrorCode.RATE_LIMITED: ClientTrouble.TOO_FAST,
}


class ConnectionStats:
    """Plain counts, moved by the session; the last 64 round trips, in seconds; `started` is of `time.monotonic`.

    `last_message` is when the last one came in, of `time.perf_counter`.
    """

    __slots__ = (
        "_rtts", "_troubles", "bytes_in", "errors", "last_error", "last_message", "messages_in", "resume", "started",
    )  # fmt: skip

    def __init__(self) -> None:
        self.messages_in = self.bytes_in = self.errors = 0
        self.last_error: ErrorCode | None = None
        self.resume: ResumeOutcome | None = None
        self._rtts: array[float] | None = None
        self._troubles: tuple[ClientTrouble, ...] = ()
        self.started = time.monotonic()
        self.last_message = time.perf_counter()

    def received(self, size: int) -> None:
        """Count a message of `size` payload bytes."""
        self.messages_in += 1
        self.bytes_in += size

    def first_trouble(self, code: ErrorCode) -> ClientTrouble | None:
        """Note a refusal, and return what the connection is counted for with it: for each kind of trouble once."""
        trouble = _TROUBLES.get(code)
        if trouble is None or trouble in self._troubles:
            return None
        self._troubles += (trouble,)
        return trouble

    def measured(self, rtt_s: float) -> None:
        """Take the time of a ping that was answered."""
        if self._rtts is None:
            self._rtts = array("d")  # a deque takes 760 bytes for the first, and another 24 for each
        elif len(self._rtts) == RTT_SAMPLES:
            del self._rtts[0]
        self._rtts.append(rtt_s)

    @property
    def rtt_s(self) -> float | None:
        """The round trip of the last ping that was answered."""
        return self._rtts[-1] if self._rtts else None

    def refused(self, code: ErrorCode) -> None:
        """Count a message that was answered with an ``error``."""
        self.errors += 1
        self.last_error = code

    def closed(
        self,
        opened: Opened,
        player_id: str | None,
        ended: tuple[CloseRow, Initiator, int],
        said: str,
        outbox: Outbox,
        trace_id: str | None,
    ) -> Closed:
        """Make the record of the whole connection."""
        row, initiator, received_code = ended
        p50, p95 = self._quantiles()
        return Closed(
            connection_id=opened.connection_id,
            game_id=opened.game_id,
            player_id=player_id,
            client=opened.client,
            row=row,
            said=said,
            received_code=received_code,
            initiator=initiator,
            duration_s=time.monotonic() - self.started,
            messages_in=self.messages_in,
            messages_out=outbox.messages_out,
            bytes_in=self.bytes_in,
            bytes_out=outbox.bytes_out,
            errors=self.errors,
            rtt_p50_s=p50,
            rtt_p95_s=p95,
            messages_discarded=outbox.discarded,
            deepest_outbox_bytes=outbox.deepest,
            resume=self.resume,
            trace_id=trace_id,
            release=opened.release,
        )

    def _quantiles(self) -> tuple[float | None, float | None]:
        if not self._rtts:
            return None, None
        if len(self._rtts) == 1:
            return self._rtts[0], self._rtts[0]
        cuts = quantiles(self._rtts, n=20, method="inclusive")
        return cuts[9], cuts[18]
