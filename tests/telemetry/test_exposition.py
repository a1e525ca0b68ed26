"""The text formats are written byte for byte as prometheus_client writes them."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.exposition import choose_encoder

from app.telemetry.catalogue import METRICS, Kind
from app.telemetry.metrics import MetricStore

TEXTS = (
    "",
    "text/plain;version=0.0.4",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "application/openmetrics-text;version=0.0.1",
    "application/openmetrics-text;version=1.0.0",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    "application/openmetrics-text;version=1.0.0;escaping=dots",
    "text/plain;version=1.0.0;escaping=values",
)
NUMBERS = st.floats(allow_nan=True) | st.integers(-10, 10**18) | st.sampled_from((1e6, 999_999.5, 1e7, 1e22, -0.0))
NAMES = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(('"', "\\", "\n", "a b"))


def written_by_theirs(store: MetricStore, accept: str) -> bytes:
    encode, _ = choose_encoder(accept)
    return encode(store.registry)


def count_anything(store: MetricStore, numbers: list[float], chosen: random.Random) -> None:
    for metric in METRICS:
        for row in metric.rows:
            if chosen.random() < 0.3:
                if metric.kind is Kind.HISTOGRAM:
                    trace_id = f"{chosen.getrandbits(128):032x}" if chosen.random() < 0.5 else None
                    store.histogram(metric).observe(abs(chosen.choice(numbers)), row, trace_id)
                elif metric.kind is Kind.COUNTER:
                    store.counter(metric).inc(row, chosen.choice((1, 7, 10**6, 10**9)))


@pytest.mark.parametrize("accept", TEXTS)
@given(
    st.lists(NUMBERS.filter(lambda one: not math.isnan(one)), min_size=1),
    NUMBERS,
    st.dictionaries(NAMES, NUMBERS),
    st.randoms(use_true_random=True),
)
@settings(max_examples=4)
def test_it_is_what_prometheus_client_writes_scrape_after_scrape(
    accept: str, numbers: list[float], alone: float, by_label: dict[str, float], chosen: random.Random
) -> None:
    store = MetricStore()
    assert store.render(accept)[0] == written_by_theirs(store, accept)
    labelled = [one for one in METRICS if one.kind is Kind.GAUGE and len(one.labels) == 1]
    plain = [one for one in METRICS if one.kind is Kind.GAUGE and not one.labels]
    store.read_gauge(plain[0], lambda: alone)
    store.read_gauge(labelled[0], lambda: by_label)
    for _ in range(3):
        count_anything(store, numbers, chosen)
        assert store.render(accept)[0] == written_by_theirs(store, accept)
        by_label.clear()


def test_an_exemplar_that_comes_alone_is_shown() -> None:
    store = MetricStore()
    metric = next(one for one in METRICS if one.kind is Kind.HISTOGRAM)
    row = metric.rows[0]
    store.histogram(metric).observe(0.5, row)
    accept = TEXTS[-4]
    store.render(accept)
    store.histogram(metric).add_exemplar(0.5, row, "ab" * 16)
    assert b'trace_id="abab' in store.render(accept)[0]
    assert b"trace_id" not in store.render("")[0]
