"""Metrics as plain integers, folded into samples at scrape.

Counting is a dictionary look-up and an addition, on the way of every message. Every valid label combination
exists from the start; a row that the catalogue does not list is an error of ours, and raises. Only families the
catalogue calls `open` take further label values (what is configured, never what clients send), until the cap on
series is reached: what comes then is counted as `other`.
"""

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from app.telemetry import exposition, protobuf
from app.telemetry.bulkhead import Bulkhead, ReportFault
from app.telemetry.catalogue import METRICS, OTHER, Kind, Metric
from app.telemetry.exposition import TextFamily
from app.telemetry.native import grid

MAX_SIZES = 1_000
Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
Bucket = tuple[str, float] | tuple[str, float, Exemplar]
Made = TypeVar("Made")
Reading = float | Mapping[Any, float]
"""A number, or one for each value of the label; for each row of values where there are several labels."""


class Counter:
    """A counter family: one integer per label row."""

    __slots__ = ("name", "values")

    def __init__(self, metric: Metric) -> None:
        self.name = metric.name
        self.values: dict[tuple[str, ...], int] = dict.fromkeys(metric.rows, 0)

    def inc(self, row: tuple[str, ...] = (), by: int = 1) -> None:
        """Count; KeyError for a row that the catalogue does not list."""
        self.values[row] += by


class OpenCounter(Counter):
    """A counter family whose first label takes values of the configuration; `admit` says whether one more fits."""

    __slots__ = ("_admit", "_fixed")

    def __init__(self, metric: Metric, admit: Callable[[], bool]) -> None:
        super().__init__(metric)
        self._fixed = frozenset(self.values)
        self._admit = admit

    def inc(self, row: tuple[str, ...] = (), by: int = 1) -> None:
        """Count; a row over the cap is counted as `other`."""
        if row not in self.values and not self.add(row):
            row = (OTHER, *row[1:])
        self.values[row] += by

    def add(self, row: tuple[str, ...]) -> bool:
        """Have a row from now on, at 0; False where it is over the cap."""
        if row not in self.values:
            if not self._admit():
                return False
            self.values = {**self.values, row: 0}  # another thread may be reading the one before
        return True

    def keep(self, rows: tuple[tuple[str, ...], ...]) -> None:
        """Have these rows beside those of the catalogue, and no others."""
        wanted = self._fixed.union(rows)
        self.values = {row: count for row, count in self.values.items() if row in wanted}
        for row in rows:
            self.add(row)


class Histogram:
    """A histogram family: counts between edges and a sum per label row, and per bucket the newest example of a trace.

    The edges are those of the buckets; of the native ones too, where there are such.
    """

    __slots__ = ("_buckets", "_ends", "_exemplars", "_grid", "edges", "rows")

    def __init__(self, metric: Metric, *, is_native: bool = False) -> None:
        self._buckets = metric.buckets
        self._grid = grid(metric.buckets) if is_native else None
        self.edges = self._grid.edges if self._grid else metric.buckets
        self._ends = [self.edges.index(edge) + 1 for edge in metric.buckets] + [len(self.edges) + 1]
        self._exemplars: dict[tuple[str, ...], dict[int, Exemplar]] = {}
        self.rows: dict[tuple[str, ...], list[float]] = {row: [0.0] * (len(self.edges) + 2) for row in metric.rows}

    def observe(self, value: float, row: tuple[str, ...] = (), trace_id: str | None = None) -> None:
        """Observe one value, in the unit of the name; KeyError for a row that the catalogue does not list."""
        cells = self.rows[row]
        cells[bisect_left(self.edges, value)] += 1
        cells[-1] += value
        if trace_id is not None:
            self.add_exemplar(value, row, trace_id)

    def add_exemplar(self, value: float, row: tuple[str, ...], trace_id: str) -> None:
        """Make this observed value the exemplar of its bucket."""
        exemplar = Exemplar({"trace_id": trace_id}, value, time.time())
        self._exemplars.setdefault(row, {})[bisect_left(self._buckets, value)] = exemplar

    def exemplars(self, row: tuple[str, ...]) -> dict[int, Exemplar]:
        """Return the exemplars of a row by the number of the bucket."""
        return self._exemplars.get(row, {})

    def observe_many(self, value: float, count: int, row: tuple[str, ...] = (), trace_id: str | None = None) -> None:
        """Observe the same value so many times."""
        cells = self.rows[row]
        cells[bisect_left(self.edges, value)] += count
        cells[-1] += value * count
        if trace_id is not None and count:
            self.add_exemplar(value, row, trace_id)

    def samples(self, row: tuple[str, ...]) -> tuple[list[Bucket], float]:
        """Return cumulative buckets, as the exposition wants them, and the sum."""
        buckets: list[Bucket] = []
        for edge, count, exemplar in self.cumulative(row):
            name = "+Inf" if edge == math.inf else str(edge)
            buckets.append((name, count) if exemplar is None else (name, count, exemplar))
        return buckets, self.rows[row][-1]

    def message(self, row: tuple[str, ...]) -> bytes:
        """Return the protobuf message of a row: what `samples` has, and the native buckets."""
        cells = self.rows[row]
        native = self._grid.sum_up(cells) if self._grid else None
        return protobuf.histogram(self.cumulative(row), cells[-1], native)

    def cumulative(self, row: tuple[str, ...]) -> Iterator[tuple[float, float, Exemplar | None]]:
        """Yield edge, count of what is not above it, and example of each classic bucket."""
        cells = self.rows[row]
        exemplars = self.exemplars(row)
        begin, total = 0, 0.0
        for bucket, (edge, end) in enumerate(zip((*self._buckets, math.inf), self._ends, strict=True)):
            total += sum(cells[begin:end])
            yield edge, total, exemplars.get(bucket)
            begin = end


