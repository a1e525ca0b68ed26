"""A server for the end-to-end tests of a module, one of each transport: both give the same answers."""

from collections.abc import Iterator

import pytest

from tools.harness.server import ServerProcess


@pytest.fixture(scope="module", params=["lean", "uvicorn"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), ws_transport=request.param, finished_linger_s=30) as process:
        yield process
