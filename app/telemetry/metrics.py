"""Metrics as plain integers, folded into samples at scrape.

Counting is a dictionary look-up and an addition, on the way of every message. Every valid label combination
exists from the start; a row that the catalogue does not list is an error of ours, and raises. Only families the
catalogue calls `open` take further label values (what is configured, never what clients send), until the cap on
series is reached: what comes then is counted as `other`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from app.telemetry import exposition, protobuf
from app.telemetry.bulkhead import Bulkhead, ReportFault
from app.telemetry.catalogue import METRICS, OTHER, Kind, Metric
from app.telemetry.exposition import Row, TextFamily, Values
from app.telemetry.histograms import CountedRows, Histogram

MAX_SIZES = 1_000
Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
Made = TypeVar("Made")
Reading = float | Mapping[Any, float]
"""A number, or one for each value of the label; for each row of values where there are several labels."""


class Counter:
    """A counter family: one integer per label row."""

    __slots__ = ("name", "values")

    def __init__(self, metric: Metric) -> None:
        self.name = metric.name
        self.values: dict[Row, int] = dict.fromkeys(metric.rows, 0)

    def inc(self, row: Row = (), by: int = 1) -> None:
        """Count; KeyError for a row that the catalogue does not list."""
        self.values[row] += by


class OpenCounter(Counter):
    """A counter family whose first label takes values of the configuration; `admit` says whether one more fits."""

    __slots__ = ("_admit", "_fixed")

    def __init__(self, metric: Metric, admit: Callable[[], bool]) -> None:
        super().__init__(metric)
        self._fixed = frozenset(self.values)
        self._admit = admit

    def inc(self, row: Row = (), by: int = 1) -> None:
        """Count; a row over the cap is counted as `other`."""
        if row not in self.values and not self.add(row):
            row = (OTHER, *row[1:])
        self.values[row] += by

    def add(self, row: Row) -> bool:
        """Have a row from now on, at 0; False where it is over the cap."""
        if row not in self.values:
            if not self._admit():
                return False
            self.values = {**self.values, row: 0}  # another thread may be reading the one before
        return True

    def keep(self, rows: tuple[Row, ...]) -> None:
        """Have these rows beside those of the catalogue, and no others."""
        wanted = self._fixed.union(rows)
        self.values = {row: count for row, count in self.values.items() if row in wanted}
        for row in rows:
            self.add(row)


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
        self._open = [one for one in metrics if one.is_open]
        self._fixed_series = sum(len(one.rows) * (len(one.buckets) + 3 if one.buckets else 1) for one in metrics)
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
        self._read_counters: dict[str, Callable[[], Mapping[Row, float]]] = {}
        self._read_apart: dict[str, Callable[[], Iterable[Reading]]] = {}
        self._before_scrape: list[Callable[[], None]] = []
        self.report: ReportFault = _raise
        self.registry = CollectorRegistry()
        self.registry.register(self)

    @property
    def series(self) -> int:
        """How many series are exposed: the same for as long as the process lives, whatever clients do."""
        return self._fixed_series + sum(len(self.counters[one.name].values) - len(one.rows) for one in self._open)

    def _counter(self, metric: Metric) -> Counter:
        return OpenCounter(metric, self._admit) if metric.is_open else Counter(metric)

    def _admit(self) -> bool:
        fits = self.series < self.max_series
        self.overflows += not fits
        return fits

    def configure(self, metric: Metric, rows: Iterable[Row]) -> None:
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

    def read_apart(self, metric: Metric, read_steps: Callable[[], Iterable[Reading]]) -> None:
        """Have a family that need not agree with the others read at scrape, in steps of which the last one tells."""
        self._read_apart[metric.name] = read_steps

    def before_scrape(self, prepare: Callable[[], None]) -> None:
        """Call `prepare` before each scrape."""
        self._before_scrape.append(prepare)

    def sized_counts(self, direction: str, messages: Metric, sizes: Metric) -> SizedCounts:
        """Make counts of messages that are folded into two families."""
        counts = SizedCounts(direction, self.counter(messages), self.histogram(sizes))
        self.before_scrape(counts.fold)
        return counts

    def read_counter(self, metric: Metric, read: Callable[[], Mapping[Row, float]]) -> None:
        """Have a counter family that is kept elsewhere read by `read` at scrape."""
        self._read_counters[metric.name] = read

    def render(self, accept: str) -> tuple[bytes, str]:
        """Render the exposition in the format that the scraper asks for; return it with its content type."""
        parts, content_type = self.begin(accept)
        return b"".join(parts), content_type

    def begin(self, accept: str) -> tuple[Iterator[bytes], str]:
        """Return what reads everything and writes it, in the format asked for, and its content type.

        It does so in small parts, so that others may have their turn between them. Protobuf is there for its native
        histograms: without them whoever asks for it first gets its second choice.
        """
        if self._is_native and protobuf.is_preferred(accept):
            return self._parts(_messages), protobuf.CONTENT_TYPE
        encoder, content_type = choose_encoder(accept)
        if not exposition.is_written_here(content_type):
            return iter((encoder(self.registry),)), content_type
        is_open_metrics = content_type.startswith(exposition.OPEN_METRICS)
        families = self._texts[is_open_metrics]
        end = (b"# EOF\n",) if is_open_metrics else ()
        return chain(self._parts(lambda one, read: families[one.name].of(read)), end), content_type

    def describe(self) -> Iterable[Family]:
        """Describe nothing: there is nothing to check before the first scrape, as the catalogue has been checked."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Fold and yield all families."""
        return (one for one in self._each(lambda *one: (_family(*one),)) if one is not None)

    def _parts(self, write: Callable[[Metric, Values | CountedRows], Iterable[bytes]]) -> Iterator[bytes]:
        return (part or b"" for part in self._each(write))

    def _each(self, write: Callable[[Metric, Values | CountedRows], Iterable[Made]]) -> Iterator[Made | None]:
        """Read all families, yield what `write` makes of each, and None where others may have their turn before.

        What is not read apart is of one moment. A family that cannot be read or written is left out.
        """
        bulkhead = Bulkhead(self.report, "scrape")
        taken = self._taken(bulkhead)
        yield None
        for metric in self._metrics:
            with bulkhead:
                if metric.name in taken:
                    yield from write(metric, taken[metric.name])
                elif metric.name in self._read_apart:
                    reading: Reading = {}
                    for step in self._read_apart[metric.name]():
                        reading = step
                        yield None
                    yield from write(metric, _by_row(reading))

    def _taken(self, bulkhead: Bulkhead) -> dict[str, Values | CountedRows]:
        """Fold, and read each family that is not read apart."""
        taken: dict[str, Values | CountedRows] = {}
        for prepare in self._before_scrape:
            with bulkhead:
                prepare()
        for metric in self._metrics:
            if metric.name not in self._read_apart:
                with bulkhead:
                    taken[metric.name] = self._read(metric)
        return taken

    def _read(self, metric: Metric) -> Values | CountedRows:
        if metric.kind is Kind.HISTOGRAM:
            return self.histograms[metric.name].taken()
        if metric.kind is Kind.COUNTER:
            read_count = self._read_counters.get(metric.name)
            return dict(read_count() if read_count else self.counters[metric.name].values)
        read = self._read_gauges.get(metric.name)
        return _by_row(read()) if read else {}


def _by_row(reading: Reading) -> Values:
    if not isinstance(reading, Mapping):
        return {(): reading}
    return {(row,) if isinstance(row, str) else row: value for row, value in reading.items()}


def _family(metric: Metric, read: Values | CountedRows) -> Family:
    if isinstance(read, CountedRows):
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for row in read.rows:
            buckets, total = read.samples(row)
            histogram.add_metric(row, buckets, total)
        return histogram
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for row, value in read.items():
        family.add_metric(row, value)
    return family


def _messages(metric: Metric, read: Values | CountedRows) -> Iterator[bytes]:
    if isinstance(read, CountedRows):
        rows = []
        for row in read.rows:
            rows.append((row, read.message(row)))
            yield b""
        yield protobuf.family(metric, rows)
    else:
        yield protobuf.family(metric, ((row, protobuf.value(metric.kind, value)) for row, value in read.items()))