class _Sizes(dict[int, int]):
    """How many messages there were of each size; should there be many sizes, they are folded before the scrape."""

    def __init__(self, fold: Callable[[], None]) -> None:
        super().__init__()
        self._fold = fold

    def __missing__(self, size: int) -> int:
        if len(self) >= MAX_SIZES:
            self._fold()
        return 0


class SizedCounts(dict[str, _Sizes]):
    """Messages of one direction by type and size: one addition each, folded into both families at scrape.

    Sizes repeat, so there are few. Measured: half of what counting in each family costs.
    """

    def __init__(self, direction: str, messages: Counter, sizes: Histogram) -> None:
        types = [type for row_direction, type in messages.values if row_direction == direction]
        super().__init__({type: _Sizes(self.fold) for type in types})
        self._direction = direction
        self._messages = messages
        self._sizes = sizes

    def fold(self) -> None:
        """Move all to the families."""
        for type, sizes in self.items():
            for size, count in sizes.items():
                self._messages.inc((self._direction, type), count)
                self._sizes.observe_many(size, count, (self._direction,))
            sizes.clear()


def _raise(_where: str, error: BaseException) -> None:
    raise error


class MetricStore(Collector):
    """Families of the catalogue; gauges are read when scraped, from whoever owns the live things.

    Told to `report` is what cannot be read; until somebody takes reports, that raises.
    """

    def __init__(
        self, max_series: int = 1_000_000, metrics: tuple[Metric, ...] = METRICS, *, is_native: bool = False
    ) -> None:
        self.max_series = max_series
        self._is_native = is_native
        self._metrics = metrics
        self.overflows = 0
        self.counters = {metric.name: self._counter(metric) for metric in metrics if metric.kind is Kind.COUNTER}
        self.histograms = {
            metric.name: Histogram(metric, is_native=is_native and metric.is_native)
            for metric in metrics
            if metric.kind is Kind.HISTOGRAM
        }
        self._texts = {
            is_open: {one.name: TextFamily(one, is_open_metrics=is_open) for one in metrics}
            for is_open in (False, True)
        }
        self._read_gauges: dict[str, Callable[[], Reading]] = {}
        self._read_counters: dict[str, Callable[[], Mapping[tuple[str, ...], float]]] = {}
        self._before_scrape: list[Callable[[], None]] = []
        self.report: ReportFault = _raise
        self.registry = CollectorRegistry()
        self.registry.register(self)

    @property
    def series(self) -> int:
        """How many series are exposed: the same for as long as the process lives, whatever clients do."""
        fixed = sum(len(metric.rows) * (len(metric.buckets) + 3 if metric.buckets else 1) for metric in self._metrics)
        return fixed + sum(len(self.counters[one.name].values) - len(one.rows) for one in self._metrics if one.is_open)

    def _counter(self, metric: Metric) -> Counter:
        return OpenCounter(metric, self._admit) if metric.is_open else Counter(metric)

    def _admit(self) -> bool:
        fits = self.series < self.max_series
        self.overflows += not fits
        return fits

    def configure(self, metric: Metric, rows: Iterable[tuple[str, ...]]) -> None:
        """Have these rows of an open family from now on, as far as the cap allows; others that were configured go."""
        counter = self.counters[metric.name]
        if not isinstance(counter, OpenCounter):
            raise TypeError(f"{metric.name} is not open")
        counter.keep(tuple(rows))

    def counter(self, metric: Metric) -> Counter:
        """Return the counter of a family."""
        return self.counters[metric.name]

    def histogram(self, metric: Metric) -> Histogram:
        """Return the histogram of a family."""
        return self.histograms[metric.name]

    def read_gauge(self, metric: Metric, read: Callable[[], Reading]) -> None:
        """Have a gauge family read by `read` at scrape."""
        self._read_gauges[metric.name] = read

    def before_scrape(self, prepare: Callable[[], None]) -> None:
        """Call `prepare` before each scrape."""
        self._before_scrape.append(prepare)

    def sized_counts(self, direction: str, messages: Metric, sizes: Metric) -> SizedCounts:
        """Make counts of messages that are folded into two families."""
        counts = SizedCounts(direction, self.counter(messages), self.histogram(sizes))
        self.before_scrape(counts.fold)
        return counts

    def read_counter(self, metric: Metric, read: Callable[[], Mapping[tuple[str, ...], float]]) -> None:
        """Have a counter family that is kept elsewhere read by `read` at scrape."""
        self._read_counters[metric.name] = read

    def render(self, accept: str) -> tuple[bytes, str]:
        """Render the exposition in the format that the scraper asks for; return it with its content type.

        Protobuf is there for its native histograms: without them whoever asks for it first gets its second choice.
        """
        if self._is_native and protobuf.is_preferred(accept):
            return b"".join(self._each(self._message)), protobuf.CONTENT_TYPE
        encoder, content_type = choose_encoder(accept)
        if not exposition.is_written_here(content_type):
            return encoder(self.registry), content_type
        is_open_metrics = content_type.startswith(exposition.OPEN_METRICS)
        end = "# EOF\n" if is_open_metrics else ""
        families = self._texts[is_open_metrics]
        return ("".join(self._each(lambda one: self._text(one, families[one.name]))) + end).encode(), content_type

    def describe(self) -> Iterable[Family]:
        """Describe nothing: there is nothing to check before the first scrape, as the catalogue has been checked."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Fold and yield all families."""
        return self._each(self._family)

    def _each(self, make: Callable[[Metric], Made]) -> Iterator[Made]:
        """Fold and yield what `make` makes of each family."""
        bulkhead = Bulkhead(self.report, "scrape")
        for prepare in self._before_scrape:
            with bulkhead:
                prepare()
        for metric in self._metrics:
            with bulkhead:  # a family that cannot be read is left out
                yield make(metric)

    def _family(self, metric: Metric) -> Family:
        if metric.kind is Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
            store = self.histograms[metric.name]
            for row in store.rows:
                buckets, total = store.samples(row)
                histogram.add_metric(row, buckets, total)
            return histogram
        kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
        family = kind(metric.name, metric.help, labels=metric.labels)
        for row, value in self._values(metric):
            family.add_metric(row, value)
        return family

    def _text(self, metric: Metric, family: TextFamily) -> str:
        if metric.kind is Kind.HISTOGRAM:
            return family.of_histogram(self.histograms[metric.name])
        return family.of_values(self._values(metric))

    def _message(self, metric: Metric) -> bytes:
        if metric.kind is Kind.HISTOGRAM:
            store = self.histograms[metric.name]
            return protobuf.family(metric, ((row, store.message(row)) for row in store.rows))
        return protobuf.family(
            metric, ((row, protobuf.value(metric.kind, value)) for row, value in self._values(metric))
        )

    def _values(self, metric: Metric) -> Iterator[tuple[tuple[str, ...], float]]:
        """Yield the rows of a counter or gauge, read from whoever keeps it."""
        if metric.kind is Kind.COUNTER:
            read_count = self._read_counters.get(metric.name)
            yield from (read_count() if read_count else self.counters[metric.name].values).items()
            return
        read = self._read_gauges.get(metric.name)
        reading = read() if read else {}
        for row, value in (reading if isinstance(reading, Mapping) else {(): reading}).items():
            yield (row,) if isinstance(row, str) else row, value
