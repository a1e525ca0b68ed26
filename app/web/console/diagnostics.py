"""Diagnostics over HTTP: the cheap ones for who may look, those that cost something for who may act."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Final

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta, Struct

from app.console.actions import Acting
from app.console.console import Console
from app.console.diagnosing import Lag
from app.console.diagnostics.flame import flame_graph
from app.console.diagnostics.memory import MemoryTop
from app.console.diagnostics.process import (
    CollectorState,
    OpenDescriptors,
    ThreadStack,
    collector_state,
    dump_threads,
    list_descriptors,
)
from app.console.diagnostics.profile import Profile
from app.console.diagnostics.tasks import TaskDump, dump_tasks
from app.vocabulary import OperatorAction
from app.web.console.access import ActionBody

MOST_SECONDS: Final = 60


class Wish(ActionBody, frozen=True):
    """For how long to look."""

    seconds: Annotated[float, Meta(gt=0, le=MOST_SECONDS)] = 10.0


class ThreadDump(Struct, frozen=True):
    """All threads of Python's, and where each is."""

    threads: list[ThreadStack]


class ProfileAnswer(Struct, frozen=True):
    """A profile as lines (`collapsed`, what tools for flame graphs read) and as a picture (`svg`).

    `idle` counts the looks at each thread that waited; `cpu_s` is the processor time of each meanwhile, which tells
    better how busy it was, and `sampler_cpu_s` what looking took.
    """

    seconds: float
    looks: int
    idle: dict[str, int]
    cpu_s: dict[str, float]
    sampler_cpu_s: float
    collapsed: str
    svg: str


@get("/diagnostics/tasks")
async def show_tasks() -> TaskDump:
    """Show the event loop's tasks, those that wait at the same place together."""
    return await dump_tasks()


@get("/diagnostics/threads")
async def show_threads() -> ThreadDump:
    """Show where each thread is."""
    return ThreadDump(dump_threads())


@get("/diagnostics/gc")
async def show_collector() -> CollectorState:
    """Show the garbage collector."""
    return collector_state()


@get("/diagnostics/descriptors")
async def show_descriptors() -> OpenDescriptors:
    """Show the open descriptors by their kind."""
    return await asyncio.to_thread(list_descriptors)


@get("/diagnostics/lag")
async def show_lag(console: NamedDependency[Console]) -> Lag:
    """Show how late the event loop was in the last hour."""
    return console.diagnosing.lag()


@post("/diagnostics/profile", status_code=HTTPStatus.OK, takes_long=True)
async def take_profile(
    console: NamedDependency[Console], acting: NamedDependency[Acting], data: JSONBody[Wish]
) -> ProfileAnswer:
    """Look for some seconds where all threads are, a hundred times a second."""
    with console.actions.told(OperatorAction.PROFILE, f"{data.seconds:g} s", acting):
        profile = await console.diagnosing.profile(data.seconds)
    return await asyncio.to_thread(_answer, profile)


def _answer(profile: Profile) -> ProfileAnswer:
    label = f"{profile.looks} looks in {profile.seconds:.1f} s, without those at threads that wait"
    svg = flame_graph(profile.stacks, label)
    return ProfileAnswer(
        profile.seconds, profile.looks, profile.idle, profile.cpu_s, profile.sampler_cpu_s, profile.collapsed(), svg
    )


@post("/diagnostics/memory", status_code=HTTPStatus.OK, takes_long=True)
async def trace_memory(
    console: NamedDependency[Console], acting: NamedDependency[Acting], data: JSONBody[Wish]
) -> MemoryTop:
    """Trace for some seconds which lines of code make what is still there at their end."""
    with console.actions.told(OperatorAction.TRACE_MEMORY, f"{data.seconds:g} s", acting):
        return await console.diagnosing.memory(data.seconds)


HANDLERS = (show_tasks, show_threads, show_collector, show_descriptors, show_lag, take_profile, trace_memory)
