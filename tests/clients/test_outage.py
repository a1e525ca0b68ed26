"""An outage, one kind each day: all clients of both languages come back, and none in step with the others.

`make conformance-clients` plays outages of five minutes.
"""

from collections.abc import Iterator
from statistics import fmean

import pytest

from tests.clients.outage import KINDS, MAX_DELAY_S, Outage
from tests.clients.stage import SETTINGS, Stage
from tests.clients.table import LANGUAGES, Row
from tools.harness.server import ServerProcess
from tools.harness.slices import slice_of, today

CLIENTS = 20
TRIES = 8
ROW = Row(
    "outage",
    "connect, open, meet" + ", retry" * TRIES + ", meet, open, disconnect, closed",
    more={"by_name": True, "waits_at_most_s": 0.5},
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), reconnect_grace_s=300, **SETTINGS) as process:
        yield process


@pytest.mark.parametrize("kind", slice_of(KINDS, len(KINDS), today()))
@pytest.mark.parametrize("language", LANGUAGES)
def test_all_come_back_and_none_in_step(server: ServerProcess, language: str, kind: str) -> None:
    """Of the waits the client says how long they are; they are shortened: a test need not sit through them."""
    with Stage(language, server) as stage:
        outage = Outage(kind, server, stage)
        played = stage.play_together(ROW, CLIENTS, outage.begins, outage.ends)
        assert stage.finish() == []
    parts = []
    for told in played:
        assert (told["ends"], told["left"], told["state"]) == ([], [], "closed")
        for delay_s, attempt in told["waits"]:
            most_s = min(2**attempt, MAX_DELAY_S)
            assert 0 <= delay_s <= most_s
            parts.append(delay_s / most_s)
    assert len(parts) >= CLIENTS * TRIES
    assert 0.35 < fmean(parts) < 0.65, "the jitter is not full"
