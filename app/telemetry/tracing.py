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
from contextvars import ContextVar
from typing import Final, cast

from opentelemetry import trace
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.settings import TelemetrySettings
from app.telemetry.catalogue import SPANS, SpanKind, SpanSpec
from app.telemetry.repeats import Repeats
from app.telemetry.tracer import MESSAGE_SPANS, NOTHING, Handshake, Maybe, Span, Tracer, Value
from app.telemetry.tracer import Link as LinkPort
from app.vocabulary import LateCause, SpanExport, SpanName

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_TRACEPARENT: Final = "traceparent"
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_KINDS: Final = {kind: trace.SpanKind[kind.name] for kind in SpanKind}
SERVER_FAULTS: Final = 500
"""From this status on a refused handshake is our own fault."""


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
        result = SpanExportResult.FAILURE
        try:
            result = self._real.export(spans)
        finally:
            self._count(len(spans), works=result is SpanExportResult.SUCCESS)
        return result

    def _count(self, spans: int, *, works: bool) -> None:
        self.counts[SpanExport.EXPORTED if works else SpanExport.FAILED] += spans
        if works is not self._works:
            self._works = works
            self._on_change(works)

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


class _RecordedSpan(ReadableSpan):
    """A `Span` of ours, and itself what the exporter gets.

    The SDK's own tracer makes a span in 16 µs with everything in its cache and 80 in a busy server: locks, limits and
    checks of values that the catalogue has made sure of. This one is made in 5.
    """

    def __init__(
        self,
        owner: "OtelTracer",
        spec: SpanSpec,
        parent: SpanContext | None,
        links: Sequence[Link],
        attributes: Mapping[str, Value],
        started: float | None,
    ) -> None:
        trace_id = parent.trace_id if parent is not None else owner.new_trace_id()
        super().__init__(
            name=spec.name,
            context=SpanContext(trace_id, owner.new_span_id(), is_remote=False, trace_flags=_SAMPLED),
            parent=parent,
            resource=owner.resource,
            attributes={},
            links=links,
            kind=_KINDS[spec.kind],
            start_time=time.time_ns() if started is None else _epoch_ns(started),
            instrumentation_scope=owner.scope,
        )
        self._owner = owner
        self._spec = spec
        self._noted: dict[str, Value] = {}
        self._attributes = self._noted
        self.note(attributes)

    @property
    def trace_id(self) -> str:
        return trace.format_trace_id(self.span_context.trace_id)

    @property
    def span_context(self) -> SpanContext:
        """The context, which is always there."""
        return cast("SpanContext", self._context)

    @property
    def traceparent(self) -> str:
        context = self.span_context
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def note(self, attributes: Mapping[str, Value]) -> None:
        if not attributes.keys() <= self._spec.attributes:
            unknown = sorted(attributes.keys() - self._spec.attributes)
            raise ValueError(f"{self.name}: the catalogue does not list {unknown}")
        self._noted.update(attributes)

    def delivery(self, link: LinkPort | None, attributes: Mapping[str, Value]) -> Span:
        known = link if isinstance(link, _HandshakeLink) else None
        all_attributes = {**attributes, **(known.attributes if known else {})}
        return self._owner.start(SpanName.DELIVER, self.span_context, known, all_attributes)

    def end(self, fault: str = "", ended: float | None = None) -> None:
        if fault:
            self._status = Status(StatusCode.ERROR, fault)
            self.note({"error.type": fault})
        self._end_time = time.time_ns() if ended is None else _epoch_ns(ended)
        self._owner.ended(self)


class _HandshakeLink:
    """A `Link`: a handshake; its span is made when the first trace that points at it needs it, with its real times."""

    __slots__ = ("_attributes", "handshake", "links")

    def __init__(self, handshake: Handshake) -> None:
        self.handshake = handshake
        self.links: tuple[Link, ...] = ()
        self._attributes: dict[str, Value] | None = None

    @property
    def trace_id(self) -> str | None:
        """The trace of its span, once it has one."""
        return trace.format_trace_id(self.links[0].context.trace_id) if self.links else None

    @property
    def attributes(self) -> dict[str, Value]:
        """Who and where."""
        if self._attributes is None:
            one = self.handshake
            named = {"connection.id": one.connection_id, "game.id": one.game_id, "player.id": one.player_id}
            self._attributes = {key: value for key, value in named.items() if value is not None}
        return self._attributes


