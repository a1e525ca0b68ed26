"""Native histograms: their buckets are those of the specification, and beside them all stays as it was."""

import math
import random
from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from app.telemetry.catalogue import CANARY_METRICS, METRICS, Kind, Metric, Metrics
from app.telemetry.catalogue.model import FINE_LATENCY_BUCKETS, LATENCY_BUCKETS, PAUSE_BUCKETS, WAIT_BUCKETS
from app.telemetry.metrics import MetricStore
from app.telemetry.native import MAX_BUCKETS, SCHEMA, ZERO_THRESHOLD, NativeBuckets, bound, grid
from app.telemetry.protobuf import CONTENT_TYPE, is_preferred

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
LARGEST = 1 / ZERO_THRESHOLD
ON_A_BOUND = st.integers(-8 * 20 + 1, 8 * 20).map(bound)
BESIDE_A_BOUND = ON_A_BOUND.flatmap(
    lambda edge: st.sampled_from((edge, math.nextafter(edge, 0), math.nextafter(edge, 9)))
)
OF_ALL_SIZES = st.floats(-21, 20).map(lambda power: 2.0**power)
LATENCIES = OF_ALL_SIZES | BESIDE_A_BOUND.filter(lambda value: value <= LARGEST)


def lies_in(value: float, index: int, schema: int) -> bool:
    """Whether the specification's bounds of a bucket, powers of 2**(2**-schema), hold a value; without rounding."""
    two, exact = Fraction(2), Fraction(value)
    base, power = (two**2**-schema, exact) if schema < 0 else (two, exact**2**schema)
    return bool(base ** (index - 1) < power <= base**index)


def counts(native: NativeBuckets) -> dict[int, int]:
    """Counts by index of bucket, from spans and deltas as Prometheus reads them."""
    indexes: list[int] = []
    for gap, length in native.spans:
        first = gap + (indexes[-1] + 1 if indexes else 0)
        indexes += range(first, first + length)
    return dict(zip(indexes, accumulate(native.deltas), strict=True))


def observed(values: list[float], metric: Metric = Metrics.PING_RTT) -> list[float]:
    """The cells of a row with these observations."""
    histogram = MetricStore(is_native=True).histogram(metric)
    for value in values:
        histogram.observe(value)
    return histogram.rows[()]


@given(LATENCIES)
def test_an_observation_is_in_the_bucket_of_the_specification(value: float) -> None:
    native = grid(Metrics.PING_RTT.buckets).sum_up(observed([value]))
    if value <= ZERO_THRESHOLD:
        assert (native.zero_count, native.spans) == (1, ())
    else:
        ((index, count),) = counts(native).items()
        assert (native.zero_count, count, native.schema) == (0, 1, SCHEMA)
        assert lies_in(value, index, SCHEMA)


@given(st.lists(LATENCIES, max_size=200), st.integers(4, 40))
def test_no_more_buckets_are_in_use_than_may_be_and_none_is_lost(values: list[float], most: int) -> None:
    cells = observed(values)
    native, finest = (grid(Metrics.PING_RTT.buckets).sum_up(cells, many) for many in (most, 1_000))
    by_index = counts(native)
    assert len(by_index) <= most
    assert all(by_index.values()), "none that is empty is told"
    assert native.zero_count + sum(by_index.values()) == len(values)
    for index, count in by_index.items():
        assert count == sum(lies_in(value, index, native.schema) for value in values if value > ZERO_THRESHOLD)
    assert native.schema == SCHEMA or len(counts(finest)) > most, "only what would be too many is told in wider buckets"


def test_the_whole_range_in_use_is_within_the_bound() -> None:
    values = [bound(index) for index in range(-8 * 20, 8 * 20 + 1)] + [2 * LARGEST]
    native = grid(Metrics.PING_RTT.buckets).sum_up(observed(values))
    assert len(counts(native)) <= MAX_BUCKETS
    assert native.schema == SCHEMA - 2
    assert native.zero_count + sum(counts(native).values()) == len(values)


# ---------------------------------------------------------------- beside the classic ones


