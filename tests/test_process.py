"""What the system tells of the process, on the real /proc, and on files of its kind where this machine has none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app import process

BUSY = "while True: pass"
MEASURED = "from app.process import waited_for_processor_s\nwhile waited_for_processor_s() < 0.2: pass"


@pytest.fixture
def crowded() -> Iterator[int]:
    """A processor that two others want."""
    one = min(os.sched_getaffinity(0))
    with ExitStack() as stack:
        for _ in range(2):
            other = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
            stack.callback(other.kill)
            os.sched_setaffinity(other.pid, {one})
        yield one


def test_who_is_ready_and_gets_no_processor_waits_for_it(crowded: int) -> None:
    with subprocess.Popen([sys.executable, "-c", MEASURED], cwd=Path(__file__).parents[1]) as measured:
        os.sched_setaffinity(measured.pid, {crowded})
        assert measured.wait(60) == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("usage_usec 5000000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 2500000\n", 2.5),
        ("nr_periods 10\nnr_throttled 4\nthrottled_time 2500000000\n", 2.5),  # cgroup v1
        ("usage_usec 5000000\n", 0.0),  # no limit
    ],
)
def test_what_the_container_s_limit_withheld(
    text: str, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.stat").write_text(text)
    monkeypatch.setattr(process, "_CPU_STAT", (tmp_path / "none", tmp_path / "cpu.stat"))
    assert process.throttled_s() == pytest.approx(seconds)


def test_nothing_is_withheld_where_there_is_no_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_CPU_STAT", (tmp_path / "none",))
    assert process.throttled_s() == 0


def test_the_disk_of_a_file_is_told_and_nothing_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    free, size = process.disk_bytes(tmp_path / "file")
    assert size == shutil.disk_usage(tmp_path).total
    assert 0 < free <= size
    assert process.disk_bytes(tmp_path / "missing") == process.disk_bytes(None) == (0, 0)
