"""Histograms as plain numbers, and what a scrape reads of them."""

import math
import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.samples import Exemplar

from app.telemetry import protobuf
from app.telemetry.catalogue import Metric
from app.telemetry.exposition import CountedBucket, Row
from app.telemetry.native import Grid, grid

Bucket = tuple[str, float] | tuple[str, float, Exemplar]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the cells of a row end (`edges`: of the buckets, and of the native ones too), and those of each bucket."""

    buckets: tuple[float, ...]
    grid: Grid | None
    edges: tuple[float, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, buckets: tuple[float, ...], *, is_native: bool) -> "Layout":
        """Lay out the cells of a family."""
        native = grid(buckets) if is_native else None
        edges = native.edges if native else buckets
        return cls(buckets, native, edges, (*(edges.index(edge) + 1 for edge in buckets), len(edges) + 1))


class CountedRows:
    """What a histogram family has counted: of each label row the cells between edges, and a sum at their end.

    Per bucket there is the newest example of a trace besides.
    """

    __slots__ = ("_exemplars", "_layout", "rows")

    def __init__(self, layout: Layout, rows: dict[Row, list[float]], exemplars: dict[Row, dict[int, Exemplar]]) -> None:
        self._layout = layout
        self.rows = rows
        self._exemplars = exemplars

    def exemplars(self, row: Row) -> dict[int, Exemplar]:
        """Return the exemplars of a row by the number of the bucket."""
        return self._exemplars.get(row, {})

    def samples(self, row: Row) -> tuple[list[Bucket], float]:
        """Return cumulative buckets, as the exposition wants them, and the sum."""
        buckets: list[Bucket] = []
        for edge, count, exemplar in self.cumulative(row):
            name = "+Inf" if edge == math.inf else str(edge)
            buckets.append((name, count) if exemplar is None else (name, count, exemplar))
        return buckets, self.rows[row][-1]

    def message(self, row: Row) -> bytes:
        """Return the protobuf message of a row: what `samples` has, and the native buckets."""
        cells, native = self.rows[row], self._layout.grid
        return protobuf.histogram(self.cumulative(row), cells[-1], native.sum_up(cells) if native else None)

    def cumulative(self, row: Row) -> Iterator[CountedBucket]:
        """Yield edge, count of what is not above it, and example of each classic bucket."""
        cells, layout = self.rows[row], self._layout
        exemplars = self.exemplars(row)
        begin, total = 0, 0.0
        for bucket, (edge, end) in enumerate(zip((*layout.buckets, math.inf), layout.ends, strict=True)):
            total += sum(cells[begin:end])
            yield edge, total, exemplars.get(bucket)
            begin = end


class Histogram(CountedRows):
    """A histogram family, counted in."""

    __slots__ = ("_buckets", "edges")

    def __init__(self, metric: Metric, *, is_native: bool = False) -> None:
        layout = Layout.of(metric.buckets, is_native=is_native)
        super().__init__(layout, {row: [0.0] * (len(layout.edges) + 2) for row in metric.rows}, {})
        self._buckets = metric.buckets
        self.edges = layout.edges

    def taken(self) -> CountedRows:
        """Return what has been counted so far."""
        rows = {row: cells[:] for row, cells in self.rows.items()}
        return CountedRows(self._layout, rows, {row: found.copy() for row, found in self._exemplars.items()})

    def observe(self, value: float, row: Row = (), trace_id: str | None = None) -> None:
        """Observe one value, in the unit of the name; KeyError for a row that the catalogue does not list."""
        cells = self.rows[row]
        cells[bisect_left(self.edges, value)] += 1
        cells[-1] += value
        if trace_id is not None:
            self.add_exemplar(value, row, trace_id)

    def observe_many(self, value: float, count: int, row: Row = (), trace_id: str | None = None) -> None:
        """Observe the same value so many times."""
        cells = self.rows[row]
        cells[bisect_left(self.edges, value)] += count
        cells[-1] += value * count
        if trace_id is not None and count:
            self.add_exemplar(value, row, trace_id)

    def add_exemplar(self, value: float, row: Row, trace_id: str) -> None:
        """Make this observed value the exemplar of its bucket."""
        exemplar = Exemplar({"trace_id": trace_id}, value, time.time())
        self._exemplars.setdefault(row, {})[bisect_left(self._buckets, value)] = exemplar