def stores() -> tuple[MetricStore, MetricStore]:
    """One without and one with native histograms, in which the same has been observed."""
    both = MetricStore(), MetricStore(is_native=True)
    for store in both:
        chance = random.Random(6)  # noqa: S311 - a load to be told twice, no secret
        for metric in METRICS:
            if metric.kind is Kind.HISTOGRAM:
                for edge in (*metric.buckets, *(chance.lognormvariate(-6, 3) for _ in range(50))):
                    row = chance.choice(metric.rows)
                    store.histogram(metric).observe(edge, row)
                    store.histogram(metric).observe_many(edge * 1.01, 3, row)
        store.counter(Metrics.ERRORS).inc(("internal",), 300)
        store.read_gauge(Metrics.ROOMS, lambda: -0.5)
        store.read_gauge(Metrics.GAMES, lambda: {"waiting": 7})
    return both


@pytest.mark.parametrize("accept", ["", "text/plain;version=1.0.0", OPEN_METRICS])
def test_the_text_formats_are_the_same_byte_for_byte(accept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.telemetry.histograms.time.time", lambda: 1_700_000_000.25)
    classic, native = stores()
    for store in (classic, native):
        store.histogram(Metrics.APPEND_DURATION).observe(0.02, ("accepted",), "0123456789abcdef")
    assert native.render(accept) == classic.render(accept)
    assert ("# {trace_id=" in native.render(accept)[0].decode()) == (accept == OPEN_METRICS)


def test_without_the_setting_who_asks_for_protobuf_first_gets_his_second_choice() -> None:
    classic, native = stores()
    accept = f"{PROTOBUF},{OPEN_METRICS};q=0.8,*/*;q=0.1"
    assert classic.render(accept) == classic.render(OPEN_METRICS)
    assert native.render(accept)[1] == CONTENT_TYPE


def test_latencies_and_nothing_else_have_native_histograms() -> None:
    latencies = {LATENCY_BUCKETS, FINE_LATENCY_BUCKETS, PAUSE_BUCKETS, WAIT_BUCKETS}
    assert [metric for metric in METRICS if metric.is_native] == [one for one in METRICS if one.buckets in latencies]
    assert not any(metric.is_native for metric in CANARY_METRICS), "its exposition is prometheus-client's own"


# ---------------------------------------------------------------- protobuf

MESSAGES = {
    "LabelPair": {"name": (1, "string"), "value": (2, "string")},
    "Gauge": {"value": (1, "double")},
    "Counter": {"value": (1, "double"), "exemplar": (2, "Exemplar")},
    "Exemplar": {"label": (1, "*LabelPair"), "value": (2, "double"), "timestamp": (3, "Timestamp")},
    "Bucket": {"cumulative_count": (1, "uint64"), "upper_bound": (2, "double"), "exemplar": (3, "Exemplar")},
    "BucketSpan": {"offset": (1, "sint32"), "length": (2, "uint32")},
    "Histogram": {
        "sample_count": (1, "uint64"), "sample_sum": (2, "double"), "bucket": (3, "*Bucket"), "schema": (5, "sint32"),
        "zero_threshold": (6, "double"), "zero_count": (7, "uint64"), "positive_span": (12, "*BucketSpan"),
        "positive_delta": (13, "*sint64"),
    },
    "Metric": {
        "label": (1, "*LabelPair"), "gauge": (2, "Gauge"), "counter": (3, "Counter"), "histogram": (7, "Histogram"),
    },
    "MetricFamily": {"name": (1, "string"), "help": (2, "string"), "type": (3, "uint32"), "metric": (4, "*Metric")},
}  # fmt: skip
"""What we write of client_model's metrics.proto; an enum is read as the number that it is."""


def family_class() -> Any:
    """`MetricFamily` of the protobuf library."""
    file = descriptor_pb2.FileDescriptorProto(
        name="metrics.proto", package="io.prometheus.client", dependency=[timestamp_pb2.DESCRIPTOR.name]
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            bare = kind.removeprefix("*")
            one = message.field.add(name=field, number=number, label=3 if bare != kind else 1)
            if bare[0].isupper():
                package = "google.protobuf" if bare == "Timestamp" else "io.prometheus.client"
                one.type, one.type_name = one.TYPE_MESSAGE, f".{package}.{bare}"
            else:
                one.type = descriptor_pb2.FieldDescriptorProto.Type.Value(f"TYPE_{bare.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("io.prometheus.client.MetricFamily"))


def decoded(body: bytes) -> list[Any]:
    """The families of an exposition, read by the protobuf library; nothing in them is unknown to it."""
    kind, at, families = family_class(), 0, []
    while at < len(body):
        size = shift = 0
        while True:
            byte = body[at]
            size, shift, at = size | (byte & 0x7F) << shift, shift + 7, at + 1
            if byte < 0x80:
                break
        families.append(kind.FromString(body[at : at + size]))
        at += size
        assert families[-1].ByteSize() == size, "it is as long where the library writes it"
    assert at == len(body)
    return families


def samples(families: list[Any]) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
    """What the text formats show of the same families."""
    for family in families:
        for metric in family.metric:
            labels = tuple((pair.name, pair.value) for pair in metric.label)
            if family.type == 4:
                for bucket in metric.histogram.bucket:
                    edge = "+Inf" if bucket.upper_bound == math.inf else str(bucket.upper_bound)
                    yield f"{family.name}_bucket", (*labels, ("le", edge)), bucket.cumulative_count
                yield f"{family.name}_count", labels, metric.histogram.sample_count
                yield f"{family.name}_sum", labels, metric.histogram.sample_sum
            else:
                yield family.name, labels, (metric.gauge if family.type else metric.counter).value


def test_protobuf_has_what_the_text_has_and_the_native_buckets_of_latencies() -> None:
    store = stores()[1]
    families = decoded(store.render(PROTOBUF)[0])
    told = sorted((name, sorted(labels), number) for name, labels, number in samples(families))
    text = [sample for family in parse_text(store.render("")[0].decode()) for sample in family.samples]
    assert told == sorted((one.name, sorted(one.labels.items()), one.value) for one in text)
    by_name = {metric.name: metric for metric in METRICS}
    assert [family.name for family in families] == list(by_name)
    for family in families:
        assert family.help == by_name[family.name].help
        assert [family.type] == [{Kind.COUNTER: 0, Kind.GAUGE: 1, Kind.HISTOGRAM: 4}[by_name[family.name].kind]]
        for metric in family.metric:
            histogram = metric.histogram
            assert (histogram.zero_threshold > 0) == by_name[family.name].is_native
            if not by_name[family.name].is_native:
                assert not histogram.positive_delta
                continue
            spans = tuple((span.offset, span.length) for span in histogram.positive_span)
            native = NativeBuckets(histogram.schema, histogram.zero_count, spans, tuple(histogram.positive_delta))
            assert native.zero_count + sum(counts(native).values()) == histogram.sample_count


def test_protobuf_has_the_examples_of_traces() -> None:
    store = MetricStore(is_native=True)
    store.histogram(Metrics.APPEND_DURATION).observe(0.02, ("accepted",), "0123456789abcdef")
    (text,) = (
        sample.exemplar
        for family in openmetrics.text_string_to_metric_families(store.render(OPEN_METRICS)[0].decode())  # type: ignore[no-untyped-call] # theirs
        for sample in family.samples
        if sample.exemplar
    )
    ((edge, example),) = (
        (bucket.upper_bound, bucket.exemplar)
        for family in decoded(store.render(PROTOBUF)[0])
        for metric in family.metric
        for bucket in metric.histogram.bucket
        if bucket.HasField("exemplar")
    )
    assert edge == 0.025
    assert ({pair.name: pair.value for pair in example.label}, example.value) == (text.labels, text.value)
    assert example.timestamp.seconds + example.timestamp.nanos / 1e9 == pytest.approx(float(text.timestamp), abs=1e-6)


@pytest.mark.parametrize(
    ("accept", "preferred"),
    [
        ("", False),
        ("*/*", False),
        ("application/*;q=0.9,*/*;q=0.1", False),
        (OPEN_METRICS, False),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", False),
        (PROTOBUF, True),
        (f"{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5", True),
        (f"{PROTOBUF};escaping=allow-utf-8;q=0.6,{OPEN_METRICS};q=0.5,text/plain;q=0.2,*/*;q=0.1", True),
        (PROTOBUF.replace(";", " ; ").upper(), True),
        (f"{OPEN_METRICS};q=0.6,{PROTOBUF};q=0.5", False),
        (f"text/plain,{PROTOBUF};q=0.999", False),
        (f"{PROTOBUF};q=0", False),
        (f"{PROTOBUF};q=1e999", False),
        (f"{PROTOBUF};q=nan", False),
        ("application/vnd.google.protobuf", False),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", False),
        ("application/vnd.google.protobuf;proto=another.Message;encoding=delimited", False),
        (";;,,q=;" * 50, False),
    ],
)
def test_protobuf_is_for_who_asks_for_it_before_the_text_formats(accept: str, preferred: bool) -> None:
    assert is_preferred(accept) is preferred
    assert (MetricStore(is_native=True).render(accept)[1] == CONTENT_TYPE) is preferred
