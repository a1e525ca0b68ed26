"""The games' clock, against clocks that the test sets."""

import itertools
import math

from hypothesis import example, given
from hypothesis import strategies as st

from app.clock import LOOK_EVERY_S, Clock

EPOCH_S = 1_700_000_000.0
SLEW_PPM = 500.0
ROUNDING_MS = 1


class Machine:
    """A machine whose clocks go on as told, and whose wall clock can be set."""

    def __init__(self) -> None:
        self.monotonic_s = 1_000.0
        self.wall_s = EPOCH_S

    def go_on(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.wall_s += seconds

    def clock(self, slew_ppm: float = SLEW_PPM) -> Clock:
        return Clock(slew_ppm, lambda: self.monotonic_s, lambda: self.wall_s)


STEPS = st.tuples(st.floats(0, 5_000), st.one_of(st.just(0.0), st.floats(-86_400, 86_400)))
"""So much time passes, then the wall clock is set by so much."""


@given(st.lists(STEPS, max_size=30))
@example([(1.0, -3_600.0), (3.0, 0.0)])
@example([(0.5, 3_600.0), (7_200.0, 0.0), (1.0, 0.0)])
def test_it_never_goes_back_and_never_jumps(steps: list[tuple[float, float]]) -> None:
    machine = Machine()
    clock = machine.clock()
    before = clock.now()
    for passes, set_by in steps:
        machine.go_on(passes)
        now = clock.now()
        assert abs(now - before - passes * 1000) <= passes * 1000 * SLEW_PPM / 1e6 + ROUNDING_MS
        assert now >= before
        machine.wall_s += set_by
        assert clock.now() == now, "setting the machine's clock changes nothing at once"
        before = now


@given(st.floats(-2, 2), st.sampled_from([0.1, 0.7, 1.0, 3.0, 50.0]))
def test_it_comes_to_what_the_machine_was_set_to_and_stays_there(set_by: float, every_s: float) -> None:
    machine = Machine()
    clock = machine.clock(slew_ppm=10_000)
    machine.wall_s += set_by
    for _ in range(250 * math.ceil(LOOK_EVERY_S / every_s)):  # two seconds, a hundredth at each look
        machine.go_on(every_s)
        clock.now()
    for _ in range(5):
        assert abs(clock.now() - machine.wall_s * 1000) <= ROUNDING_MS + 1
        machine.go_on(every_s)


def test_an_hour_back_is_followed_at_the_rate_that_was_set() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall_s -= 3_600
    times = []
    for _ in range(1_001):
        machine.go_on(LOOK_EVERY_S)
        times.append(clock.now())
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert set(steps[1:]) <= {999, 1000}
    assert times[-1] - times[0] == 1_000_000 - 500


def test_where_it_may_not_follow_it_does_not() -> None:
    machine = Machine()
    clock = machine.clock(slew_ppm=0)
    machine.wall_s += 3_600
    machine.go_on(100)
    assert clock.now() == round((EPOCH_S + 100) * 1000)


def test_how_far_the_machine_s_clock_was_set_ahead_is_told() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.go_on(10)
    clock.now()
    assert abs(clock.ahead_s) < 0.001
    machine.wall_s += 60
    assert math.isclose(clock.ahead_s, 60, abs_tol=0.001)
    machine.wall_s -= 90
    assert math.isclose(clock.ahead_s, -30, abs_tol=0.001)
