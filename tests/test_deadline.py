"""One thing at a time to wait for, on a clock of the test's own."""

import asyncio

from app.aio.deadline import Deadline
from tools.harness.clock import without_waiting


class Ends:
    """Keeps what was called, and when."""

    def __init__(self) -> None:
        self._began = asyncio.get_running_loop().time()
        self.seen: list[tuple[str, float]] = []

    def note(self, what: str) -> None:
        self.seen.append((what, asyncio.get_running_loop().time() - self._began))


@without_waiting
async def test_it_ends_once_and_after_its_time() -> None:
    ends, deadline = Ends(), Deadline()
    deadline.set(5, lambda: ends.note("end"))
    await asyncio.sleep(4.5)
    assert ends.seen == []
    await asyncio.sleep(10)
    assert ends.seen == [("end", 5.0)]


@without_waiting
async def test_what_is_set_anew_takes_the_place_of_what_was_set_before() -> None:
    ends, deadline = Ends(), Deadline()
    deadline.set(5, lambda: ends.note("a whole request"))
    deadline.set(8, lambda: ends.note("the next one"))
    await asyncio.sleep(20)
    assert ends.seen == [("the next one", 8.0)]


@without_waiting
async def test_what_is_cancelled_is_not_called_and_it_can_be_set_again() -> None:
    ends, deadline = Ends(), Deadline()
    deadline.cancel()  # there is nothing to cancel
    deadline.set(5, lambda: ends.note("cancelled"))
    deadline.cancel()
    await asyncio.sleep(20)
    deadline.set(5, lambda: ends.note("again"))
    await asyncio.sleep(20)
    deadline.cancel()  # it has ended
    assert ends.seen == [("again", 25.0)]


@without_waiting
async def test_two_of_them_know_nothing_of_each_other() -> None:
    ends, reading, writing = Ends(), Deadline(), Deadline()
    reading.set(5, lambda: ends.note("reading"))
    writing.set(5, lambda: ends.note("writing"))
    reading.cancel()
    await asyncio.sleep(20)
    assert ends.seen == [("writing", 5.0)]


@without_waiting
async def test_it_can_be_set_by_what_it_calls() -> None:
    ends, deadline = Ends(), Deadline()

    def refuse() -> None:
        ends.note("refused")
        deadline.set(2, lambda: ends.note("cut"))

    deadline.set(5, refuse)
    await asyncio.sleep(20)
    assert ends.seen == [("refused", 5.0), ("cut", 7.0)]
