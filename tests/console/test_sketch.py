"""Who comes most often is found in bounded space, and what is not known is said."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.console.sketch import HeavyHitters
from app.console.windows import Windows

ADDED = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=200)


def counted(added: list[tuple[int, int]], kept: int) -> tuple[HeavyHitters[int], Counter[int]]:
    sketch: HeavyHitters[int] = HeavyHitters(kept)
    true: Counter[int] = Counter()
    for key, weight in added:
        sketch.add(key, weight)
        true[key] += weight
        assert len(sketch) <= 2 * kept
    return sketch, true


@given(ADDED, ADDED, st.integers(1, 8))
def test_the_truth_lies_within_what_is_said(
    added: list[tuple[int, int]], earlier: list[tuple[int, int]], kept: int
) -> None:
    (sketch, true), (other, before) = counted(added, kept), counted(earlier, kept)
    for key, (count, error) in sketch.top(100, other):
        assert count - error <= true[key] + before[key] <= count
    for key in true:
        assert true[key] <= sketch.estimate(key).most


@given(ADDED)
def test_while_there_is_room_it_is_exact(added: list[tuple[int, int]]) -> None:
    sketch, true = counted(added, 16)
    assert dict(sketch.top(100)) == {key: (count, 0) for key, count in true.items()}


def test_one_who_comes_again_and_again_stands_first_whoever_else_comes_once() -> None:
    sketch: HeavyHitters[str] = HeavyHitters(10)
    for number in range(1_000):
        sketch.add("again")
        for other in range(10):
            sketch.add(f"once {number} {other}")
    key, (count, error) = sketch.top(1)[0]
    assert key == "again"
    assert (count, error) == (1_000, 0)


def test_what_is_older_than_two_windows_is_gone() -> None:
    now = 0.0
    windows: Windows[list[int]] = Windows(list, 10.0, lambda: now)
    windows.now.append(1)
    now = 9.0
    assert windows.both == ([1], [])
    now = 10.0
    assert windows.both == ([], [1])
    windows.now.append(2)
    now = 25.0
    assert windows.both == ([], [2])
    windows.now.append(3)
    now = 45.0
    assert windows.both == ([], []), "one whole window without anybody is enough for the one before"
