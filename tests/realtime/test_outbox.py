"""The outbox: order, bounds, and what of droppable frames survives."""

from app.realtime.outbox import MAX_DROPPABLE, Outbox, Sent


class Socket:
    """A socket whose buffer the test fills: no real one can be filled to the byte."""

    def __init__(self) -> None:
        self.is_writable = True
        self.is_open = True
        self.sent: list[bytes] = []

    def send_frame(self, payload: bytes) -> None:
        self.sent.append(payload)


def outbox(max_bytes: int) -> tuple[Outbox, Socket]:
    socket = Socket()
    return Outbox(socket, max_bytes), socket  # type: ignore[arg-type] # as much of a transport as an outbox needs


def test_an_outbox_keeps_order_and_its_limit() -> None:
    box, socket = outbox(10)
    assert box.put(b"one")
    socket.is_writable = False
    assert box.put(b"two")
    assert box.put_droppable("ann", b"progress") is Sent.TAKEN
    assert not box.put(b"x" * 8)
    assert box.put(b"x" * 7)
    assert (box.bytes, box.deepest) == (10, 10)
    socket.is_writable = True
    assert box.put_droppable("ann", b"newer") is Sent.REPLACED_OLDER, "nothing overtakes what waits"
    box.flush()
    assert socket.sent == [b"one", b"two", b"x" * 7, b"newer"]
    assert box.bytes == 0
    assert box.oldest is None


def test_of_droppable_frames_the_newest_of_each_key_waits_and_they_are_bounded() -> None:
    box, socket = outbox(1_000_000)
    socket.is_writable = False
    for number in range(MAX_DROPPABLE):
        assert box.put_droppable(str(number), b"old") is Sent.TAKEN
    assert box.put_droppable("0", b"new") is Sent.REPLACED_OLDER
    assert box.put_droppable("one too many", b"x") is Sent.DROPPED
    assert box.bytes == 0
    socket.is_writable = True
    box.flush()
    assert socket.sent == [b"new", *[b"old"] * (MAX_DROPPABLE - 1)]


def test_the_oldest_frame_tells_how_long_a_reader_is_behind() -> None:
    box, socket = outbox(100)
    socket.is_writable = False
    box.put(b"one")
    first = box.oldest
    box.put(b"two")
    assert first is not None
    assert box.oldest == first
    box.flush_all()
    assert socket.sent == [b"one", b"two"]
    assert not box._frames
    assert box.bytes == 0
