"""The reckoning is right where it can be seen, and the benchmark that feeds it runs, small."""

import os
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.sizing import DOCS, PARTS, main, page
from tests.docs.commands import examples
from tools import sizing
from tools.harness.slices import slice_of, today
from tools.sizing import Habits, Measured, Point

MEASURED = Measured(
    machine="a machine",
    points=(Point(1_000, 80e6, 4.0, 10.0), Point(10_000, 170e6, 1.3, 15.0), Point(18_000, 250e6, 1.1, 17.0)),
    message_us=15.0,
    handshake_us=700.0,
    commit_us=200.0,
    stored_us=100.0,
    commit_bytes=400.0,
    subject_bytes=350.0,
    remote_bytes=120.0,
    remote_us=0.8,
)
HABITS = Habits()


def test_what_was_measured_is_what_is_reckoned_there() -> None:
    for point in MEASURED.points[:2]:
        assert sizing.resident_bytes(MEASURED, point.connections) == pytest.approx(point.resident_bytes)
        assert sizing.idle_us(MEASURED, point.connections) == pytest.approx(point.idle_us)
        assert sizing.delivery_us(MEASURED, point.connections) == pytest.approx(point.delivery_us)


def test_a_replica_is_filled_to_half_its_core_and_no_further() -> None:
    players = sizing.carried(MEASURED, HABITS, 20_000)
    assert sizing.replica_cores(MEASURED, HABITS, players) <= 0.5 < sizing.replica_cores(MEASURED, HABITS, players + 1)
    assert sizing.carried(MEASURED, HABITS, 1_000) == 1_000


def test_each_limit_is_reached_where_it_says() -> None:
    by_text = {limit.text.split(" ")[0]: limit.players for limit in sizing.limits(MEASURED, HABITS)}
    at = int(by_text["the"])
    assert sizing.sizes(MEASURED, HABITS, at).streams == 1
    assert sizing.sizes(MEASURED, HABITS, at + 100).streams == 2
    kept = sizing.sizes(MEASURED, HABITS, int(by_text["each"]))
    assert kept.log_memory_bytes == pytest.approx(4 * 2**30, rel=1e-3)


@given(st.integers(1, 2_000_000), st.integers(1, 2_000_000))
def test_more_players_never_take_less(one: int, other: int) -> None:
    few, many = (sizing.sizes(MEASURED, HABITS, players) for players in sorted((one, other)))
    assert few.replicas <= many.replicas
    assert few.subjects <= many.subjects
    assert few.streams <= many.streams
    assert few.players_per_replica * (few.replicas - 1) >= few.players


def test_ones_own_habits_are_options(capsys: pytest.CaptureFixture[str]) -> None:
    command = shlex.split(examples(DOCS / "sizing.md")["own"])
    assert command[:3] == ["python", "-m", "tools.sizing"]
    sizing.main(command[3:])
    assert "| games under way | 12,500 |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        sizing.main(["--race-s", "0"])
    assert "more than 0" in capsys.readouterr().err


def test_the_page_is_what_its_figures_say() -> None:
    assert (DOCS / "sizing.md").read_text() == page(sizing.load())


@pytest.mark.timeout(300)
def test_the_part_of_today(tmp_path: Path) -> None:
    affinity = os.sched_getaffinity(0)
    (name,) = slice_of(tuple(PARTS), len(PARTS), today())
    try:
        measured = main([name, "--rounds", "1", "--scale", "0.02", "--json", str(tmp_path / "figures.json")])
    finally:
        os.sched_setaffinity(0, affinity)
    assert set(measured) <= set(Measured.__struct_fields__)
    points = measured.pop("points", ())
    assert [point.connections for point in points] in ([], [16, 200, 360])
    assert all(figure > 0 for figure in measured.values())
