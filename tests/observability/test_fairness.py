"""A drill on a busy machine: what the machine withholds is measured, and taken off what is late; nothing else is."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import promql_parser
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alerts.build import alerts
from alerts.drills.late import LATE, looks_back_s, told_apart, with_records
from alerts.model import Alert, Severity
from tools.harness.machine import SLOWEST, Withheld, Witness, pace_of
from tools.harness.processes import freeze
from tools.harness.server import until

INFINITE = float("inf")
LATER = 'code_racer_ws_message_duration_seconds_bucket{{job="code-racer", outcome="ok", type="ready", le="{}"}}'
COUNTED = 'code_racer_ws_message_duration_seconds_count{{job="code-racer", outcome="{}", type="ready"}}'
BUSY = "while True: pass"


def rule(name: str, severity: Severity = Severity.CRITICAL) -> Alert:
    return next(one for one in alerts() if (one.name, one.severity) == (name, severity))


# -------------------------------------------------------------------- what is withheld


@contextmanager
def working(folder: Path, code: str) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", code], cwd=folder) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def test_who_waits_for_a_processor_is_seen_to_wait(tmp_path: Path) -> None:
    processor = {min(os.sched_getaffinity(0))}
    witness = Witness(tmp_path)
    with ExitStack() as stack:
        for _ in range(2):  # two for one processor: one waits while the other runs
            os.sched_setaffinity(stack.enter_context(working(tmp_path, BUSY)), processor)
        stack.enter_context(witness.looking())
        until(lambda: witness.withheld.longest_s(INFINITE) > 0.2)


def test_who_is_stopped_waits_for_no_processor(tmp_path: Path) -> None:
    with working(tmp_path, BUSY) as pid:
        freeze(pid)
        until(lambda: Path(f"/proc/{pid}/stat").read_text().split()[2] == "T")
        witness = Witness(tmp_path)
        with witness.looking():
            began = time.monotonic()
            until(lambda: witness.withheld.longest_s(0.1, began) >= 0 and time.monotonic() > began + 0.5)
            assert witness.withheld.longest_s(INFINITE, began + 0.2) == 0


@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.floats(0, 1)), min_size=1, max_size=30),
    st.floats(0, 1),
    st.floats(0.01, 5),
)
def test_no_stretch_of_time_was_robbed_of_more_than_is_said(
    steps: list[tuple[float, float]], begin: float, length_s: float
) -> None:
    withheld, readings = Withheld(), [(0.0, 0.0)]
    for passed_s, robbed_s in steps:  # so much later, so much of that time more had been withheld
        readings.append((readings[-1][0] + passed_s, readings[-1][1] + passed_s * robbed_s))
    for at, total_s in readings:
        withheld.add(at, total_s)
    since = begin * readings[-1][0]

    def by(moment: float) -> float:
        for (left, low), (right, high) in itertools.pairwise(readings):
            if moment <= right:
                return low + (high - low) * (moment - left) / (right - left)
        return readings[-1][1]

    assert by(since + length_s) - by(since) <= withheld.longest_s(length_s) + 1e-9


def waited(*totals_s: float) -> Withheld:
    withheld = Withheld()
    for number, total_s in enumerate(totals_s):
        withheld.add(number * 0.05, total_s)
    return withheld


def test_a_machine_that_withholds_little_excuses_nothing() -> None:
    assert waited(*(number * 0.005 for number in range(100))).given_back(0.05, (0.1, 0.25)) == 0.05
    assert waited().given_back(0.05, (0.1, 0.25)) == 0.05


def test_the_bound_moves_no_farther_than_the_machine_explains() -> None:
    once = waited(*(0.04 * (number > 50) for number in range(100)))
    assert once.given_back(0.05, (0.05, 0.1, 0.25)) == 0.1
    often = waited(*(number * 0.04 for number in range(100)))
    assert often.given_back(0.05, (0.05, 0.1, 0.25)) == INFINITE
    assert once.given_back(0.05, (0.05, 0.1, 0.25), since=4.0) == 0.05, "it was long ago"


@pytest.mark.parametrize(
    ("slower", "pace"), [(1.0, 1), (2.9, 1), (3.1, 2), (5.9, 2), (6.1, 4), (13.0, 8), (90.0, SLOWEST)]
)
def test_the_clock_is_as_slow_as_the_machine(slower: float, pace: int) -> None:
    assert pace_of(slower) == pace


# -------------------------------------------------------------------- what is late by that


def test_an_alert_with_its_records_in_full_asks_counters_alone() -> None:
    for one in (one for one in alerts() if one.name in LATE):
        expr = with_records(one)
        promql_parser.parse(expr)
        assert ":code_racer" not in expr


def test_every_alert_on_lateness_can_be_told_apart() -> None:
    ages = "code_racer_ws_lost_age_seconds_bucket"  # what is old is not late
    timed = {one.name for one in alerts() if "_seconds_bucket" in with_records(one).replace(ages, "")}
    assert timed - LATE.keys() == set()
    for one in alerts():
        if one.name in LATE:
            assert told_apart(one, 0.5, 1.0) != with_records(one)
            assert looks_back_s(one, 1.0) > 0


def judged(folder: Path, bound_s: float, series: dict[str, str], *, pages: bool) -> None:
    """Have promtool say whether a page on messages is one still where what takes longer than a bound is late."""
    one = rule("CodeRacerMessageBudgetBurn")
    asked = {"alert": "Asked", "expr": told_apart(one, bound_s, 1.0), "labels": {"severity": "critical"}}
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": [asked]}]}))
    expected = [{"exp_labels": {"severity": "critical", "job": "code-racer"}}] if pages else []
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": "30m", "alertname": "Asked", "exp_alerts": expected}],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [case]}))
    command = ["promtool", "test", "rules", "test.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


EIGHTY_MS = {LATER.format("0.05"): "0+50x60", LATER.format("0.1"): "0+100x60", COUNTED.format("ok"): "0+100x60"}
FAILED = {
    **{LATER.format(bound): "0+50x60" for bound in ("0.05", "0.1", "+Inf")},
    COUNTED.format("ok"): "0+50x60",
    COUNTED.format("error"): "0+50x60",
}


def test_messages_that_are_late_by_what_was_withheld_are_no_page(tmp_path: Path) -> None:
    judged(tmp_path, 0.05, EIGHTY_MS, pages=True)
    judged(tmp_path, 0.1, EIGHTY_MS, pages=False)


def test_messages_that_are_later_than_the_machine_explains_are_a_page(tmp_path: Path) -> None:
    later = {**EIGHTY_MS, LATER.format("0.1"): "0+50x60"}
    judged(tmp_path, 0.1, later, pages=True)


@pytest.mark.parametrize("bound_s", [0.05, 0.1, INFINITE])
def test_messages_that_fail_are_a_page_on_any_machine(tmp_path: Path, bound_s: float) -> None:
    judged(tmp_path, bound_s, FAILED, pages=True)
