"""The tasks of the event loop, and where each of them waits; those that wait at the same place are one group."""

import asyncio
import re
from collections import Counter
from types import FrameType
from typing import Any, Final

from msgspec import Struct

from app.console.diagnostics.frames import MOST_DEEP, place_of
from app.console.slices import in_slices

MOST_GROUPS: Final = 200
_NUMBER: Final = re.compile(r"\d+")


class TaskGroup(Struct, frozen=True):
    """So many tasks of a name (its numbers are `*`) with the same stack, the outermost place first."""

    count: int
    name: str
    stack: list[str]


class TaskDump(Struct, frozen=True):
    """All tasks in groups, the largest first; `left_out` are those in groups beyond the largest."""

    tasks: int
    left_out: int
    groups: list[TaskGroup]


async def dump_tasks() -> TaskDump:
    """Look at all tasks, some at a time."""
    found: Counter[tuple[str, tuple[str, ...]]] = Counter()
    async for part in in_slices(asyncio.all_tasks(), 100):
        for task in part:
            if not task.done():
                found[_NUMBER.sub("*", task.get_name()), _stack(task)] += 1
    groups = [TaskGroup(count, name, list(stack)) for (name, stack), count in found.most_common(MOST_GROUPS)]
    return TaskDump(found.total(), found.total() - sum(group.count for group in groups), groups)


def _stack(task: asyncio.Task[Any]) -> tuple[str, ...]:
    """List where a task waits: in its coroutine, and in each that this one waits for."""
    places: list[str] = []
    waits_for: Any = task.get_coro()
    while waits_for is not None and len(places) < MOST_DEEP:
        frame = _first(waits_for, "cr_frame", "gi_frame", "ag_frame")
        if isinstance(frame, FrameType):
            places.append(place_of(frame))
        waits_for = _first(waits_for, "cr_await", "gi_yieldfrom", "ag_await")
    return tuple(places)


def _first(of: object, *names: str) -> Any:  # noqa: ANN401 - whatever a coroutine waits for
    """Return the first attribute of these that there is: coroutines, generators and their likes have their own."""
    return next((found for name in names if (found := getattr(of, name, None)) is not None), None)
