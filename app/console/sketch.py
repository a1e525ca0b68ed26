"""Who comes most often, of any number of those who come, in bounded space.

Space-saving (Metwally, Agrawal and El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams",
2005) forgets the rarest when a new one comes and there is no room, and lets the new one inherit its count: too much,
by an error that is known, and never too little. Here the rarer half is forgotten at once, each time twice as many are
kept as are wanted: so an addition costs a step, however many come once and never again.
"""

from collections.abc import Hashable, Iterable
from heapq import nlargest
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)


class Estimate(NamedTuple):
    """How often something came: `most` at the most, `most - error` at the least."""

    most: int
    error: int


class HeavyHitters(Generic[K]):
    """Counts what comes, exactly up to `kept` different ones; of more it keeps at most twice as many."""

    __slots__ = ("_counts", "_floor", "_kept")

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._counts: dict[K, Estimate] = {}
        self._floor = 0

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, key: K, weight: int = 1) -> None:
        """Count `weight` more of `key`."""
        count, error = self._counts.get(key) or (self._floor, self._floor)
        self._counts[key] = Estimate(count + weight, error)
        if len(self._counts) > 2 * self._kept:
            self._forget_the_rarer()

    def _forget_the_rarer(self) -> None:
        ordered = sorted(self._counts.items(), key=lambda item: item[1].most, reverse=True)
        self._counts = dict(ordered[: self._kept])
        self._floor = ordered[self._kept][1].most

    def estimate(self, key: K) -> Estimate:
        """Estimate one: what is not kept came at most as often as the most frequent one that was forgotten."""
        return self._counts.get(key) or Estimate(self._floor, self._floor)

    def top(self, count: int, *others: "HeavyHitters[K]") -> list[tuple[K, Estimate]]:
        """Return the most frequent ones, with what `others` have counted of them."""
        all_of_them = (self, *others)
        keys = {key for one in all_of_them for key in one._counts}  # noqa: SLF001 - of its own kind
        sums = ((key, _sum(one.estimate(key) for one in all_of_them)) for key in keys)
        return nlargest(count, sums, key=lambda item: item[1].most - item[1].error)


def _sum(estimates: Iterable[Estimate]) -> Estimate:
    counts, errors = zip(*estimates, strict=True)
    return Estimate(sum(counts), sum(errors))