class OtelTracer(Tracer):
    """Traces over OpenTelemetry.

    `counts` are of spans, by what became of them; `answers` are exceptions that end a block without being a fault.
    """

    def __init__(
        self,
        settings: TelemetrySettings,
        exporter: SpanExporter,
        resource: Mapping[str, str],
        on_change: Callable[[bool], None],
        answers: tuple[type[Exception], ...] = (),
    ) -> None:
        super().__init__()
        self.can_watch = True
        self._answers: tuple[type[BaseException], ...] = (*answers, asyncio.CancelledError)
        self._ratio = settings.trace_ratio
        self._trusts_parents = settings.trusts_parents
        self._flush_timeout_s = settings.trace_flush_timeout_s
        self._random = random.random
        self._late = Repeats(settings.late_spans_per_s)
        self._exporter = _Exporter(exporter, on_change)
        self.resource = Resource.create(dict(resource)).merge(OTELResourceDetector().detect())
        self.scope = InstrumentationScope("code-racer", resource.get("service.version"))
        self._queue = _Bounded(self._exporter, settings.otel_bsp_max_queue_size)
        self._current: ContextVar[_RecordedSpan | None] = ContextVar("span", default=None)
        ids = RandomIdGenerator()
        self.new_trace_id = ids.generate_trace_id
        self.new_span_id = ids.generate_span_id

    @property
    def counts(self) -> dict[SpanExport, int]:
        """Spans by what became of them."""
        return self._exporter.counts

    async def close(self) -> None:
        """Send what waits, within the time that the settings allow."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._queue.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop has not waited for us
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=shut_down, name="trace-flush", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), self._flush_timeout_s)

    def current_ids(self) -> dict[str, str]:
        """Return the current span's ids, for log lines; empty outside of spans."""
        span = self._current.get()
        if span is None:
            return {}
        return {"trace_id": span.trace_id, "span_id": trace.format_span_id(span.span_context.span_id)}

    def ended(self, span: ReadableSpan) -> None:
        """Send a span that is over to the collector."""
        self._queue.on_end(span)

    def start(
        self,
        name: str,
        parent: SpanContext | None,
        link: _HandshakeLink | None,
        attributes: Mapping[str, Value],
        client: str | None = None,
        started: float | None = None,
    ) -> _RecordedSpan:
        """Begin a new span. `client` is the context a client sent: a link, or where it is trusted the parent."""
        links = self._links_to(link) if link is not None else ()
        context = _parse(client) if client else None
        if context is not None and self._trusts_parents:
            parent = context
        elif context is not None:
            links = (*links, Link(context))
        return _RecordedSpan(self, SPANS[name], parent, links, attributes, started)

    # ---------------------------------------------------------------- Tracer

    def handshake(self, handshake: Handshake) -> LinkPort | None:
        link = _HandshakeLink(handshake)
        is_late = handshake.status >= SERVER_FAULTS and self._late.suppressed("handshake") is not None
        if self._samples(handshake.traceparent) or is_late or (self.watched and self._watches(link)):
            self._links_to(link)
        return link

    def request(self, traceparent: str | None) -> Span | None:
        if not self._samples(traceparent):
            return None
        return self.start(SpanName.REQUEST, None, None, {}, traceparent)

    def message(self, type: str, arrived: float, link: LinkPort | None, traceparent: str | None) -> Span | None:
        sampled = self._random() < self._ratio if traceparent is None else self._samples(traceparent)
        if not (sampled or (self.watched and self._watches(link))):
            return None
        return self._message(type, arrived, link, traceparent)

    def late(
        self, type: str, arrived: float, link: LinkPort | None, traceparent: str | None, cause: LateCause
    ) -> Span | None:
        if self._late.suppressed(cause) is None:
            return None
        span = self._message(type, arrived, link, traceparent)
        span.note({"late": cause})
        return span

    def root(
        self, name: SpanName, link: LinkPort | None = None, attributes: Mapping[str, Value] | None = None
    ) -> Maybe:
        if self._current.get() is not None:
            return self.child(name, attributes)
        if self._random() >= self._ratio and not (self.watched and self._watches(link, attributes)):
            return NOTHING
        known = link if isinstance(link, _HandshakeLink) else None
        return self._block(self.start(name, None, known, {**(attributes or {}), **(known.attributes if known else {})}))

    def child(self, name: SpanName, attributes: Mapping[str, Value] | None = None) -> Maybe:
        current = self._current.get()
        if current is None:
            return NOTHING
        return self._block(self.start(name, current.span_context, None, attributes or {}))

    def continued(self, name: SpanName, traceparent: str | None, attributes: Mapping[str, Value]) -> Maybe:
        parent = _parse(traceparent) if traceparent else None
        if parent is None or not parent.trace_flags.sampled:
            return NOTHING
        return self._block(self.start(name, parent, None, attributes))

    def active(self, span: Span | None) -> AbstractContextManager[None]:
        return self._use(span) if isinstance(span, _RecordedSpan) else NOTHING

    # ---------------------------------------------------------------- own

    def _samples(self, traceparent: str | None) -> bool:
        """Tell whether to sample: a trusted client's context decides, otherwise the ratio."""
        if traceparent is not None and self._trusts_parents:
            parent = _parse(traceparent)
            if parent is not None:
                return parent.trace_flags.sampled
        return self._random() < self._ratio

    def _watches(self, link: LinkPort | None, attributes: Mapping[str, Value] | None = None) -> bool:
        """Tell whether an operator watches what a handshake, or a block without one, is about."""
        named = {**(link.attributes if isinstance(link, _HandshakeLink) else {}), **(attributes or {})}
        return not self.watched.isdisjoint(named.items())

    def _message(self, type: str, arrived: float, link: LinkPort | None, traceparent: str | None) -> _RecordedSpan:
        known = link if isinstance(link, _HandshakeLink) else None
        attributes = known.attributes if known else {}
        return self.start(MESSAGE_SPANS[type], None, known, attributes, traceparent, arrived)

    def _links_to(self, link: _HandshakeLink) -> tuple[Link, ...]:
        """Return the link to a handshake, whose span is made now if it was not before."""
        if not link.links:
            one = link.handshake
            attributes = {**link.attributes, "outcome": one.outcome, "http.response.status_code": one.status}
            span = self.start(SpanName.HANDSHAKE, None, None, attributes, one.traceparent, one.started)
            span.end(one.outcome if one.status >= SERVER_FAULTS else "", one.ended)
            link.links = (Link(span.span_context),)
        return link.links

    @contextlib.contextmanager
    def _use(self, span: _RecordedSpan) -> Iterator[None]:
        token = self._current.set(span)
        try:
            yield
        finally:
            self._current.reset(token)

    @contextlib.contextmanager
    def _block(self, span: _RecordedSpan) -> Iterator[Span]:
        fault = ""
        try:
            with self._use(span):
                yield span
        except self._answers as answer:
            span.note({"error.type": type(answer).__name__})
            raise
        except BaseException as error:
            fault = type(error).__name__
            raise
        finally:
            span.end(fault)


def _parse(traceparent: str) -> SpanContext | None:
    """Parse a context as it came over the wire; None if it is invalid, which W3C says to ignore."""
    context = trace.get_current_span(_PROPAGATOR.extract({_TRACEPARENT: traceparent})).get_span_context()
    return context if context.is_valid else None


def _epoch_ns(at: float) -> int:
    """Convert a time of `time.perf_counter` to nanoseconds since the epoch."""
    return time.time_ns() - round((time.perf_counter() - at) * 1e9)
