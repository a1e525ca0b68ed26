"""Plain integers become correct samples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry.catalogue import Metrics
from app.telemetry.metrics import MetricStore


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
