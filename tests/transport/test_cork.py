"""Several writes in one: what is held, and until when."""

from app.transport.cork import MAX_HELD_BYTES, Cork


def corked() -> tuple[Cork, list[bytes]]:
    """A cork, and what has been written through it."""
    written: list[bytes] = []
    return Cork(lambda data: written.append(bytes(data))), written


def test_what_is_held_leaves_in_one_write_and_in_order() -> None:
    cork, written = corked()
    cork.write(b"one ")
    cork.write(b"two")
    assert written == []
    cork.flush()
    assert written == [b"one two"]


def test_whoever_has_looked_the_method_up_before_the_flush_writes_straight_on_after_it() -> None:
    cork, written = corked()
    write = cork.write
    write(b"one")
    cork.flush()
    write(b"two")
    write(b"")
    assert written == [b"one", b"two", b""]


def test_nothing_held_is_no_write_and_a_second_flush_is_none_either() -> None:
    cork, written = corked()
    cork.flush()
    cork.flush()
    assert written == []
    cork.write(b"one")
    cork.flush()
    assert written == [b"one"]


def test_no_more_is_held_than_the_socket_should_be_asked_about() -> None:
    cork, written = corked()
    cork.write(b"x" * MAX_HELD_BYTES)
    assert written == []
    cork.write(b"y")
    assert written == [b"x" * MAX_HELD_BYTES + b"y"]
    cork.write(b"z")
    assert written[1:] == [b"z"], "what does not fit opens it for good"
