"""A connection ends once, and nothing is written after it, in whatever order things go wrong."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.protocol import Close, CloseRow
from app.transport import UvicornTransport
from tools.harness.sockets import Ear, FakeSocket, Wired, turns
from tools.harness.wire import CLOSE, PING, PONG, TEXT, close_frame, frame

pytestmark = pytest.mark.anyio
KINDS = ["lean", "uvicorn"]
VIOLATION = frame(3, b"")

STEPS: dict[str, Callable[[Wired], object]] = {
    "text": lambda one: one.socket.feed(frame(TEXT, b"{}")),
    "texts": lambda one: one.socket.feed(frame(TEXT, b"{}") * 40),
    "ping": lambda one: one.socket.feed(frame(PING, b"x")),
    "violation": lambda one: one.socket.feed(VIOLATION),
    "text, ping, violation": lambda one: one.socket.feed(frame(TEXT, b"{}") + frame(PING, b"x") + VIOLATION),
    "violation, text": lambda one: one.socket.feed(VIOLATION + frame(TEXT, b"{}")),
    "bad text": lambda one: one.socket.feed(frame(TEXT, b"\xff")),
    "too big": lambda one: one.socket.feed(frame(TEXT, b"x" * 1_001)),
    "close frame": lambda one: one.socket.feed(close_frame(1000)),
    "ping, close frame, text": lambda one: one.socket.feed(frame(PING, b"") + close_frame(1000) + frame(TEXT, b"{}")),
    "half a frame": lambda one: one.socket.feed(frame(TEXT, b"{}")[:3]),
    "close": lambda one: one.transport.close(Close.DRAINING),
    "close as slow": lambda one: one.transport.close(Close.SLOW_CONSUMER),
    "cork": lambda one: one.transport.cork(),
    "pause": lambda one: one.transport.pause_reading(),
    "resume": lambda one: one.transport.resume_reading(),
    "socket full": lambda one: setattr(one.socket, "takes", False),
    "much": lambda one: one.transport.write(b"x" * 70_000),
    "socket takes": lambda one: one.socket.take(),
    "writes fail": lambda one: setattr(one.socket, "breaks", True),
    "fin": lambda one: one.socket.end(),
    "reset": lambda one: one.socket.abort(),
    "abort": lambda one: one.transport.abort(),
    "shutdown": lambda one: one.transport.shutdown(),
    "turn": lambda _: None,
}


@pytest.mark.parametrize("kind", KINDS)
@given(steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=8), is_paced=st.booleans())
@example(steps=["writes fail", "text, ping, violation"], is_paced=False)
@example(steps=["cork", "violation"], is_paced=False)
@example(steps=["socket full", "much", "violation", "socket takes"], is_paced=True)
def test_nothing_is_written_after_the_end(kind: str, steps: list[str], is_paced: bool) -> None:
    asyncio.run(_go_through(kind, steps, is_paced))


async def _go_through(kind: str, steps: list[str], is_paced: bool) -> None:
    ear = Ear()
    one = Wired(kind, ear)
    await one.open()
    one.start()
    for step in steps:
        STEPS[step](one)
        _write_as_a_fan_out_does(one)
        if is_paced:
            await turns(2)
    one.socket.abort()
    await turns(3)
    one.transport.write(b"nobody")
    assert len(ear.ended) == 1, "told once how it ended"
    assert len(ear.closing) <= 1, "asked at most once for a last word"
    if ear.ended != [Close.LOST]:  # as when that cannot be written any more
        assert ear.closing in ([], ear.ended)
    assert one.faults.where == []
    assert one.transport not in one._state.connections


def _write_as_a_fan_out_does(one: Wired) -> None:
    """A durable event comes in this very moment: it is written, or not, and never raises."""
    ended = bool(one.ear.ended)
    before = len(one.socket.sent) + len(one.socket.waiting)
    one.transport.write(frame(TEXT, b"event", masked=False))
    if ended:
        assert not one.transport.is_open
        assert len(one.socket.sent) + len(one.socket.waiting) == before, "nothing after the end"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["on_text", "on_binary", "on_control_frame", "on_blocked", "on_writable", "on_closed", "on_closing"]
)
async def test_a_fault_of_the_listener_ends_that_connection_and_is_counted(kind: str, name: str) -> None:
    def fail(called: str) -> None:
        if called == name:
            raise LookupError(name)

    ear = Ear(fail)
    one = Wired(kind, ear)
    await one.open()
    one.start()
    doing: dict[str, Callable[[], object]] = {
        "on_text": lambda: one.socket.feed(frame(TEXT, b"{}")),
        "on_binary": lambda: one.socket.feed(frame(2, b"{}")),
        "on_control_frame": lambda: one.socket.feed(frame(PING, b"")),
        "on_blocked": lambda: _fill(one),
        "on_writable": lambda: _fill_and_take(one),
        "on_closed": lambda: one.transport.close(Close.INTERNAL),
        "on_closing": lambda: one.transport._failed(LookupError("another")),
    }
    doing[name]()
    await turns(3)
    assert one.faults.where == ["transport"] * (2 if name == "on_closing" else 1)
    assert ear.ended == [Close.INTERNAL]
    one.socket.take()
    assert b"\x88" in b"".join(one.socket.sent), "it is told why"
    one.socket.abort()
    await turns(2)


def _fill_and_take(one: Wired) -> None:
    _fill(one)
    one.socket.take()


def _fill(one: Wired) -> None:
    one.socket.takes = False
    one.transport.write(b"x" * 70_000)


@pytest.mark.parametrize("kind", KINDS)
async def test_of_the_pings_that_came_while_the_socket_was_full_the_last_is_answered(kind: str) -> None:
    one = Wired(kind, Ear())
    await one.open()
    one.start()
    _fill(one)
    for number in range(10):
        one.socket.feed(frame(PING, b"%d" % number))
    assert len(one.socket.waiting) == 1, "answers to who reads nothing do not pile up"
    one.socket.sent.clear()
    one.socket.take()
    assert one.socket.sent[1:] == [frame(PONG, b"9", masked=False)]
    one.socket.abort()
    await turns(2)


@pytest.mark.parametrize("kind", KINDS)
async def test_one_turn_handles_so_much_and_the_next_one_goes_on(kind: str) -> None:
    ear = Ear()
    one = Wired(kind, ear)
    await one.open()
    one.start()
    flood = [b"%d" % number for number in range(3_000)]
    one.socket.feed(b"".join(frame(PING, payload) for payload in flood))
    seen = 0
    while seen < len(flood):
        assert 0 < ear.control_frames - seen <= 33, "the share of a turn"
        seen = ear.control_frames
        assert seen == len(flood) or not one.socket.is_reading_now, "what waits is not added to"
        await turns(1)
    await turns(1)
    assert one.socket.is_reading_now
    assert b"".join(one.socket.sent) == b"".join(frame(PONG, payload, masked=False) for payload in flood)
    one.socket.abort()
    await turns(2)


@pytest.mark.parametrize("kind", KINDS)
async def test_who_is_slowed_down_is_not_read_meanwhile_and_loses_nothing(kind: str) -> None:
    ear = Ear()
    ear.pauses = [0.0, 0.05]
    one = Wired(kind, ear)
    await one.open()
    one.start()
    began = asyncio.get_running_loop().time()
    for name in (b"1", b"2"):
        one.socket.feed(frame(PING, name))
    assert not one.socket.is_reading_now
    one.transport.pause_reading()
    one.transport.resume_reading()
    await turns(3)
    assert not one.socket.is_reading_now, "that the session has room does not end it"
    await one.socket.reads_again.wait()
    assert asyncio.get_running_loop().time() - began >= 0.05
    one.socket.feed(frame(TEXT, b"after"))
    assert ear.texts == [b"after"]
    one.socket.abort()
    await turns(2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [b"", b"x"], ids=["empty parts", "parts of an octet"])
async def test_parts_and_octets_count_as_control_frames_do(kind: str, part: bytes) -> None:
    ear = Ear()
    one = Wired(kind, ear)
    await one.open()
    one.start()
    pieces = [frame(TEXT, b"{", fin=False), *[frame(0, part, fin=False)] * 9, frame(0, b"}")]
    for piece in pieces:
        one.socket.feed(piece)
    assert ear.texts == [b"{" + part * 9 + b"}"]
    assert ear.control_frames == 10
    for octet in (whole := frame(TEXT, b"octets")):
        one.socket.feed(bytes((octet,)))
    assert ear.texts[1:] == [b"octets"]
    assert ear.control_frames == 10 + len(whole) - 1
    one.socket.abort()
    await turns(2)


@pytest.mark.parametrize("kind", KINDS)
async def test_after_the_end_so_much_is_read_and_no_more(kind: str) -> None:
    ear = Ear()
    one = Wired(kind, ear)
    await one.open()
    one.start()
    one.transport.close(Close.DRAINING)
    await _pour(one.socket, frame(TEXT, b"{}") * 1_000)
    assert _frames_counted(one) == 1_000, "its close frame may be behind"
    await _pour(one.socket, frame(TEXT, b"{}") * 50)
    assert _frames_counted(one) is None
    for _ in range(16):
        await _pour(one.socket, bytes(2**20 - 1))
    assert not one.socket.is_closing()
    await _pour(one.socket, bytes(2**20))
    assert one.socket.is_closing()
    assert ear.ended == [Close.DRAINING]
    assert ear.texts == []
    await turns(2)


def _frames_counted(one: Wired) -> int | None:
    """Since the end; None where frames are not looked for any more."""
    return None if one.transport._draining is not None else one.transport._frames_after_end


async def _pour(socket: FakeSocket, data: bytes) -> None:
    while not socket.feed(data):
        await turns(1)
    while not (socket.is_reading_now or socket.is_closing()):
        await turns(1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["violation", "close frame", "fin", "shutdown", "close"])
async def test_a_peer_that_reads_nothing_is_cut_after_the_close_timeout(kind: str, end: str) -> None:
    one = Wired(kind, Ear())
    await one.open()
    one.start()
    _fill(one)
    STEPS[end](one)
    await turns(3)
    timer = one.transport._cut_timer
    assert timer is not None
    assert timer.when() - asyncio.get_running_loop().time() <= 30
    timer._run()
    await turns(3)
    assert one.transport not in one._state.connections
    assert len(one.ear.ended) == 1


def _wait_for_a_pong_in_vain(one: Wired) -> None:
    if isinstance(one.transport, UvicornTransport):
        one.transport.keepalive_timeout()
    else:
        one.transport.on_due()  # a ping
        one.socket.sent.clear()
        one.transport.on_due()


OWN_ENDS: dict[CloseRow, Callable[[Wired], object]] = {
    Close.WIRE_ERROR: STEPS["violation"],
    Close.INVALID_UTF8: STEPS["bad text"],
    Close.TOO_BIG: STEPS["too big"],
    Close.PING_TIMEOUT: _wait_for_a_pong_in_vain,
    Close.INTERNAL: lambda one: one.transport._failed(LookupError()),
    Close.DRAINING: STEPS["shutdown"],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_full", [False, True], ids=["writable", "full"])
@pytest.mark.parametrize("row", OWN_ENDS, ids=lambda row: row.reason)
async def test_before_an_end_of_the_transports_own_the_listener_has_the_last_word(
    kind: str, row: CloseRow, is_full: bool
) -> None:
    ear = Ear()
    ear.goodbye = frame(TEXT, b"goodbye", masked=False)
    one = Wired(kind, ear)
    await one.open()
    one.start()
    if is_full:
        _fill(one)
    OWN_ENDS[row](one)
    assert (ear.closing, ear.ended) == ([row], [row])
    one.transport.write(b"nothing after it")
    await turns(2)
    one.socket.take()
    close = frame(CLOSE, row.code.to_bytes(2, "big") + row.reason.encode(), masked=False)
    assert b"".join(one.socket.sent).endswith(ear.goodbye + close)
    one.socket.abort()
    await turns(2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["close", "close as slow", "close frame", "fin", "reset"])
async def test_whoever_ends_it_themselves_is_not_asked_for_a_last_word(kind: str, end: str) -> None:
    ear = Ear()
    one = Wired(kind, ear)
    await one.open()
    one.start()
    STEPS[end](one)
    STEPS["violation"](one)
    one.socket.abort()
    await turns(3)
    assert (len(ear.ended), ear.closing) == (1, [])


@pytest.mark.parametrize("kind", KINDS)
async def test_what_came_before_a_violation_in_the_same_read_is_answered_before_the_last_word(kind: str) -> None:
    def answer(called: str) -> None:
        if called == "on_text":
            one.transport.write(frame(TEXT, b"answer", masked=False))

    ear = Ear(answer)
    ear.goodbye = frame(TEXT, b"goodbye", masked=False)
    one = Wired(kind, ear)
    await one.open()
    one.start()
    STEPS["text, ping, violation"](one)
    sent = b"".join(one.socket.sent)
    at = [sent.index(part) for part in (b"answer", b"goodbye", Close.WIRE_ERROR.reason.encode())]
    assert at == sorted(at)
    one.socket.abort()
    await turns(2)
