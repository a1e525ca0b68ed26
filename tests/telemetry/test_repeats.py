"""Log lines that others can cause at will: so many a second of each kind, the rest counted."""

from app.telemetry.repeats import Repeats


def test_so_many_a_second_and_the_next_line_tells_how_many_were_not_written() -> None:
    now = 100.0
    repeats = Repeats(3, lambda: now)
    assert [repeats.suppressed("a") for _ in range(5)] == [0, 0, 0, None, None]
    assert repeats.suppressed("b") == 0, "each kind for itself"
    now = 100.9
    assert repeats.suppressed("a") is None
    now = 101.0
    assert [repeats.suppressed("a") for _ in range(4)] == [3, 0, 0, None]
    now = 200.0
    assert repeats.suppressed("a") == 1


def test_what_no_line_followed_is_told_when_its_second_is_over_and_at_the_end_once() -> None:
    now = 100.0
    repeats = Repeats(1, lambda: now)
    for kind in "aab":
        repeats.suppressed(kind)
    assert repeats.unreported() == {}, "a line may follow"
    now = 101.0
    assert repeats.unreported() == {"a": 1}
    assert repeats.unreported() == {}
    assert [repeats.suppressed("a") for _ in range(3)] == [0, None, None], "it has been told"
    assert repeats.unreported(is_end=True) == {"a": 2}
