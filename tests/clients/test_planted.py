"""Old faults of both clients are seen by the table: some each day, all within CLIENT_DAYS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.planted import FAULTS, Fault, seen
from tests.clients.stage import CLIENTS, SETTINGS
from tests.clients.table import LANGUAGES
from tools.harness.server import ServerProcess
from tools.harness.slices import CLIENT_DAYS, slice_of, today


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), **SETTINGS) as process:
        yield process


@pytest.mark.parametrize(
    "fault", slice_of(FAULTS, CLIENT_DAYS, today()), ids=lambda fault: f"{fault.language}: {fault.name}"
)
def test_an_old_fault_is_seen(server: ServerProcess, tmp_path: Path, fault: Fault) -> None:
    assert seen(fault, server, tmp_path)


def test_each_has_its_place() -> None:
    """Of all of them each day, as who edits a client should hear of it the same day."""
    for fault in FAULTS:
        source = (CLIENTS / fault.path).read_text("utf-8")
        assert source.count(fault.old) == 1, f"{fault.name}: the place stands {source.count(fault.old)} times"


def test_each_client_has_twelve() -> None:
    for language in LANGUAGES:
        assert len({fault.name for fault in FAULTS if fault.language == language}) >= 12
