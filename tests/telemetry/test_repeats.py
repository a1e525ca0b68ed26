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
