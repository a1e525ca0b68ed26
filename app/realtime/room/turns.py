"""A queue whose parties take turns: whoever puts much into it waits for that, and makes nobody else wait."""

import asyncio
from collections import Counter, OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Items of parties: the parties round robin, those of one party in order, at most so many of it taken at once."""

    def __init__(self, size: int, taken_per_party: int) -> None:
        self._size = size
        self._most = taken_per_party
        self._waiting: OrderedDict[str, deque[Item]] = OrderedDict()  # whose turn is next stands first
        self._taken: Counter[str] = Counter()
        self._depth = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return self._depth

    def waiting(self, party: str) -> int:
        """Items of a party that wait."""
        return len(self._waiting.get(party, ()))

    def put(self, party: str, item: Item) -> Item | None:
        """Add an item behind the others of its party; what has no room, where the queue is full.

        That is the last item of the party with the most, unless this one then had as many: it is no use to fill it.
        """
        left_out = None
        if self._depth >= self._size:
            most = max(self._waiting, key=self.waiting)
            if self.waiting(most) <= self.waiting(party) + 1:
                return item
            left_out = self._waiting[most].pop()
            self._depth -= 1
        self._waiting.setdefault(party, deque()).append(item)
        self._depth += 1
        self._changed.set()
        return left_out

    async def take(self) -> tuple[str, Item]:
        """Wait for the next item, and its party, for which `done` must be called once."""
        while (party := self._next()) is None:
            self._changed.clear()
            await self._changed.wait()
        items = self._waiting.pop(party)
        item = items.popleft()
        if items:
            self._waiting[party] = items  # behind all others
        self._depth -= 1
        self._taken[party] += 1
        return party, item

    def done(self, party: str) -> None:
        """Note that an item of a party is done with."""
        self._taken[party] -= 1
        if not self._taken[party]:
            del self._taken[party]
        self._changed.set()

    def _next(self) -> str | None:
        return next((party for party in self._waiting if self._taken[party] < self._most), None)
