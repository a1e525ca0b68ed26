"""Nothing a peer sends hurts anybody else: the entries of the table whose day it is (`make attack`: all)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.__main__ import runs, sink_of
from tests.attack.measure import Run, measured
from tests.attack.model import Attack, Result
from tests.attack.report import table
from tests.attack.stage import helper
from tests.attack.table import ATTACKS
from tools.harness.machine import Withheld
from tools.harness.server import ROOT
from tools.harness.slices import ATTACK_DAYS, days_of, slice_of, today

CASES = [
    pytest.param(attack, transport, id=f"{attack.id}-{transport}")
    for attack, transport in runs(slice_of(ATTACKS, ATTACK_DAYS, today()), ("lean", "uvicorn"))
]


@pytest.fixture(scope="module")
def sink() -> Iterator[int]:
    with helper("tests.attack.sink") as one:
        yield sink_of(one)


@pytest.fixture(scope="module")
def known() -> dict[str, dict[str, float]]:
    """What was measured with the sink, by attack: it does not depend on the server's transport."""
    return {}


def test_there_are_sixty_of_every_kind() -> None:
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS) >= 60
    assert {attack.item for attack in ATTACKS} == {1, 2, 3, 4, 5, 6, 7, 8}


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.id for attack in ATTACKS])
def test_each_is_bounded(attack: Attack) -> None:
    assert 0 < attack.seconds <= 8
    assert 0 < attack.most_bytes <= 400 * 2**20
    assert attack.connections <= 500
    assert attack.most_opened <= 20_000


def test_every_one_is_run_within_some_days() -> None:
    assert sorted(attack.id for attack in days_of(ATTACKS, ATTACK_DAYS)) == sorted(attack.id for attack in ATTACKS)


def test_the_document_has_them_all() -> None:
    text = (ROOT / "docs/hardening.md").read_text("utf-8")
    assert not [attack.id for attack in ATTACKS if f"| {attack.id} " not in text]
    assert f"within {ATTACK_DAYS} days" in " ".join(text.split())


def test_the_table_says_who_was_hurt() -> None:
    attack = next(attack for attack in ATTACKS if attack.id == "ws-pings")
    fields = {"id": attack.id, "transport": "lean", "p99_s": {"ping": 4.0}, "sink_p99_s": {"ping": 0.01}}
    hurt = Result(**fields, failures=["ping: p99 4000 ms, bound 250 ms"])  # type: ignore[arg-type] # of several types
    text = table([hurt.document()], [Result(**fields).document()])  # type: ignore[arg-type] # the same
    assert "| ws-pings | pings, as fast as they are taken |" in text
    assert "ping: p99 4000 ms, bound 250 ms" in text
    assert text.rstrip().splitlines()[-1].count("nobody was hurt") == 1


def test_what_the_machine_withheld_is_taken_off_what_was_slow_and_nothing_else() -> None:
    withheld = Withheld()
    for at, total_s in ((0.0, 0.0), (0.5, 0.0), (1.0, 0.4), (1.5, 0.4), (9.0, 0.4)):
        withheld.add(at, total_s)
    assert not withheld.leaves_too_long(0.2, 0.25)
    assert not withheld.leaves_too_long(0.6, 0.25), "0.4 s of it were the machine's"
    assert withheld.leaves_too_long(0.7, 0.25)
    assert Withheld().leaves_too_long(0.6, 0.25)


@pytest.mark.alone
@pytest.mark.parametrize(("attack", "transport"), CASES)
def test_nobody_is_hurt_by(
    attack: Attack, transport: str, sink: int, known: dict[str, dict[str, float]], tmp_path: Path
) -> None:
    result = measured(Run(attack, transport, ROOT, tmp_path, sink, known.get(attack.id, {})))
    known[attack.id] = result.sink_p99_s
    assert not result.failures, result
