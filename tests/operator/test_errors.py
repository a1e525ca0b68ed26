"""What keeps an operator's command from its work is told in a line: what, where, and what helps."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.operator.run import operate
from app.operator.service import CannotAskError, OpsService
from app.options import make_parser
from app.settings import Settings
from tools.harness.console import OPS_TOKEN, Console
from tools.harness.server import SECRET, ServerProcess, free_port
from tools.harness.tokens import token

PROBLEM = b'{"type":"about:blank","status":429,"detail":"too many bad tokens from this address"}'
ANSWERS = {
    "no HTTP": (b"INFO {}\r\n", "what answers is no HTTP; is that OPS_PORT?"),
    "a page": (b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>", "no operators' API; is that OPS_PORT?"),
    "no console": (
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno",
        "there is no console, or none of this version; in production it is",
    ),
    "elsewhere": (b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n", "302: "),
    "nothing": (b"", "what answers is no HTTP; is that OPS_PORT?"),
    "a problem": (
        b"HTTP/1.1 429 Too Many\r\ncontent-length: %d\r\n\r\n%s" % (len(PROBLEM), PROBLEM),
        "429: too many bad tokens from this address; wait a little",
    ),
}


@contextlib.contextmanager
def answering(answer: bytes | None) -> Iterator[str]:
    """Somebody who answers each request so, or (None) never; the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as opened:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer = opened.enter_context(listener.accept()[0])
                    if answer is not None:
                        peer.recv(65_536)
                        peer.sendall(answer)
                        peer.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(("answer", "said"), ANSWERS.values(), ids=ANSWERS)
def test_whoever_answers_otherwise_is_told(answer: bytes, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(answer) as url:
        code, out, error = Console(capsys, url).run("replica")
    assert (code, out, error.count("\n")) == (1, "", 1)
    assert error.startswith(f"code-racer: {url}: {said}") or f"{url}: what answers is {said}" in error


def test_no_bundle_is_made_of_what_is_no_operators_api(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer, said = ANSWERS["a page"]
    with answering(answer) as url:
        code, out, error = Console(capsys, url).run("bundle", "--to", str(tmp_path / "bundle.tar.gz"))
    assert (code, out, error) == (1, "", f"code-racer: {url}: what answers is {said}\n")
    assert list(tmp_path.iterdir()) == []


def test_who_does_not_answer_is_not_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(None) as url:
        code, _, error = Console(capsys, url).run("replica", "--timeout-s", "0.1")
    assert code == 1
    assert f"{url}: no answer within 0.1 s" in error


def test_nobody_who_listens_and_no_such_name(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = Console(capsys, f"http://127.0.0.1:{free_port()}").run("top", "--once")
    assert (code, "nobody listens there; does the service run, and is OPS_PORT (or --url) right?" in error) == (1, True)
    code, _, error = Console(capsys, "http://replica.invalid:9090").run("replica")
    assert (code, "the name cannot be resolved" in error) == (1, True)


def test_who_may_not_is_told_what_to_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"environment": "production", "ops_port": free_port(), "ops_token": OPS_TOKEN}
    with ServerProcess(tmp_path, **settings) as server:
        ops = f"http://127.0.0.1:{settings['ops_port']}"
        assert Console(capsys, ops).ask("replica")["right"] == "act"
        assert Console(capsys, ops, token="").ask("replica")["right"] == "read", "whoever is on the machine may look"
        code, _, error = Console(capsys, ops, token="x" * 64).run("replica")
        assert (code, "401: " in error, "OPS_TOKEN here is not that of the service" in error) == (1, True, True)
        code, _, error = Console(capsys, ops, token=token("ann")).run("replica")
        assert (code, "403: " in error, "right to act" in error) == (1, True, True)
        code, _, error = Console(capsys, server.http_url).run("replica")
        assert (
            code,
            "there is no console, or none of this version; in production it is on OPS_PORT alone" in error,
        ) == (1, True)


def test_an_erasure_is_waited_for_longer_than_the_one_that_answers_waits_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []

    class Unasked(OpsService):
        def __init__(self, url: str, token: str, operator: str, timeout_s: float) -> None:
            super().__init__(url, token, operator, timeout_s)
            waited.append(timeout_s)

        def send(self, *_: object) -> Any:
            raise CannotAskError("nobody is asked here")

    monkeypatch.setattr("app.operator.run.OpsService", Unasked)
    settings = Settings(_env_file=None, jwt_secret=SECRET, ops_long_timeout_s=80)
    why = ("--reason", "asked to", "--url", "http://127.0.0.1:9")
    for command in (("erase", "ann"), ("erase", "ann", "--timeout-s", "2"), ("unban", "ann")):
        assert operate(settings, make_parser().parse_args([*command, *why])) == 1
    assert waited == [85, 2, 5]
