"""Plain integers become correct samples."""

import re
from collections.abc import Iterator
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry.catalogue import Metrics
from app.telemetry.metrics import MAX_SIZES, MetricStore
from app.telemetry.recorder import Recorder


@given(st.lists(st.floats(min_value=0, max_value=20) | st.sampled_from(Metrics.PING_RTT.buckets), max_size=30))
def test_a_histogram_agrees_with_prometheus_clients_own(values: list[float]) -> None:
    store = MetricStore()
    registry = CollectorRegistry()
    theirs = Histogram("theirs", "x", buckets=Metrics.PING_RTT.buckets, registry=registry)
    for value in values:
        store.histogram(Metrics.PING_RTT).observe(value)
        theirs.observe(value)
    ours = {
        sample.labels["le"]: sample.value
        for family in text_string_to_metric_families(store.render("")[0].decode())
        for sample in family.samples
        if sample.name == f"{Metrics.PING_RTT.name}_bucket"
    }
    expected = {
        sample.labels["le"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "theirs_bucket"
    }
    assert ours == expected


def test_a_row_that_is_not_in_the_catalogue_is_an_error() -> None:
    with pytest.raises(KeyError):
        MetricStore().counter(Metrics.ERRORS).inc(("surprise",))


@given(st.lists(st.tuples(st.sampled_from(("ping", "ready", "other")), st.integers(0, 70_000)), max_size=3_000))
@settings(max_examples=25)
def test_counts_by_type_and_size_are_folded_whole_and_stay_few(messages: list[tuple[str, int]]) -> None:
    store = MetricStore()
    counts = store.sized_counts("in", Metrics.MESSAGES, Metrics.MESSAGE_BYTES)
    for type, size in messages:
        counts[type][size] += 1
        assert len(counts[type]) <= MAX_SIZES
    store.render("")
    by_type = store.counter(Metrics.MESSAGES).values
    for type in ("ping", "ready", "other"):
        assert by_type["in", type] == sum(one == type for one, _ in messages)
    buckets, total = store.histogram(Metrics.MESSAGE_BYTES).samples(("in",))
    assert total == sum(size for _, size in messages)
    for edge, count, *_ in buckets:
        assert count == sum(size <= float(edge) for _, size in messages)
    with pytest.raises(KeyError):
        counts["surprise"][1] += 1


def test_many_sizes_are_folded_before_the_scrape() -> None:
    store = MetricStore()
    counts = store.sized_counts("out", Metrics.MESSAGES, Metrics.MESSAGE_BYTES)
    for size in range(10 * MAX_SIZES):
        counts["pong"][size] += 2
        assert len(counts["pong"]) <= MAX_SIZES
    store.render("")
    assert store.counter(Metrics.MESSAGES).values["out", "pong"] == 20 * MAX_SIZES


def test_a_clock_that_is_ahead_is_counted_and_makes_no_negative_delay() -> None:
    recorder = Recorder(MetricStore())
    recorder.applied(-0.5)
    recorder.applied(0.25)
    recorder.fanned_out("player_ready", 100, 3, 3, -0.5)
    lag = recorder.store.histogram(Metrics.LOG_LAG)
    assert lag.samples(())[1] == 0.25
    assert lag.samples(())[0][-1][1] == 2
    assert recorder.store.counter(Metrics.CLOCK_SKEWS).values == {(): 1}
    assert recorder.store.histogram(Metrics.EVENT_DELIVERY).samples(("prompt",))[1] == 0


def test_a_gauge_that_raises_is_left_out_and_counted() -> None:
    recorder = Recorder(MetricStore())
    store = recorder.store

    def fail() -> NoReturn:
        raise ValueError("a fault")

    store.before_scrape(fail)
    store.read_gauge(Metrics.ROOMS, fail)
    store.read_gauge(Metrics.CONNECTIONS, lambda: 7)
    store.read_counter(Metrics.LOG_DROPPED, fail)
    text = store.render("")[0].decode()
    assert "code_racer_ws_connections 7.0" in text
    assert "code_racer_rooms" not in text
    assert store.counter(Metrics.FAULTS).values == {(): 3}


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0"])
def test_what_is_counted_while_it_is_written_is_of_the_next_scrape(accept: str) -> None:
    store = MetricStore()
    before = store.render(accept)[0]
    parts, _ = store.begin(accept)
    read = next(parts)
    store.histogram(Metrics.PING_RTT).observe(0.1, trace_id="ab" * 16)
    for row in Metrics.HANDSHAKES.rows:
        store.counter(Metrics.HANDSHAKES).inc(row)
    assert b"".join([read, *parts]) == before
    after = store.render(accept)[0].decode()
    assert f"\n{Metrics.PING_RTT.name}_count 1.0\n" in after
    assert after.count(f"\n{Metrics.HANDSHAKES.name}{{") == len(
        re.findall(rf"\n{Metrics.HANDSHAKES.name}{{.* 1.0", after)
    )


def test_what_is_read_apart_tells_by_its_last_step_and_holds_nobody_up_for_long() -> None:
    store = MetricStore()
    steps: list[int] = []

    def read() -> Iterator[int]:
        for step in (3, 7, 5):
            steps.append(step)
            yield step

    store.read_apart(Metrics.LARGEST_GAME, read)
    parts, _ = store.begin("")
    text, at_a_time = b"", []
    for part in parts:
        text += part
        at_a_time.append(len(steps))
        steps.clear()
    assert f"\n{Metrics.LARGEST_GAME.name} 5.0\n".encode() in text
    assert max(at_a_time) == 1


def test_what_fails_half_way_through_its_steps_is_left_out_and_reported() -> None:
    store, faults = MetricStore(), []
    store.report = lambda where, error: faults.append((where, type(error)))

    def read() -> Iterator[int]:
        yield 3
        raise LookupError

    store.read_apart(Metrics.LARGEST_GAME, read)
    assert Metrics.LARGEST_GAME.name.encode() not in store.render("")[0]
    assert faults == [("scrape", LookupError)]
