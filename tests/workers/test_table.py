"""Numbers that workers share: what one writes the others read, and too many are too many for the lowest."""

from pathlib import Path

import pytest

from app.rate_limits import RatePerKey, SharedRatePerKey
from app.workers.table import BYTES, FILE, SharedTable


def test_what_one_writes_all_others_read_also_who_opens_it_later(tmp_path: Path) -> None:
    one, other = SharedTable(tmp_path), SharedTable(tmp_path)
    assert other.get("ann") == 0.0
    one.put("ann", 1.5)
    other.put("bob", 2.5)
    other.put("ann", 3.5)
    for table in (one, other, SharedTable(tmp_path)):
        assert [table.get(key) for key in ("ann", "bob", "eve")] == [3.5, 2.5, 0.0]
        table.close()
    assert (tmp_path / FILE).stat().st_size == BYTES


def test_of_too_many_keys_those_with_the_lowest_numbers_are_forgotten(tmp_path: Path) -> None:
    table = SharedTable(tmp_path)
    keys = [f"player {number}" for number in range(100_000)]
    for number, key in enumerate(keys, 1):
        table.put(key, number)
    kept = [table.get(key) for key in keys]
    assert all(number in {0, found} for number, found in enumerate(kept, 1) if found)
    assert sum(found > 0 for found in kept) > 60_000
    assert sum(found > 0 for found in kept[-10_000:]) > 9_990
    assert not all(kept[:10_000])


def test_a_rate_is_one_over_all_who_share_it_and_as_that_of_one(tmp_path: Path) -> None:
    workers = [SharedRatePerKey(2, 3, SharedTable(tmp_path), "guests") for _ in range(2)]
    alone = RatePerKey(2, 3)
    elsewhere = SharedRatePerKey(2, 3, SharedTable(tmp_path), "games")
    for step in range(200):
        now = 100 + step * 0.17
        one = workers[step % 2]
        assert one.look("ann", now) == alone.look("ann", now)
        assert one.take("ann", now) == alone.take("ann", now)
    assert elsewhere.look("ann", 100 + 199 * 0.17) == 0.0


def test_no_rate_is_no_limit_and_leaves_nothing_behind(tmp_path: Path) -> None:
    table = SharedTable(tmp_path)
    rate = SharedRatePerKey(0, 1, table, "guests")
    assert [rate.take("ann", 1.0) for _ in range(5)] == [0.0] * 5
    assert table.get("guests ann") == 0.0


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SharedTable(tmp_path / "gone")
