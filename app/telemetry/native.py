"""Native histograms: buckets of exponential width, counted in one go with the classic ones of the same family.

The bounds are Prometheus's (https://prometheus.io/docs/specs/native_histograms/, standard schemas): 1 is one, and each
is 2**(2**-schema) times the one before. There are two parts to their being bounded: only values of a range that no
latency leaves are told apart, and a row in use all over that range is told in wider buckets.

An observation falls between two edges of a list that has the bounds and the classic edges both, so that counting in
both kinds of bucket is one search and one addition; the scrape adds the cells up.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from math import isqrt, ldexp
from typing import Final

SCHEMA: Final = 3
"""Each bucket is 9 % wide, so that a quantile is off by less; the classic ones double, or more than double."""
_PER_OCTAVE: Final = 2**SCHEMA
_OCTAVES: Final = 20
"""From 2**-20 s, a microsecond, to 2**20 s, twelve days."""
ZERO_THRESHOLD: Final = 2.0**-_OCTAVES
"""What takes no longer, in seconds, is counted as nothing: clocks tell it no better. No latency is below 0."""
MAX_BUCKETS: Final = 160
"""In use at once in a row; OpenTelemetry's default too. Twenty octaves of values without a gap are as many."""
_MANTISSA: Final = 52
_ZERO: Final = -_OCTAVES * _PER_OCTAVE
"""The index that stands for the zero bucket: of the one that would end at its threshold."""


def bound(index: int) -> float:
    """Return the inclusive upper bound of a bucket of `SCHEMA`, rounded down: which floats are within is exact."""
    octave, step = divmod(index, _PER_OCTAVE)
    mantissa = 1 << (_MANTISSA * _PER_OCTAVE + step)
    for _ in range(SCHEMA):  # the eighth root, without a rounding that could go up
        mantissa = isqrt(mantissa)
    return ldexp(mantissa, octave - _MANTISSA)


_BOUNDS: Final = tuple(bound(index) for index in range(_ZERO, -_ZERO + 1))


@dataclass(frozen=True, slots=True)
class NativeBuckets:
    """What a native histogram has besides the count and the sum, as the exposition wants it.

    A span is a gap (the first: the index of its first bucket) and the number of buckets that follow each other;
    `deltas` is a number for each of these buckets, how much its count exceeds that of the bucket before it.
    """

    schema: int
    zero_count: int
    spans: tuple[tuple[int, int], ...]
    deltas: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the cells end between which observations fall, and the native bucket that each cell lies in."""

    edges: tuple[float, ...]
    _indexes: tuple[int, ...]

    def sum_up(self, cells: Sequence[float], most: int = MAX_BUCKETS) -> NativeBuckets:
        """Return the native buckets of cells; of a lower schema where more than `most` (4 or more) would be in use.

        Counts never fall and no bucket in use ceases to be, so a row's schema falls and never rises again.
        """
        counts = _counted(zip(self._indexes, cells, strict=False))  # there may be a sum after the cells
        zero, schema = counts.pop(_ZERO, 0), SCHEMA
        while len(counts) > most:
            counts, schema = _counted((-(-index // 2), count) for index, count in counts.items()), schema - 1
        return NativeBuckets(schema, zero, *_packed(counts))


@cache
def grid(buckets: tuple[float, ...]) -> Grid:
    """Make the grid of a family with these classic buckets; families with the same ones share it."""
    edges = tuple(sorted({*buckets, *_BOUNDS}))
    places = [bisect_left(_BOUNDS, edge) for edge in edges]
    return Grid(edges, tuple(_ZERO + place for place in (*places, len(_BOUNDS))))


def _counted(cells: Iterable[tuple[int, float]]) -> dict[int, int]:
    """Add up by index, in its order; what is empty is left out."""
    counts: dict[int, int] = {}
    for index, count in cells:
        if count:
            counts[index] = counts.get(index, 0) + int(count)
    return counts


def _packed(counts: dict[int, int]) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Return the spans and the deltas of counts that are in the order of their indexes."""
    spans: list[tuple[int, int]] = []
    deltas: list[int] = []
    after, before = 0, 0
    for index, count in counts.items():
        if spans and index == after:
            spans[-1] = spans[-1][0], spans[-1][1] + 1
        else:
            spans.append((index - after, 1))
        deltas.append(count - before)
        after, before = index + 1, count
    return tuple(spans), tuple(deltas)
