"""Traces: the tracer over the OpenTelemetry SDK.

Each handled message begins a trace of its own, *linked* to its connection's handshake: a connection is no
trace, it would never end. Whether a message is sampled is decided before any span object is made, so an
unsampled one costs a random number. The context travels on in the events (W3C ``traceparent``), so the fan-out
on any replica and the judging on any other belong to the same trace.

Nothing a player typed is ever an attribute, and exceptions are recorded by the name of their class only.
"""

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.eventlog import Conflict
from app.game import Rejected
from app.telemetry.catalogue import SPANS, SpanExport
from app.telemetry.repeats import Repeats
from app.telemetry.tracer import (
    MESSAGE_SPANS,
    NOTHING,
    Handshake,
    LateCause,
    Link,
    Maybe,
    Span,
    SpanName,
    Value,
)

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_TRACEPARENT: Final = "traceparent"
_EMPTY: Final = Context()
_ANSWERS: Final = (Rejected, Conflict, asyncio.CancelledError)
"""What ends a block without being a fault."""
SERVER_FAULTS: Final = 500
"""From this status on a refused handshake is our own fault."""


@dataclass(frozen=True, slots=True)
class TracingConfig:
    """See the settings TRUST_TRACEPARENT, SLOW_MESSAGE_S, LATE_SPANS_PER_S and OTEL_TRACES_SAMPLER."""

    ratio: float
    trust: bool
    slow_s: float
    late_per_s: int
    max_queued: int
    flush_timeout_s: float


class _Exporter(SpanExporter):
    """Counts what the real one says, and tells when that changes; runs on the batch processor's thread."""

    def __init__(self, real: SpanExporter, on_change: Callable[[bool], None]) -> None:
        self._real = real
        self._on_change = on_change
        self._works = True
        self.taken = 0
        self.counts = dict.fromkeys(SpanExport, 0)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        result = self._real.export(spans)
        works = result is SpanExportResult.SUCCESS
        self.counts[SpanExport.EXPORTED if works else SpanExport.FAILED] += len(spans)
        if works is not self._works:
            self._works = works
            self._on_change(works)
        return result

    def shutdown(self) -> None:
        self._real.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._real.force_flush(timeout_millis)


class _Bounded(SpanProcessor):
    """Before the SDK's own queue, which drops the oldest uncounted: drops the newest and counts."""

    def __init__(self, exporter: _Exporter, max_queued: int) -> None:
        self._exporter = exporter
        self._max_queued = max_queued
        self._passed = 0
        self._batch = BatchSpanProcessor(exporter, max_queue_size=max_queued)

    def on_end(self, span: ReadableSpan) -> None:
        if self._passed - self._exporter.taken >= self._max_queued:
            self._exporter.counts[SpanExport.DROPPED] += 1
            return
        self._passed += 1
        self._batch.on_end(span)

    def shutdown(self) -> None:
        self._batch.shutdown()  # type: ignore[no-untyped-call] # the SDK's, without annotations

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        return self._batch.force_flush(timeout_millis)


class _Span:
    """A `Span` of ours over one of the SDK's."""

    __slots__ = ("name", "otel")

    def __init__(self, name: str, otel: trace.Span) -> None:
        self.name = name
        self.otel = otel

    @property
    def trace_id(self) -> str:
        return trace.format_trace_id(self.otel.get_span_context().trace_id)

    @property
    def traceparent(self) -> str:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, trace.set_span_in_context(self.otel))
        return carrier[_TRACEPARENT]

    def note(self, attributes: Mapping[str, Value]) -> None:
        unknown = attributes.keys() - SPANS[self.name].attributes
        if unknown:
            raise ValueError(f"{self.name}: the catalogue does not list {sorted(unknown)}")
        self.otel.set_attributes(attributes)

    def end(self, fault: str = "", ended: float | None = None) -> None:
        if fault:
            self.otel.set_status(Status(StatusCode.ERROR, fault))
            self.note({"error.type": fault})
        self.otel.end(None if ended is None else _epoch_ns(ended))


class _Link:
    """A handshake; its span is made when the first trace that points at it needs it, with its real times."""

    __slots__ = ("context", "handshake")

    def __init__(self, handshake: Handshake) -> None:
        self.handshake = handshake
        self.context: trace.SpanContext | None = None

    @property
    def attributes(self) -> dict[str, Value]:
        """Who and where."""
        one = self.handshake
        named = {"connection.id": one.connection_id, "game.id": one.game_id, "player.id": one.player_id}
        return {key: value for key, value in named.items() if value is not None}


