"""The frame reader, held to `websockets`' parser: whatever bytes come, in whatever pieces."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.exceptions import ProtocolError
from websockets.frames import Frame as TheirFrame
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side, State

from app.transport.framing import (
    CLOSE,
    CONTINUATION,
    TEXT,
    TOO_BIG,
    FrameReader,
    Violation,
    close_bytes,
    close_code,
    frame_bytes,
    text_frame,
)
from tools.harness.wire import frame

MAX_SIZE = 300
TAIL = bytes(MAX_SIZE + 20)
"""Completes what is not whole, and is no frame: some frames we refuse by their heads, `websockets` as a whole."""
Outcome = tuple[list[tuple[int, bytes]], int | None]


def ours(chunks: list[bytes]) -> Outcome:
    """Messages and control frames up to the first close frame, and the code of the violation that ended it."""
    reader, messages = FrameReader(MAX_SIZE), []
    try:
        for chunk in chunks:
            reader.feed(chunk)
            while (one := reader.next()) is not None:
                if one.opcode == CONTINUATION:
                    continue
                if one.opcode == CLOSE:
                    close_code(one.payload)
                messages.append((one.opcode, one.payload))
                if one.opcode == CLOSE:
                    return messages, None
    except Violation as violation:
        return messages, violation.code
    return messages, None


class Peer(Protocol):
    """websockets' parser, mended: a close frame may come amid a fragmented message (section 5.4)."""

    def recv_frame(self, frame: TheirFrame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)


def theirs(chunks: list[bytes]) -> Outcome:
    """The same by `websockets`."""
    peer = Peer(Side.SERVER, state=State.OPEN, max_size=MAX_SIZE)
    messages: list[tuple[int, bytes]] = []
    parts: list[bytes] = []
    kind = 0
    for chunk in chunks:
        peer.receive_data(chunk)
        for event in peer.events_received():
            assert isinstance(event, TheirFrame)
            if event.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                kind = kind if event.opcode is Opcode.CONT else int(event.opcode)
                parts.append(bytes(event.data))
                if event.fin:
                    messages.append((kind, b"".join(parts)))
                    parts = []
            else:
                messages.append((int(event.opcode), bytes(event.data)))
        if peer.parser_exc is not None:
            assert peer.close_sent is not None or isinstance(peer.parser_exc, (ProtocolError, EOFError))
            return messages, peer.close_sent.code if peer.close_sent is not None else None
        if messages and messages[-1][0] == CLOSE:
            return messages, None
    return messages, None


LENGTHS = st.one_of(st.integers(0, 8), st.sampled_from([124, 125, 126, 127, 128, MAX_SIZE - 1, MAX_SIZE, MAX_SIZE + 1]))
SOUND = st.builds(
    lambda opcode, size, fin: frame(opcode, b"x" * size, fin=fin or opcode >= CLOSE),
    st.sampled_from([0, 1, 2, 9, 10]),
    LENGTHS,
    st.booleans(),
)
ODD = st.builds(
    lambda opcode, size, fin, masked, reserved: frame(opcode, b"x" * size, fin=fin, masked=masked, reserved=reserved),
    st.integers(0, 15),
    LENGTHS,
    st.booleans(),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([0, 0, 0, 0, 1, 2, 4]),
)
CLOSES = st.builds(
    lambda code, reason: frame(8, code.to_bytes(2, "big") + reason),
    st.one_of(st.integers(990, 1020), st.sampled_from([0, 2999, 3000, 4999, 5000, 65535])),
    st.binary(max_size=4),
)
STREAMS = st.lists(st.one_of(SOUND, SOUND, SOUND, ODD, CLOSES, st.binary(max_size=12)), max_size=6).map(b"".join)


@given(STREAMS, st.lists(st.integers(0, 2000), max_size=6))
@example(frame(8, b"\x03"), [])
@example(frame(1, b"a", fin=False) + frame(8, b"\x03\xe8") + frame(0, b"b"), [])
@example(bytes([0x81, 0xFF]) + b"\x80" + b"\x00" * 7 + b"mask", [])
def test_the_reader_finds_what_websockets_finds(stream: bytes, cuts: list[int]) -> None:
    stream += TAIL
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[begin:end] for begin, end in pairwise(edges)]
    (found, code), (expected, their_code) = ours(chunks), theirs(chunks)
    if their_code == TOO_BIG:  # they hold control frames between fragments to what the message has left, too
        assert found[: len(expected)] == expected
    else:
        assert (found, code) == (expected, their_code)


@given(STREAMS)
def test_how_the_bytes_are_cut_changes_nothing(stream: bytes) -> None:
    assert ours([stream]) == ours([stream[index : index + 1] for index in range(len(stream))])


@given(st.one_of(st.binary(max_size=300), st.sampled_from([65_535, 65_536]).map(lambda size: b"y" * size)))
def test_what_is_written_is_what_websockets_reads(payload: bytes) -> None:
    client = Protocol(Side.CLIENT, state=State.OPEN)
    made = text_frame(payload)
    assert made.size == len(payload)
    client.receive_data(made.wire + frame_bytes(9, b"ping") + close_bytes(4400, "so") + b"")
    first, ping, close = client.events_received()
    assert isinstance(first, TheirFrame)
    assert (first.opcode, first.data, first.fin) == (TEXT, payload, True)
    assert isinstance(ping, TheirFrame)
    assert ping.data == b"ping"
    assert isinstance(close, TheirFrame)
    assert close.data == (4400).to_bytes(2, "big") + b"so"


def holds(reader: FrameReader) -> bool:
    return not reader.is_between


def test_nothing_is_held_between_messages_and_no_more_than_a_message_within() -> None:
    reader = FrameReader(100)
    assert not holds(reader)
    reader.feed(frame(1, b"x" * 60, fin=False))
    part = reader.next()
    assert part is not None
    assert part.opcode == CONTINUATION
    assert reader.next() is None
    assert holds(reader)
    reader.feed(frame(0, b"y" * 40))
    message = reader.next()
    assert message is not None
    assert message.payload == b"x" * 60 + b"y" * 40
    assert not holds(reader)
    head = frame(1, b"x" * 101)[:8]
    reader.feed(head)
    with pytest.raises(Violation) as refused:
        reader.next()
    assert refused.value.code == 1009, "the header alone is enough"
