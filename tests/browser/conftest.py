"""A browser for each file of tests of the page, and a server for all that need none of their own: a test may kill it.

The browser goes with its file: while it is there an event loop runs, and no test beside it may run one of its own.
"""

from collections.abc import Iterator
from typing import cast

import pytest
from playwright.sync_api import Browser, ViewportSize

from tools.harness.browser import DESKTOP, PHONE, chromium
from tools.harness.server import ServerProcess


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Whoever is away has left soon, but not sooner than a slow machine comes back; tokens end to the second."""
    settings = {"countdown_s": 0.5, "reconnect_grace_s": 15, "jwt_leeway_s": 0, "free_verdicts_per_game": 1}
    with ServerProcess(tmp_path_factory.mktemp("server"), **settings) as process:
        yield process


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def size(request: pytest.FixtureRequest) -> ViewportSize:
    return cast("ViewportSize", request.param)
