"""Which file has whose games."""

from pathlib import Path

from app.workers import Share
from app.workers.share import ALONE


def test_a_process_that_has_all_games_has_the_file_of_the_settings() -> None:
    assert ALONE.part_of(Path("var/code-racer.db")) == Path("var/code-racer.db")


def test_each_worker_has_a_file_of_its_own_beside_it() -> None:
    parts = [Share(number, 2).part_of(Path("var/code-racer.db")) for number in range(2)]
    assert parts == [Path("var/code-racer.1of2.db"), Path("var/code-racer.2of2.db")]


def test_a_name_without_an_ending_stays_without_one() -> None:
    assert Share(2, 3).part_of(Path("/srv/games")) == Path("/srv/games.3of3")
