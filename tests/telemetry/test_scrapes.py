"""Many scrapes cost no more than one, and each has the figures of after its question."""

import asyncio
import gzip
import itertools
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from app.telemetry import scrapes as module
from app.telemetry.scrapes import Scrapes
from tools.harness.clock import VirtualLoop

INTERVAL_S = 0.1
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def run(work: Coroutine[Any, Any, None]) -> None:
    """On a clock that need not be waited for."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)


class Store:
    """Its figure is how often it was rendered, and when."""

    def __init__(self) -> None:
        self.rendered: list[float] = []

    def begin(self, accept: str) -> tuple[Iterator[bytes], str]:
        return self._write(), accept

    def _write(self) -> Iterator[bytes]:
        self.rendered.append(asyncio.get_running_loop().time())
        yield str(len(self.rendered)).encode()


def test_those_that_wait_share_the_next_rendering_which_begins_after_all_have_asked() -> None:
    async def work() -> None:
        store = Store()
        scrapes = Scrapes(store.begin, INTERVAL_S)
        assert (await scrapes.render(""))[0] == b"1"
        answers = await asyncio.gather(*(scrapes.render("") for _ in range(500)))
        assert {body for body, _ in answers} == {b"2"}
        assert (await scrapes.render(""))[0] == b"3"
        assert all(
            later - sooner >= INTERVAL_S for sooner, later in zip(store.rendered, store.rendered[1:], strict=False)
        )

    run(work())


def test_no_accept_header_makes_a_format_of_its_own() -> None:
    async def work() -> None:
        store = Store()
        scrapes = Scrapes(store.begin, INTERVAL_S)
        asked = [f"text/plain; version=0.0.4; x={number}" for number in range(500)] + [OPEN_METRICS]
        await asyncio.gather(*map(scrapes.render, asked))
        assert len(store.rendered) == 2

    run(work())


def test_one_that_goes_takes_nothing_from_the_others() -> None:
    async def work() -> None:
        scrapes = Scrapes(Store().begin, INTERVAL_S)
        await scrapes.render("")
        gone, stays = (asyncio.create_task(scrapes.render("")) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        assert (await stays)[0] == b"2"

    run(work())


def test_what_is_packed_is_rendered_for_itself_and_is_the_same() -> None:
    async def work() -> None:
        scrapes = Scrapes(lambda accept: (iter((b"fig", b"ures")), accept), INTERVAL_S)
        plain, packed = await asyncio.gather(scrapes.render(""), scrapes.render("", is_packed=True))
        assert plain[0] == gzip.decompress(packed[0]) == b"figures"

    run(work())


def test_who_asks_for_protobuf_and_who_asks_for_text_do_not_share() -> None:
    async def work() -> None:
        scrapes = Scrapes(Store().begin, INTERVAL_S)
        protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
        both = f"{protobuf},{OPEN_METRICS};q=0.8"
        answers = await asyncio.gather(*map(scrapes.render, (OPEN_METRICS, both, protobuf)))
        assert [content_type for _, content_type in answers] == [OPEN_METRICS, both, protobuf]

    run(work())


def test_others_have_their_turn_while_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock takes a millisecond here: each part is a turn, in which whoever waits goes on too."""
    ticks = itertools.count()
    monkeypatch.setattr(module, "perf_counter", lambda: next(ticks) / 1000)
    seen: list[str] = []

    def write() -> Iterator[bytes]:
        for number in range(3):
            seen.append(f"part {number}")
            yield b"x"

    async def others() -> None:
        while True:
            seen.append("others")
            await asyncio.sleep(0)

    async def work() -> None:
        scrapes = Scrapes(lambda accept: (write(), accept), INTERVAL_S)
        going_on = asyncio.create_task(others())
        assert (await scrapes.render(""))[0] == b"xxx"
        going_on.cancel()

    run(work())
    parts = "".join({"others": "."}.get(one, one[-1]) for one in seen).strip(".")
    assert [*filter(None, parts.split("."))] == ["0", "1", "2"]
