"""Diagnostics tell where the process is, and nothing that a variable holds."""

import asyncio
import gc
import os
import queue
import socket
import sys
import threading
import tracemalloc
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from app.console.answers import ActionRefused
from app.console.diagnosing import Diagnosing
from app.console.diagnostics import profile as profiling
from app.console.diagnostics.flame import flame_graph
from app.console.diagnostics.memory import MOST_TRACES_BYTES, begin_tracing, end_tracing
from app.console.diagnostics.process import collector_state, dump_threads, list_descriptors
from app.console.diagnostics.profile import OTHERS, Sampler
from app.console.diagnostics.tasks import MOST_GROUPS, dump_tasks
from app.realtime.overload import LoadMonitor
from app.settings import load_settings
from app.telemetry.observer import Observer
from tools.harness.server import SECRET as JWT_SECRET

pytestmark = pytest.mark.anyio
SECRET = "not-to-be-told"
HERE = Path(__file__).name


async def inner(gate: asyncio.Event, secret: str) -> str:
    await gate.wait()
    return secret


async def outer(gate: asyncio.Event, secret: str) -> None:
    await inner(gate, secret)


async def test_tasks_that_wait_at_the_same_place_are_one_group_with_their_whole_stack() -> None:
    gate = asyncio.Event()
    tasks = [asyncio.create_task(outer(gate, SECRET), name=f"player {number}") for number in range(250)]
    await asyncio.sleep(0)
    dump = await dump_tasks()
    gate.set()
    await asyncio.gather(*tasks)
    group = dump.groups[0]
    assert (group.count, group.name) == (250, "player *")
    assert [place.split(" ")[1] for place in group.stack] == ["outer", "inner", "Event.wait"]
    assert group.stack[0].startswith(f"{HERE}:") or "/" in group.stack[0]
    assert SECRET not in msgspec.json.encode(dump).decode()
    assert dump.tasks >= 251
    assert dump.left_out == 0


async def test_a_dump_is_bounded_and_says_what_it_leaves_out() -> None:
    gate = asyncio.Event()
    letters = [f"{chr(97 + number % 26)}{chr(97 + number // 26)}" for number in range(MOST_GROUPS + 50)]
    tasks = [asyncio.create_task(outer(gate, SECRET), name=name) for name in letters]
    await asyncio.sleep(0)
    dump = await dump_tasks()
    gate.set()
    await asyncio.gather(*tasks)
    assert len(dump.groups) == MOST_GROUPS
    assert dump.left_out == dump.tasks - MOST_GROUPS


def test_threads_are_told_by_name_and_place() -> None:
    gate = threading.Event()

    def stand(secret: str) -> None:
        gate.wait()
        assert secret

    thread = threading.Thread(target=stand, args=(SECRET,), name="standing")
    thread.start()
    (told,) = (one for one in dump_threads() if one.name == "standing")
    gate.set()
    thread.join()
    assert any("stand" in place for place in told.stack)
    assert SECRET not in str(told)


def test_descriptors_are_told_by_kind(tmp_path: Path) -> None:
    before = list_descriptors()
    file = tmp_path / "open"
    with file.open("w"), socket.socket():
        now = list_descriptors()
    assert now.kinds["socket"] == before.kinds.get("socket", 0) + 1
    assert now.kinds["file"] == before.kinds["file"] + 1
    assert str(file) in now.files
    reading, writing = os.pipe()
    assert list_descriptors().kinds["pipe"] == before.kinds.get("pipe", 0) + 2
    os.close(reading)
    os.close(writing)


def test_the_collector_is_told_as_it_is() -> None:
    state = collector_state()
    assert state.is_enabled == gc.isenabled()
    assert len(state.generations) == 3


def no_load() -> LoadMonitor:
    return LoadMonitor(load_settings(jwt_secret=JWT_SECRET, environment="test"), Observer(), lambda _share: 0)


class Busy:
    """A thread that computes until it is told to stop."""

    def __init__(self) -> None:
        self.is_over = False
        self.thread = threading.Thread(target=self.compute, name="busy")

    def compute(self) -> None:
        while not self.is_over:
            sum(range(100))

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.is_over = True
        self.thread.join()


def test_a_profile_shows_who_computes_and_not_who_waits() -> None:
    gate = threading.Event()
    waiting = threading.Thread(target=gate.wait, name="waiting")
    gone: queue.SimpleQueue[None] = queue.SimpleQueue()
    within_c = threading.Thread(target=gone.get, name="within C")
    waiting.start()
    within_c.start()
    switch_interval_s = sys.getswitchinterval()
    with Busy():
        profile = Sampler(0.002).run(0.2)
    gate.set()
    gone.put(None)
    waiting.join()
    within_c.join()
    lines = [line for line in profile.collapsed().splitlines() if line.startswith("busy;")]
    assert lines
    assert all("Busy.compute" in line for line in lines)
    assert profile.idle["waiting"] > 0
    assert profile.idle["within C"] > 0
    waits = sum(count for stack, count in profile.stacks.items() if stack[0] in {"waiting", "within C"})
    assert waits <= 2, "at the first look it is not known yet that they wait"
    assert profile.cpu_s["busy"] > profile.cpu_s["waiting"] >= 0
    assert sys.getswitchinterval() == switch_interval_s
    assert 0 < profile.looks <= 100


