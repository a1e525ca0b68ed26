"""The benchmark of pauses runs: a phase a day, small. What it measures is no matter of a test."""

import os

import pytest

from tests.bench.pauses import PHASES, main
from tools.harness.slices import today


def test_the_phase_of_today(capsys: pytest.CaptureFixture[str]) -> None:
    affinity = os.sched_getaffinity(0)
    phase = PHASES[today().toordinal() % len(PHASES)]
    try:
        assert main([phase.__name__, "--scale", "0.02"]) == 0
    finally:
        os.sched_setaffinity(0, affinity)
    (row,) = [line for line in capsys.readouterr().out.splitlines() if (phase.__doc__ or "") in line]
    lag, longest, _ = (float(cell) for cell in row.split("|")[2:5])
    assert 0 <= lag <= longest
    assert longest > 0
