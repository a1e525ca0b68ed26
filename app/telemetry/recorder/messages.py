"""Records what comes in, what goes out, and how long it waits."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

from app.telemetry.catalogue import LATENCY_BUCKETS, Events, Metrics
from app.telemetry.metrics import MetricStore
from app.telemetry.observer import MessagesObserver
from app.telemetry.recorder.recording import Recording
from app.vocabulary import ErrorCode, MessageOutcome, Reader

_OK: Final = MessageOutcome.OK


class MessagesRecorder(Recording, MessagesObserver):
    """Records what comes in, what goes out, and how long it waits."""

    def __init__(self, store: MetricStore, logger: Any = None, repeats_per_s: int = 20) -> None:  # noqa: ANN401 - see `Recording`
        super().__init__(store, logger, repeats_per_s)
        # Only what is needed with every message is kept here: attributes are looked up faster where they are few.
        self._received = store.sized("in", Metrics.MESSAGES, Metrics.MESSAGE_BYTES)
        self._sent = store.sized("out", Metrics.MESSAGES, Metrics.MESSAGE_BYTES)
        self._message_durations = store.histogram(Metrics.MESSAGE_DURATION).rows
        self._answered = {type: cells for (type, outcome), cells in self._message_durations.items() if outcome == _OK}

    def received(self, type: str, size: int) -> None:
        self._received[type][size] += 1

    def batch(self, types: Sequence[str]) -> None:
        self.store.histogram(Metrics.BATCH_SIZE).observe(len(types))
        for type in types:
            self.store.counter(Metrics.MESSAGES).inc(("in", type))

    def handled(self, type: str, outcome: MessageOutcome, duration_s: float, trace_id: str | None = None) -> None:
        # once a message: `Histogram.observe` without the call, and without making a row of what is usual
        cells = self._answered[type] if outcome is _OK else self._message_durations[type, outcome]
        cells[bisect_left(LATENCY_BUCKETS, duration_s)] += 1
        cells[-1] += duration_s
        if trace_id is not None:
            self.store.histogram(Metrics.MESSAGE_DURATION).exemplify(duration_s, (type, outcome), trace_id)

    def rejected(self, code: ErrorCode, type: str, connection_id: str, size: int, digest: str) -> None:
        self.store.counter(Metrics.ERRORS).inc((code,))
        self.log_repeated(
            Events.MESSAGE_REJECTED,
            code,
            code=code,
            type=type,
            connection_id=connection_id,
            size_bytes=size or None,
            sha256_prefix=digest or None,
        )

    def sent(self, type: str, count: int, size: int) -> None:
        self._sent[type][size] += count

    def fanned_out(
        self, type: str, size: int, recipients: int, written: int, since_accepted_s: float, trace_id: str | None = None
    ) -> None:
        self.sent(type, recipients, size)
        self.store.histogram(Metrics.FANOUT_RECIPIENTS).observe(recipients)
        self.store.histogram(Metrics.EVENT_DELIVERY).observe_many(
            max(0.0, since_accepted_s), written, (Reader.PROMPT,), trace_id
        )

    def outbox_wait(self, waited_s: float, event: bool, trace_id: str | None = None) -> None:
        self.store.histogram(Metrics.OUTBOX_WAIT).observe(waited_s, (), trace_id)
        if event:
            self.store.histogram(Metrics.EVENT_DELIVERY).observe(waited_s, (Reader.SLOW,), trace_id)

    def skipped(self, type: str, replaced: int, dropped: int) -> None:
        self.store.counter(Metrics.COALESCED).inc((type,), replaced)
        self.store.counter(Metrics.DROPPED).inc((type,), dropped)
