"""The runner of the Autobahn suite, as far as it goes without the suite: its echo server, and how results are read."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

from tests.wire.autobahn import failures

TEXTS = ["", "x", "y" * 126, "κόσμε" * 1_000, "z" * 70_000]
BINARIES = [b"", b"\xff\xfe", bytes(range(256)) * 300]


@pytest.fixture(params=["lean", "uvicorn"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    command = [sys.executable, "-m", "tests.wire.echo", request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as echo:
        assert echo.stdout is not None
        yield int(echo.stdout.readline())
        echo.terminate()


@pytest.mark.parametrize("compression", ["deflate", None])
def test_everything_comes_back(port: int, compression: str | None) -> None:
    with connect(f"ws://127.0.0.1:{port}", compression=compression, max_size=None) as peer:
        everything: list[str | bytes] = [*TEXTS, *BINARIES]
        for said in everything:
            peer.send(said)
            assert peer.recv() == said


def test_a_case_that_failed_or_closed_wrongly_is_named() -> None:
    passed = {"behavior": "OK", "behaviorClose": "INFORMATIONAL"}
    index = {
        "lean": {
            "1.1.1": passed,
            "5.1": {"behavior": "FAILED", "behaviorClose": "OK"},
            "7.1.5": {"behavior": "OK", "behaviorClose": "WRONG CODE"},
            "6.4.1": {"behavior": "NON-STRICT", "behaviorClose": "OK"},
        }
    }
    assert failures(index) == ["lean 5.1: FAILED, closing OK", "lean 7.1.5: OK, closing WRONG CODE"]
