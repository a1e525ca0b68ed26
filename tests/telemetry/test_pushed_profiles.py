"""Continuous profiling: profiles reach what PYROSCOPE_SERVER_ADDRESS names, and the end waits for no dead one."""

import gzip
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.settings import CannotStartError, load_settings
from app.telemetry.pushed_profiles import pushed_profiles
from app.vocabulary import Environment
from tools.harness import fetch
from tools.harness.server import SECRET, ServerProcess


class Sink(ThreadingHTTPServer):
    """As much of a Pyroscope as takes what is pushed; none can be had from PyPI, npm or Debian."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.pushed: list[tuple[str, bytes]] = []
        self.answers = threading.Event()
        self.answers.set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Taker(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.pushed.append((self.path, gzip.decompress(body)))
        self.server.answers.wait()
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing."""


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        threading.Thread(target=sink.serve_forever, args=(0.05,), daemon=True).start()
        yield sink
        sink.answers.set()
        sink.shutdown()


def served(server: ServerProcess) -> int:
    """Start, be busy for some samples of the profile (there are a hundred a second of the processor), and end."""
    with server:
        for _ in range(200):
            fetch.get(f"{server.http_url}/version").raise_for_status()
        return server.stop()


def test_profiles_are_pushed_with_who_it_is_and_at_the_end_too(tmp_path: Path, sink: Sink) -> None:
    assert served(ServerProcess(tmp_path, pyroscope_server_address=f"{sink.address}/", replica="racer-7")) == 0
    path, body = sink.pushed[-1]
    assert path == "/push.v1.PusherService/Push"
    for told in (b"code-racer", b"racer-7", b"development"):
        assert told in body
    assert SECRET.encode() not in body


def test_one_that_does_not_answer_holds_up_no_end(tmp_path: Path, sink: Sink) -> None:
    sink.answers.clear()
    assert served(ServerProcess(tmp_path, pyroscope_server_address=sink.address)) == 0
    assert sink.pushed


def test_without_the_library_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyroscope", None)
    settings = load_settings(jwt_secret=SECRET, pyroscope_server_address="http://127.0.0.1:4040")
    with (
        pytest.raises(CannotStartError, match=r"pip install 'code-racer\[pyroscope\]'"),
        pushed_profiles(settings, Environment.TEST, "one"),
    ):
        pass
