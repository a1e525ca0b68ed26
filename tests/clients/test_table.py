"""The table of the clients' rules, row by row, by both clients, against a real server through a network that fails."""

from collections.abc import Iterator

import pytest

from tests.clients.stage import SETTINGS, Stage, play_one
from tests.clients.table import LANGUAGES, TABLE, Row
from tools.harness.server import ServerProcess

PLAYED = [
    pytest.param(language, row, id=f"{language}: {row.name}")
    for language in LANGUAGES
    for row in TABLE
    if row.is_for(language)
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), **SETTINGS) as process:
        yield process


@pytest.fixture(scope="module")
def stages(server: ServerProcess) -> Iterator[dict[str, Stage]]:
    with Stage(LANGUAGES[0], server) as one, Stage(LANGUAGES[1], server) as other:
        yield dict(zip(LANGUAGES, (one, other), strict=True))
        assert [one.finish(), other.finish()] == [[], []]


@pytest.mark.parametrize(("language", "row"), PLAYED)
def test_a_row(stages: dict[str, Stage], language: str, row: Row) -> None:
    play_one(stages[language], row)


def test_most_rows_are_played_by_both_and_each_says_what_comes_of_it() -> None:
    assert sum(row.only is None for row in TABLE) >= 60
    assert len({row.name for row in TABLE}) == len(TABLE)
    assert all(row.heard or row.expected for row in TABLE)