class OtelTracer:
    """See the module and `Tracer`. `counts` are of spans, by what became of them."""

    def __init__(
        self,
        config: TracingConfig,
        exporter: SpanExporter,
        resource: Mapping[str, str],
        on_change: Callable[[bool], None],
    ) -> None:
        self._config = config
        self.slow_s = config.slow_s
        self._ratio = config.ratio
        self._random = random.random
        self._late = Repeats(config.late_per_s)
        self._exporter = _Exporter(exporter, on_change)
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # we have decided before the SDK is asked
            resource=Resource.create(dict(resource)).merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(_Bounded(self._exporter, config.max_queued))
        self._tracer = self._provider.get_tracer("code-racer", resource.get("service.version"))

    @property
    def counts(self) -> dict[SpanExport, int]:
        """Spans by what became of them."""
        return self._exporter.counts

    async def close(self) -> None:
        """Send what waits, for so long as the settings allow."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop has not waited for us
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=shut_down, name="trace-flush", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), self._config.flush_timeout_s)

    @staticmethod
    def current_ids() -> dict[str, str]:
        """The current span's ids, for log lines; empty outside of spans."""
        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}

    # ---------------------------------------------------------------- Tracer

    def handshake(self, handshake: Handshake) -> tuple[Link | None, str | None]:
        """See `Tracer.handshake`."""
        link = _Link(handshake)
        is_late = handshake.status >= SERVER_FAULTS and self._late.suppressed("handshake") is not None
        if not (self._samples(handshake.traceparent) or is_late):
            return link, None
        return link, trace.format_trace_id(self._context_of(link).trace_id)

    def message(self, type: str, arrived: float, link: Link | None, traceparent: str | None) -> Span | None:
        """See `Tracer.message`."""
        if not (self._random() < self._ratio if traceparent is None else self._samples(traceparent)):
            return None
        return self._message(type, arrived, link, traceparent)

    def late(
        self, type: str, arrived: float, link: Link | None, traceparent: str | None, cause: LateCause
    ) -> Span | None:
        """See `Tracer.late`."""
        if self._late.suppressed(cause) is None:
            return None
        span = self._message(type, arrived, link, traceparent)
        span.note({"late": cause})
        return span

    def root(self, name: SpanName, link: Link | None = None, attributes: Mapping[str, Value] | None = None) -> Maybe:
        """See `Tracer.root`."""
        if self._random() >= self._ratio:
            return NOTHING
        known = link if isinstance(link, _Link) else None
        return self._block(
            self._start(name, None, known, {**(attributes or {}), **(known.attributes if known else {})})
        )

    def child(self, name: SpanName, attributes: Mapping[str, Value] | None = None) -> Maybe:
        """See `Tracer.child`."""
        if not trace.get_current_span().is_recording():
            return NOTHING
        return self._block(self._start(name, trace.get_current_span().get_span_context(), None, attributes or {}))

    def continued(self, name: SpanName, traceparent: str | None, attributes: Mapping[str, Value]) -> Maybe:
        """See `Tracer.continued`."""
        parent = _parse(traceparent) if traceparent else None
        if parent is None or not parent.trace_flags.sampled:
            return NOTHING
        return self._block(self._start(name, parent, None, attributes))

    def delivery(self, span: Span, link: Link | None, attributes: Mapping[str, Value]) -> Span:
        """See `Tracer.delivery`."""
        parent = span.otel.get_span_context() if isinstance(span, _Span) else None
        known = link if isinstance(link, _Link) else None
        return self._start(SpanName.DELIVER, parent, known, {**attributes, **(known.attributes if known else {})})

    def active(self, span: Span | None) -> AbstractContextManager[None]:
        """See `Tracer.active`."""
        return _use(span) if isinstance(span, _Span) else NOTHING

    # ---------------------------------------------------------------- own

    def _samples(self, traceparent: str | None) -> bool:
        """A trusted client's context decides; otherwise the ratio does."""
        if traceparent is not None and self._config.trust:
            parent = _parse(traceparent)
            if parent is not None:
                return parent.trace_flags.sampled
        return self._random() < self._ratio

    def _message(self, type: str, arrived: float, link: Link | None, traceparent: str | None) -> _Span:
        known = link if isinstance(link, _Link) else None
        attributes = known.attributes if known else {}
        return self._start(MESSAGE_SPANS[type], None, known, attributes, traceparent, arrived)

    def _context_of(self, link: _Link) -> trace.SpanContext:
        if link.context is None:
            one = link.handshake
            attributes = {**link.attributes, "outcome": one.outcome, "http.response.status_code": one.status}
            span = self._start(SpanName.HANDSHAKE, None, None, attributes, one.traceparent, one.started)
            if one.status >= SERVER_FAULTS:
                span.otel.set_status(Status(StatusCode.ERROR, one.outcome))
            span.otel.end(_epoch_ns(one.ended))
            link.context = span.otel.get_span_context()
        return link.context

    def _start(
        self,
        name: str,
        parent: trace.SpanContext | None,
        link: _Link | None,
        attributes: Mapping[str, Value],
        client: str | None = None,
        started: float | None = None,
    ) -> _Span:
        """A new span. `client` is the context a client sent: a link, or where it is trusted the parent."""
        spec = SPANS[name]
        links = [trace.Link(self._context_of(link))] if link is not None else []
        context = _parse(client) if client else None
        if context is not None and self._config.trust:
            parent = context
        elif context is not None:
            links.append(trace.Link(context))
        otel = self._tracer.start_span(
            name,
            # an empty context, not the current one: what is current is given as `parent`
            trace.set_span_in_context(trace.NonRecordingSpan(parent or trace.INVALID_SPAN_CONTEXT), _EMPTY),
            trace.SpanKind[spec.kind.name],
            links=links,
            start_time=None if started is None else _epoch_ns(started),
        )
        span = _Span(name, otel)
        span.note(attributes)
        return span

    @contextlib.contextmanager
    def _block(self, span: _Span) -> Iterator[Span]:
        fault = ""
        try:
            with _use(span):
                yield span
        except _ANSWERS as answer:
            span.note({"error.type": type(answer).__name__})
            raise
        except BaseException as error:
            fault = type(error).__name__
            raise
        finally:
            span.end(fault)


def _use(span: _Span) -> AbstractContextManager[Any]:
    return trace.use_span(span.otel, record_exception=False, set_status_on_exception=False)


def _parse(traceparent: str) -> trace.SpanContext | None:
    """A context as it came over the wire; None where it is none, which W3C says to ignore."""
    context = trace.get_current_span(_PROPAGATOR.extract({_TRACEPARENT: traceparent})).get_span_context()
    return context if context.is_valid else None


def _epoch_ns(at: float) -> int:
    """Nanoseconds since the epoch of a time of `time.perf_counter`."""
    return time.time_ns() - round((time.perf_counter() - at) * 1e9)
