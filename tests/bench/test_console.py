"""The benchmark of the console runs, small, and measures what it says. Its figures are no matter of a test."""

import asyncio
import os
import re
from pathlib import Path
from typing import Any, cast

import pytest

from tests.bench.console import GOAL, Reader, Watched, during, main, verdict
from tests.bench.contestants import Contestant
from tests.bench.generator import Generator
from tests.bench.scenarios import Loaded, Plan
from tests.console.answering import answering
from tools.harness.server import until

REFUSED = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n"


class NoLoad:
    """A load generator that is done at once."""

    def do(self, *_: object) -> dict[str, Any]:
        return {"busy": 0.0, "messages": 1}


@pytest.mark.timeout(300)
def test_a_round_of_few_connections(capsys: pytest.CaptureFixture[str]) -> None:
    affinity = os.sched_getaffinity(0)
    try:
        main(["--rounds", "1", "--scale", "0.004"])
    finally:
        os.sched_setaffinity(0, affinity)
    printed = capsys.readouterr().out
    assert printed.startswith("20 connections, 1 rounds")
    assert re.search(r"ratio \d+\.\d+ .*, goal (held|missed): at most 1.03\n", printed)
    told = re.search(r"each watcher was told (\d+) events", printed)
    assert told
    assert int(told[1]) >= 2, "in the round that warms up, and in that which counts"


def test_whether_the_goal_is_held_is_said() -> None:
    assert "goal held" in verdict([0.9, GOAL, 9])
    assert "goal missed" in verdict([0.9, GOAL + 0.001, 9])


@pytest.mark.anyio
async def test_what_was_refused_is_not_measured() -> None:
    measured = Plan(Path(), 1, 1.0), Contestant("this", os.getpid()), cast("Generator", NoLoad())
    async with answering(REFUSED) as (url, asked):
        reader = Reader(url)
        await asyncio.to_thread(until, lambda: not reader.watches)
        with pytest.raises(RuntimeError, match="429"):
            Watched(*measured, [reader]).cost("echo")
        with pytest.raises(RuntimeError, match="429"):
            await asyncio.to_thread(during, Loaded(*measured), f"{url}/profile", 1)
    assert [line.split()[1] for line in asked] == [b"/watch", b"/profile"]
