"""The recorder of what comes in, what goes out, and how long it waits."""

import hashlib
import math
import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

from app.telemetry.catalogue import Events, Metrics
from app.telemetry.metrics import MetricStore
from app.telemetry.observer import MessagesObserver, MessageTrail, Opened
from app.telemetry.recorder.recording import Recording
from app.telemetry.tracer import Span
from app.vocabulary import ErrorCode, LateCause, MessageOutcome, Reader

_OK: Final = MessageOutcome.OK
_FAULTS: Final = {ErrorCode.UNAVAILABLE, ErrorCode.INTERNAL}


class MessagesRecorder(Recording, MessagesObserver):
    """Records what comes in, what goes out, and how long it waits; a message that takes over `slow_s` is slow."""

    slow_s: float = math.inf

    def __init__(self, store: MetricStore, logger: Any = None, repeats_per_s: int = 20) -> None:  # noqa: ANN401 - see `Recording`
        super().__init__(store, logger, repeats_per_s)
        # Only what is needed with every message is kept here: attributes are looked up faster where they are few.
        self._received = store.sized_counts("in", Metrics.MESSAGES, Metrics.MESSAGE_BYTES)
        self._sent = store.sized_counts("out", Metrics.MESSAGES, Metrics.MESSAGE_BYTES)
        durations = store.histogram(Metrics.MESSAGE_DURATION)
        self._message_edges, self._message_durations = durations.edges, durations.rows
        self._pings, self._pongs = self._received["ping"], self._sent["pong"]
        self._least_edge = durations.edges[0]
        self._answered = {type: cells for (type, outcome), cells in self._message_durations.items() if outcome == _OK}
        self._ping_durations = self._answered["ping"]

    def received(self, type: str, size: int) -> None:
        self._received[type][size] += 1

    def echoed(
        self,
        received: int,
        sent: int,
        rtt_ms: float | None,
        arrived: float,
        traceparent: str | None,
        span: Span | None,
        opened: Opened,
    ) -> None:
        self._pings[received] += 1
        self._pongs[sent] += 1
        duration_s = time.perf_counter() - arrived
        cells = self._ping_durations
        cells[0 if duration_s <= self._least_edge else bisect_left(self._message_edges, duration_s)] += 1
        cells[-1] += duration_s
        if span is not None or duration_s > self.slow_s:
            self._traced("ping", _OK, MessageTrail(arrived, traceparent, span), opened, duration_s)
        if rtt_ms is not None:
            self.store.histogram(Metrics.CLIENT_RTT).observe(rtt_ms / 1000)

    def batch(self, types: Sequence[str]) -> None:
        self.store.histogram(Metrics.BATCH_SIZE).observe(len(types))
        for type in types:
            self.store.counter(Metrics.MESSAGES).inc(("in", type))

    def answered(self, type: str, outcome: MessageOutcome, trail: MessageTrail, opened: Opened) -> None:
        # once a message: `Histogram.observe` without the call, and without making a row of what is usual
        if outcome is _OK:
            cells = self._answered[type]
        else:
            if trail.error is not None:
                self._rejected(type, trail, trail.error, opened)
            cells = self._message_durations[type, outcome]
        duration_s = time.perf_counter() - trail.arrived
        cells[bisect_left(self._message_edges, duration_s)] += 1
        cells[-1] += duration_s
        if trail.span is not None or duration_s > self.slow_s:
            self._traced(type, outcome, trail, opened, duration_s)

    def _traced(
        self, type: str, outcome: MessageOutcome, trail: MessageTrail, opened: Opened, duration_s: float
    ) -> None:
        """End the span of a message that has one, or was slow and gets it now; keep what was slow for the console."""
        span = trail.span
        if span is None and outcome is _OK:
            span = self.tracer.late(type, trail.arrived, opened.link, trail.traceparent, LateCause.SLOW)
        if span is not None:
            span.note({"message.outcome": outcome})
            span.end(outcome if outcome is MessageOutcome.ERROR else "", trail.arrived + duration_s)
            self.store.histogram(Metrics.MESSAGE_DURATION).add_exemplar(duration_s, (type, outcome), span.trace_id)
        if duration_s > self.slow_s:
            self.lately.slowest.add(type, outcome, duration_s, opened, span.trace_id if span is not None else None)

    def sent(self, type: str, count: int, size: int) -> None:
        self._sent[type][size] += count

    def fanned_out(
        self, type: str, size: int, recipients: int, written: int, since_accepted_s: float, trace_id: str | None = None
    ) -> None:
        self.sent(type, written, size)
        self.store.histogram(Metrics.FANOUT_RECIPIENTS).observe(recipients)
        self.store.histogram(Metrics.EVENT_DELIVERY).observe_many(
            max(0.0, since_accepted_s), written, (Reader.PROMPT,), trace_id
        )

    def sent_late(self, type: str, size: int, waited_s: float, event: bool, trace_id: str | None = None) -> None:
        self.sent(type, 1, size)
        self.store.histogram(Metrics.OUTBOX_WAIT).observe(waited_s, (), trace_id)
        if event:
            self.store.histogram(Metrics.EVENT_DELIVERY).observe(waited_s, (Reader.SLOW,), trace_id)

    def sent_droppable(self, type: str, size: int, sent: int, replaced: int, dropped: int) -> None:
        if sent:
            self._sent[type][size] += sent
        self.store.counter(Metrics.COALESCED).inc((type,), replaced)
        self.store.counter(Metrics.DROPPED).inc((type,), dropped)

    def _rejected(self, type: str, trail: MessageTrail, code: ErrorCode, opened: Opened) -> None:
        """Record an error; the message is traced after all, and a malformed one told by its digest, not shown."""
        if trail.span is None:
            cause = LateCause.ERROR if code in _FAULTS else LateCause.REJECTED
            trail.span = self.tracer.late(type, trail.arrived, opened.link, trail.traceparent, cause)
        if trail.span is not None:
            trail.span.note({"error.code": code})
        self.store.counter(Metrics.ERRORS).inc((code,))
        if trail.trouble is not None:
            self.store.counter(Metrics.TROUBLED).inc((trail.trouble,))
        with self.tracer.active(trail.span):
            self.log_repeated(
                Events.MESSAGE_REJECTED,
                code,
                code=code,
                type=type,
                connection_id=opened.connection_id,
                size_bytes=len(trail.raw) or None,
                sha256_prefix=hashlib.sha256(trail.raw).hexdigest()[:16] if trail.raw else None,
            )
