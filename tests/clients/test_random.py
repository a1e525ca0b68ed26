"""A thousand rows that nobody has thought of, for each client: it ends as it may, and leaves nothing.

Half of them are the same each day. One that fails is played again by its number: random_row(number).
"""

from collections.abc import Iterator

import pytest

from tests.clients.random_rows import random_row, wrong_at_random
from tests.clients.stage import SETTINGS, Stage
from tests.clients.table import LANGUAGES
from tools.harness.server import ServerProcess
from tools.harness.slices import seed

FIXED = range(500)
TODAY = range(seed() * 1_000, seed() * 1_000 + 500)
SIDE_BY_SIDE = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), **SETTINGS) as process:
        yield process


@pytest.mark.parametrize("language", LANGUAGES)
def test_whatever_is_called_in_whatever_order_nothing_is_left(server: ServerProcess, language: str) -> None:
    rows = [random_row(number) for number in (*FIXED, *TODAY)]
    with Stage(language, server, SIDE_BY_SIDE) as stage:
        played = list(stage.play(rows))
        wrong = [f"{row}: {found}" for row, told in played if (found := wrong_at_random(told))]
        assert not wrong, "\n".join(wrong)
        assert stage.finish() == []
    assert sum("open" in told["heard"] for _, told in played if told) > len(rows) / 4, "most come to no connection"
