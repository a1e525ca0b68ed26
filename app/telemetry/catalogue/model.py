"""What a metric of the catalogue is, and the buckets that histograms share."""

from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final

PREFIX: Final = "code_racer_"
OTHER: Final = "other"
"""The label value of what a family knows no better name for."""
LATENCY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FINE_LATENCY_BUCKETS: Final = (0.00005, 0.0001, 0.00025, 0.0005, *LATENCY_BUCKETS)
"""Of what takes less than a millisecond on a healthy machine."""
PAUSE_BUCKETS: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5)
SIZE_BUCKETS: Final = (64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0)
COUNT_BUCKETS: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0, 1000.0, 10000.0)
WAIT_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Of what people wait for."""
DURATION_BUCKETS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0, 86400.0)
AGE_BUCKETS: Final = (
    240.0, 280.0, 320.0, 370.0, 425.0, 490.0, 560.0, 650.0, 745.0, 855.0, 985.0,
    1130.0, 1300.0, 1500.0, 1720.0, 1980.0, 2275.0, 2615.0, 3010.0, 3460.0, 3980.0,
)  # fmt: skip
"""Fine enough to tell one age from many; the ages that proxies cut at, from five minutes to an hour, are no edges."""


class Kind(StrEnum):
    """The kinds of metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family; `name` is the exposed one, counters end in ``_total``.

    `rows` lists the valid combinations of label values, in the order of `labels`; values of the last may be left open.
    An open family's first label takes values of the configuration too, until MAX_METRIC_SERIES is reached.
    A native one, of latencies, has native buckets beside the classic ones where METRICS_NATIVE_HISTOGRAMS is set.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ((),)
    buckets: tuple[float, ...] = ()
    is_open: bool = False
    is_native: bool = False

    def values(self, label: str) -> set[str]:
        """List the values that a label can have."""
        position = self.labels.index(label)
        return {row[position] for row in self.rows if len(row) > position}


def rows(*values: object) -> tuple[tuple[str, ...], ...]:
    """List all combinations of the given label values."""
    return tuple(product(*(tuple(map(str, group)) for group in values)))  # type: ignore[call-overload] # groups are iterables of enums


def listed(namespace: type) -> tuple[Metric, ...]:
    """List the metrics of a class and of those it inherits from, in order."""
    return tuple(value for one in namespace.__mro__ for value in vars(one).values() if isinstance(value, Metric))
