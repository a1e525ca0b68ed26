"""The frame of `make conformance`: what is told becomes a record and a page, and what did not hold fails.

What the parts prove takes containers and compilers; they are run by `make conformance` alone.
"""

from pathlib import Path

import pytest

from tests.proof.record import NotHeldError, Record
from tools.proof import page, records


def test_what_was_asked_becomes_a_record_and_a_page(tmp_path: Path) -> None:
    record = Record("collector", "A collector.", frozenset({"Loki"}))
    record.started("otelcol", "0.165", "built here")
    record.asked("do traces arrive | whole?", "7 spans\nof one trace")
    record.not_run("Loki", "its module is not served")

    record.write(tmp_path)
    record.verify()

    text = page(records(tmp_path))
    assert "| otelcol | 0.165 | built here |" in text
    assert r"| do traces arrive \| whole? | 7 spans of one trace | yes |" in text
    assert "| Loki | its module is not served |" in text


def test_an_answer_that_does_not_hold_is_written_and_fails(tmp_path: Path) -> None:
    record = Record("collector", "A collector.")
    record.asked("does it start?", "no", held=False)

    record.write(tmp_path)

    assert "| does it start? | no | **no** |" in page(records(tmp_path))
    with pytest.raises(NotHeldError, match="does it start"):
        record.verify()


def test_what_was_missed_without_being_declared_fails() -> None:
    record = Record("collector", "A collector.", frozenset({"Loki"}))
    record.asked("does it start?", "yes")
    record.not_run("Jaeger", "it was not built")

    with pytest.raises(NotHeldError, match="Jaeger"):
        record.verify()


def test_a_part_that_asked_nothing_fails() -> None:
    with pytest.raises(NotHeldError, match="nothing was asked"):
        Record("collector", "A collector.").verify()
