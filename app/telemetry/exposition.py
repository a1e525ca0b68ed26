"""The text formats of the exposition, of which the parts that stay the same are made once.

Byte for byte they are what prometheus_client's encoders write of the same families. Those build each line anew: a
thousand samples hold the event loop for 4 ms as text and for 8 ms as OpenMetrics. Here the name and the labels of a
line are made once, and a line in which nothing was counted since the last scrape is as it was. What is left to do is
done in small parts.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from app.telemetry.catalogue import Kind, Metric

OPEN_METRICS: Final = "application/openmetrics-text"
_TOTAL: Final = "_total"
_RENAMES: Final = ("escaping=dots", "escaping=values")
_any_number: Callable[[float], str] = floatToGoString
_LONG: Final = 1e6
"""From here on prometheus_client writes a mantissa and an exponent."""
Row = tuple[str, ...]
Values = dict[Row, float]
CountedBucket = tuple[float, float, Exemplar | None]


class ReadHistogram(Protocol):
    """What was read of a histogram and stays: the rows' cells (the last is the sum), and what is made of them."""

    rows: dict[Row, list[float]]

    def cumulative(self, row: Row) -> Iterable[CountedBucket]:
        """Yield edge, count of what is not above it, and exemplar of each bucket."""

    def exemplars(self, row: Row) -> dict[int, Exemplar]:
        """Return the exemplars of a row by the number of the bucket."""


def is_written_here(content_type: str) -> bool:
    """Tell whether families are written as this content type says: our names need no escaping, and get none."""
    return not any(one in content_type for one in _RENAMES)


class TextFamily:
    """Writes one family; of rows that are no longer read it keeps nothing."""

    __slots__ = ("_heads", "_is_open_metrics", "_metric", "_same", "_top", "_written")

    def __init__(self, metric: Metric, *, is_open_metrics: bool) -> None:
        name = metric.name.removesuffix(_TOTAL) if metric.kind is Kind.COUNTER and is_open_metrics else metric.name
        text = _escaped(metric.help) if is_open_metrics else metric.help.replace("\\", r"\\").replace("\n", r"\n")
        self._top = f"# HELP {name} {text}\n# TYPE {name} {metric.kind}\n"
        self._metric = metric
        self._is_open_metrics = is_open_metrics
        self._heads: dict[Row, list[str]] = {}
        self._written: dict[Row, tuple[str, float, str]] = {}
        self._same: dict[Row, tuple[list[float], dict[int, Exemplar], bytes]] = {}

    def of(self, read: Values | ReadHistogram) -> Iterator[bytes]:
        """Write a family in parts: a histogram row by row, which is the most that is made in one go."""
        if isinstance(read, dict):
            yield self._of_values(read)
            return
        yield self._top.encode()
        for row, cells in read.rows.items():
            yield self._row(read, row, cells)

    def _of_values(self, values: Values) -> bytes:
        known, read = self._written, {}
        for row, value in values.items():
            line = known.get(row)
            if line is None or (line[1] is not value and (line[1] != value or not value)):  # -0.0 equals 0
                head = line[0] if line else self._head("", row)
                line = head, value, f"{head} {_number(value)}\n"
            read[row] = line
        self._written = read
        return (self._top + "".join([text for _, _, text in read.values()])).encode()

    def _row(self, histogram: ReadHistogram, row: Row, cells: list[float]) -> bytes:
        exemplars = histogram.exemplars(row) if self._is_open_metrics else {}
        same = self._same.get(row)
        if same is not None and same[0] == cells and same[1] == exemplars:
            return same[2]
        heads = self._heads.get(row)
        if heads is None:
            heads = self._heads[row] = self._heads_of(histogram, row)
        counts = [_number(count) for _, count, _ in histogram.cumulative(row)]
        lines = [f"{head} {count}" for head, count in zip(heads, (*counts, counts[-1]), strict=False)]
        for bucket, exemplar in exemplars.items():
            lines[bucket] += _exemplar(exemplar)
        lines.append(f"{heads[-1]} {_number(cells[-1])}\n")
        text = "\n".join(lines).encode()
        self._same[row] = cells, exemplars, text
        return text

    def _heads_of(self, histogram: ReadHistogram, row: Row) -> list[str]:
        edges = [_edge(edge) for edge, _, _ in histogram.cumulative(row)]
        buckets = [self._head("_bucket", row, {"le": edge}) for edge in edges]
        return [*buckets, self._head("_count", row), self._head("_sum", row)]

    def _head(self, suffix: str, row: Row, more: dict[str, str] | None = None) -> str:
        labels = dict(zip(self._metric.labels, row, strict=False)) | (more or {})
        pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items()))
        return f"{self._metric.name}{suffix}{{{pairs}}}" if pairs else f"{self._metric.name}{suffix}"


def _number(value: float) -> str:
    """Write a number as prometheus_client does, which takes four times as long to find that there is nothing to do."""
    return repr(float(value)) if -_LONG < value < _LONG else _any_number(value)


def _edge(edge: float) -> str:
    return "+Inf" if edge == float("inf") else str(edge)


def _exemplar(exemplar: Exemplar) -> str:
    labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(exemplar.labels.items()))
    return f" # {{{labels}}} {_number(exemplar.value)} {exemplar.timestamp}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