def test_only_so_many_stacks_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "MOST_STACKS", 0)
    with Busy():
        profile = Sampler(0.002).run(0.05)
    assert {stack[1:] for stack in profile.stacks if stack[0] == "busy"} == {(OTHERS,)}


def test_a_flame_graph_is_a_picture_with_each_function_as_wide_as_it_was_seen_often() -> None:
    stacks = {("main", "app/a.py:outer", "app/b.py:<lambda>"): 30, ("main", "app/a.py:outer"): 10, ("log", "x:y"): 60}
    picture = flame_graph(stacks, "two seconds & more")
    root = ET.fromstring(picture)  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    widths = {
        group.findtext(f"{space}title", ""): float(group.find(f"{space}rect").get("width", 0))  # type: ignore[union-attr] # each has one
        for group in root.iter(f"{space}g")
    }
    assert widths["all: 100 of 100 (100.0%)"] == pytest.approx(1200, abs=1)
    assert widths["app/a.py:outer: 40 of 100 (40.0%)"] == pytest.approx(480, abs=1)
    assert widths["app/b.py:<lambda>: 30 of 100 (30.0%)"] == pytest.approx(360, abs=1)
    places = sorted(float(rect.get("x", 0)) for rect in root.iter(f"{space}rect") if rect.get("x"))
    assert len({round(place) for place in places}) == 2, "all but one of the two branches begin at the left"
    assert places[-1] - places[0] == pytest.approx(720, abs=1) or places[-1] - places[0] == pytest.approx(480, abs=1)
    assert "script" not in picture
    assert "style" not in picture
    assert root.get("aria-label") == "two seconds & more"


def test_an_empty_profile_is_an_empty_picture() -> None:
    ET.fromstring(flame_graph({}, "nothing"))  # noqa: S314 - our own


def test_what_was_made_and_is_still_there_is_told_by_the_line_that_made_it() -> None:
    assert begin_tracing()
    kept = [bytes(1_000) for _ in range(500)]
    top = end_tracing(1.0)
    assert not tracemalloc.is_tracing()
    assert HERE in top.lines[0].where
    assert top.lines[0].bytes >= 500_000
    assert top.bytes >= top.lines[0].bytes
    assert top.peak_bytes >= 500_000
    assert len(kept) == 500


async def test_memory_is_traced_no_longer_than_what_is_read_in_a_moment() -> None:
    diagnosing = Diagnosing(no_load())
    whole = await diagnosing.memory(0.01)
    assert (whole.ended_early, whole.seconds >= 0.01) == (False, True)
    traced = asyncio.create_task(diagnosing.memory(60))
    await asyncio.sleep(0)
    assert tracemalloc.is_tracing()
    kept = [bytes(40) for _ in range(2 * MOST_TRACES_BYTES // 50)]
    async with asyncio.timeout(20):
        top = await traced
    assert (top.ended_early, top.seconds < 20) == (True, True)
    assert (HERE in top.lines[0].where, top.lines[0].blocks > len(kept) // 2) == (True, True)


async def test_what_costs_is_done_one_at_a_time_and_ends_early_with_the_service() -> None:
    diagnosing = Diagnosing(no_load())
    profiled = asyncio.create_task(diagnosing.profile(60))
    await asyncio.sleep(0)
    with pytest.raises(ActionRefused, match="a profile is being done"):
        await diagnosing.memory(60)
    diagnosing.stop()
    async with asyncio.timeout(20):
        assert (await profiled).seconds < 20
        assert (await diagnosing.memory(60)).lines is not None


async def test_who_waits_for_no_answer_any_more_ends_it() -> None:
    diagnosing = Diagnosing(no_load())
    for ask in (diagnosing.profile, diagnosing.memory):
        asked: asyncio.Task[object] = asyncio.ensure_future(ask(60))
        await asyncio.sleep(0)
        asked.cancel()
        async with asyncio.timeout(20):
            with pytest.raises(asyncio.CancelledError):
                await asked
        assert not tracemalloc.is_tracing()
    diagnosing.stop()
    await diagnosing.profile(60)


async def test_memory_that_somebody_else_traces_is_left_alone() -> None:
    tracemalloc.start(1)
    try:
        with pytest.raises(ActionRefused, match="PYTHONTRACEMALLOC"):
            await Diagnosing(no_load()).memory(0.01)
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()
